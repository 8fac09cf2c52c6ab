package powercut_test

import (
	"errors"
	"flag"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/powercut"
)

var trioRounds = flag.Int("trio-rounds", 40, "how often TestThreeCutAtOnce cuts the power of three devices at once (the long campaign: 5000)")

// tryTrio has one cluster live through some cuts, and reports how many, how many
// commands were committed, and what went wrong.
func tryTrio(t testing.TB, children []*child, seed uint64, bug trioBug) (cuts, commands int, wrong error) {
	w, err := newTrio(t, children, seed, bug)
	if err != nil {
		return 0, 0, err
	}
	defer func() {
		for _, d := range w.devices {
			if d.disk != nil {
				wrong = errors.Join(wrong, d.off(t))
			}
		}
	}()
	for range trioLives {
		if err := w.live(); err != nil {
			return cuts, w.ledger.commands, err
		}
		cuts++
	}
	if err := w.start(); err != nil {
		return cuts, w.ledger.commands, err
	}
	return cuts, w.ledger.commands, w.goesOn()
}

// TestThreeCutAtOnce: whatever the three disks make of what was in flight, every
// committed command is there afterwards, once, in order, no vote is forgotten, and
// the cluster goes on by itself.
func TestThreeCutAtOnce(t *testing.T) {
	children := []*child{newDriver(t), newDriver(t), newDriver(t)}
	began, cuts, commands := time.Now(), 0, 0
	for i := uint64(0); cuts < *trioRounds && !t.Failed(); i++ {
		n, m, err := tryTrio(t, children, *seedFlag+i, trioBug{})
		if cuts, commands = cuts+n, commands+m; err != nil {
			t.Errorf("seed %d, after %d cuts: %v", *seedFlag+i, n, err)
		}
	}
	t.Logf("the power of three devices was cut %d times, %d commands were committed, in %v", cuts, commands, time.Since(began).Round(time.Millisecond))
}

// TestControlThreeCutAtOnce: where all three disks only say that they sync, or the
// logs answer before they save, it must be seen that something is lost.
func TestControlThreeCutAtOnce(t *testing.T) {
	children := []*child{newDriver(t), newDriver(t), newDriver(t)}
	const tries = 6
	for name, bug := range map[string]trioBug{"lying disks": {disks: powercut.Faults{Lies: true}}, "early answers": {early: true}} {
		bad := 0
		for i := range uint64(tries) {
			if _, _, err := tryTrio(t, children, *seedFlag+i, bug); err != nil {
				bad++
				t.Logf("%s, as it must: %.200v", name, err)
			}
		}
		if bad < tries/2 {
			t.Errorf("%s: %d of %d clusters lost something, at least %d should: this test does not bite", name, bad, tries, tries/2)
		}
	}
}
