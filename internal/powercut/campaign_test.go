package powercut_test

import (
	"fmt"
	"iter"
	"math/rand/v2"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/powercut"
)

// cell is a row of the table: how the story came about, and what was lost.
type cell struct {
	origin string
	mode   powercut.Mode
}

type count struct{ states, bad int }

// campaign tries states and counts.
type campaign struct {
	t        testing.TB
	seed     uint64
	faults   powercut.Faults
	dir      string
	checkers []*child

	mu     sync.Mutex
	counts map[cell]count
	bad    []string // the first few, described
	deaths int
}

func newCampaign(t testing.TB, seed uint64) *campaign {
	c := &campaign{t: t, seed: seed, dir: scratch(t), counts: make(map[cell]count)}
	for range min(runtime.GOMAXPROCS(0), 4) {
		c.checkers = append(c.checkers, newDriver(t))
	}
	return c
}

// job is one state to be checked.
type job struct {
	pos  int
	mode powercut.Mode
	seed uint64
}

// jobs yields states of the story in a random order, the same ones with other
// seeds once all were there.
func (c *campaign) jobs(s story, h *powercut.History, r *rand.Rand) iter.Seq[job] {
	return func(yield func(job) bool) {
		for again := range uint64(20) {
			var out []job
			for _, pos := range s.positions() {
				for _, mode := range powercut.Modes() {
					fixed := mode == powercut.Nothing || mode == powercut.Everything
					if h.InFlight(pos) == 0 && mode != powercut.Nothing || again > 0 && (fixed || h.InFlight(pos) == 0) {
						continue // the same as before
					}
					out = append(out, job{pos: pos, mode: mode, seed: c.seed + again})
				}
			}
			r.Shuffle(len(out), func(i, k int) { out[i], out[k] = out[k], out[i] })
			for _, j := range out {
				if !yield(j) {
					return
				}
			}
		}
	}
}

// try checks n different states of a story, or as many as there are, on all
// checkers.
func (c *campaign) try(origin string, s story, n int, r *rand.Rand) {
	h := powercut.NewHistory(s.rec, c.faults)
	type state struct {
		job
		im *powercut.Image
	}
	work := make(chan state)
	var group sync.WaitGroup
	for i := range c.checkers {
		group.Go(func() {
			if err := c.load(i, s); err != nil {
				c.found(origin, s, job{}, "the story itself: "+err.Error())
			}
			for w := range work {
				c.found(origin, s, w.job, c.one(i, s, w.im, w.pos))
			}
		})
	}
	type difference struct {
		image  uint64
		marked int
	}
	seen := make(map[difference]bool)
	for j := range c.jobs(s, h, r) {
		if len(seen) == n {
			break
		}
		im := h.State(j.pos, j.mode, j.seed)
		if is := (difference{im.Sum(), s.marked(j.pos)}); !seen[is] {
			seen[is] = true
			work <- state{j, im}
		}
	}
	close(work)
	group.Wait()
}

func (c *campaign) load(i int, s story) error {
	a, err := c.checkers[i].call(request{Op: "load", Owed: s.owed, Marks: s.marks, Pages: s.pages})
	if err == nil && a.Err != "" {
		err = fmt.Errorf("%s", a.Err)
	}
	return err
}

// one has a state checked. It returns what is wrong.
func (c *campaign) one(i int, s story, im *powercut.Image, pos int) string {
	dir := filepath.Join(c.dir, fmt.Sprint(i))
	if err := os.RemoveAll(dir); err != nil {
		return err.Error()
	}
	if err := im.Materialise(dir); err != nil {
		return err.Error()
	}
	a, err := c.checkers[i].call(request{Op: "check", Dir: dir, Upto: s.marked(pos)})
	if err == nil {
		return a.Verdict + a.Err
	}
	c.mu.Lock()
	c.deaths++
	c.mu.Unlock()
	again, startErr := startChild()
	if startErr != nil {
		return startErr.Error()
	}
	c.t.Cleanup(again.stop)
	c.checkers[i] = again
	if loadErr := c.load(i, s); loadErr != nil {
		return loadErr.Error()
	}
	return err.Error()
}

func (c *campaign) found(origin string, s story, j job, wrong string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	at := c.counts[cell{origin, j.mode}]
	at.states++
	if wrong != "" {
		at.bad++
		if len(c.bad) < 10 {
			c.bad = append(c.bad, fmt.Sprintf("%s: %scut after event %d (%s, seed %d): %s", origin, s.after, j.pos, j.mode, j.seed, wrong))
		}
	}
	c.counts[cell{origin, j.mode}] = at
}

func (c *campaign) total() count {
	var sum count
	for _, n := range c.counts {
		sum.states += n.states
		sum.bad += n.bad
	}
	return sum
}

// table prints states and bad ones by origin and mode.
func (c *campaign) table() string {
	var b strings.Builder
	fmt.Fprintf(&b, "%-30s %-20s %8s %6s\n", "story", "in flight", "states", "bad")
	var origins []string
	for at := range c.counts {
		if !slices.Contains(origins, at.origin) {
			origins = append(origins, at.origin)
		}
	}
	slices.Sort(origins)
	for _, origin := range origins {
		for _, mode := range powercut.Modes() {
			if n := c.counts[cell{origin, mode}]; n.states > 0 {
				fmt.Fprintf(&b, "%-30s %-20s %8d %6d\n", origin, mode, n.states, n.bad)
			}
		}
	}
	n := c.total()
	fmt.Fprintf(&b, "%-51s %8d %6d\n", "all", n.states, n.bad)
	return b.String()
}

const (
	originNew       = "from nothing"
	originKilled    = "killed, started again"
	originCut       = "cut, started again"
	originKilledCut = "killed, cut, started again"
	originCutKilled = "cut, killed, started again"
	originFull      = "the disk is full"
	originFullAgain = "full, killed, started again"
)

// round records seven stories of one seed and tries each n states: a device
// from its creation on; the same killed, or cut off, somewhere and started
// again; both, in both orders; and on a disk that becomes full, killed and started
// again with room.
func (c *campaign) round(w teller, seed uint64, n int) {
	r := rand.New(rand.NewPCG(seed, 2))
	told := func(origin string, s story, steps int) (story, bool) {
		s, err := w.goOn(s, steps, r.Uint64())
		if err != nil {
			c.found(origin, s, job{pos: len(s.rec.Events)}, err.Error())
			return s, false
		}
		c.try(origin, s, n, r)
		return s, true
	}
	rings := []int{smallRing, 6, 16, 64}
	first, ok := told(originNew, newStory(rings[seed%uint64(len(rings))]), 30)
	if !ok {
		return
	}
	full := w
	full.full = true
	if s, err := full.goOn(first.killed(len(first.rec.Events)), 40, r.Uint64()); err != nil {
		c.found(originFull, s, job{pos: len(s.rec.Events)}, err.Error())
	} else {
		c.try(originFull, s, n, r)
		told(originFullAgain, s.killed(pick(r, s)), 10)
	}
	if second, ok := told(originKilled, first.killed(pick(r, first)), 10); ok {
		if s, err := c.cutOff(second, r); err == nil {
			told(originKilledCut, s, 10)
		}
	}
	if s, err := c.cutOff(first, r); err == nil {
		if s, ok := told(originCut, s, 10); ok {
			told(originCutKilled, s.killed(pick(r, s)), 10)
		}
	}
}

func (c *campaign) cutOff(s story, r *rand.Rand) (story, error) {
	return s.cut(powercut.NewHistory(s.rec, c.faults), pick(r, s), powercut.Modes()[r.IntN(len(powercut.Modes()))], r.Uint64())
}

// pick is one of the story's positions, often one of the first: there is most
// to go wrong while a device is made or started.
func pick(r *rand.Rand, s story) int {
	const starting = 24
	at := s.positions()
	if len(at) > starting && r.IntN(2) == 0 {
		at = at[:starting]
	}
	return at[r.IntN(len(at))]
}

// report logs the table and fails for what is bad.
func (c *campaign) report(began time.Time) {
	c.t.Helper()
	took, n := time.Since(began), c.total()
	c.t.Logf("seed %d, %v, %.0f states a second, %d deaths\n%s",
		c.seed, took.Round(time.Millisecond), float64(n.states)/took.Seconds(), c.deaths, c.table())
	for _, bad := range c.bad {
		c.t.Error(bad)
	}
}

// TestCampaign cuts the power of boltlog at every kind of moment. With -states
// it does so as often as is wanted.
func TestCampaign(t *testing.T) {
	const stories = 7
	rounds := max(2, *statesFlag/1000)
	each := (*statesFlag + stories*rounds - 1) / (stories * rounds)
	c := newCampaign(t, *seedFlag)
	w := teller{t: t, driver: newDriver(t)}
	began := time.Now()
	for i := range rounds {
		c.round(w, *seedFlag+uint64(i), each)
	}
	c.report(began)
	if n := c.total(); n.states < *statesFlag*9/10 {
		t.Errorf("only %d states of %d: does the test still record anything?", n.states, *statesFlag)
	}
}

// TestKilledWhileStarting kills the process at every event of its very first
// start, and at every event of a later one, starts it again and cuts the power
// after that. What the first process only got into the page cache must not be
// taken for durable by the second.
func TestKilledWhileStarting(t *testing.T) {
	const steps, starting, started = 2, 50, 10 // states while it starts again, and after
	c := newCampaign(t, *seedFlag)
	w := teller{t: t, driver: newDriver(t)}
	began := time.Now()
	first, err := w.goOn(newStory(smallRing), steps, *seedFlag)
	if err != nil {
		t.Fatal(err)
	}
	again, err := w.goOn(first.killed(len(first.rec.Events)), steps, *seedFlag)
	if err != nil {
		t.Fatal(err)
	}
	for origin, s := range map[string]story{"killed in the first start": first, "killed in the second start": again} {
		for pos := s.from + 1; !s.opened(pos); pos++ {
			next, err := w.goOn(s.killed(pos), steps, *seedFlag+uint64(pos))
			if err != nil {
				c.found(origin, next, job{pos: len(next.rec.Events)}, err.Error())
				continue
			}
			r, open := rand.New(rand.NewPCG(*seedFlag, uint64(pos))), pos+1
			for open < len(next.rec.Events) && !next.opened(open) {
				open++
			}
			again := next
			again.rec = next.rec.Cut(open)
			c.try(origin, again, starting, r)
			next.from = open
			c.try(origin, next, started, r)
		}
	}
	c.report(began)
}

// opened reports whether event pos is that Open returned.
func (s story) opened(pos int) bool {
	e := s.rec.Events[pos-1]
	return e.Kind == powercut.Mark && s.marks[e.Mark].Opened != nil
}
