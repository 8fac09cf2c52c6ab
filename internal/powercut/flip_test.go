package powercut_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgeraft/edgeraft/internal/powercut"
)

// flips are the outcomes of some flipped bits.
type flips struct{ refused, unharmed, lost, wrong int }

func (n flips) String() string {
	return fmt.Sprintf("refused %d, unharmed %d, newest save lost %d, wrong or dead %d", n.refused, n.unharmed, n.lost, n.wrong)
}

// TestFlippedBits flips one bit at a time all over the files that a device left
// when it was started and stopped. Either Open refuses them, or it finds exactly
// what was acknowledged.
//
// The same with a device that was killed while it worked. Nobody can tell a bit
// that flipped in the newest save from a save that a power cut tore, and no
// later save is there to show that it was acknowledged: so there, and only
// there, it may be missing.
func TestFlippedBits(t *testing.T) {
	w := teller{t: t, driver: newDriver(t)}
	killed, err := w.goOn(newStory(smallRing+12), 25, *seedFlag)
	if err != nil {
		t.Fatal(err)
	}
	stopped, err := w.stopped(killed, 0)
	if err != nil {
		t.Fatal(err)
	}
	closed, err := w.stopped(killed, 5)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range []struct {
		how string
		story
		lost bool // the newest save may be
	}{{"stopped", stopped, false}, {"worked and stopped", closed, false}, {"killed", killed, true}} {
		im := powercut.NewHistory(s.rec, powercut.Faults{}).Cached(len(s.rec.Events))
		c := newCampaign(t, *seedFlag)
		if err := c.load(0, s.story); err != nil {
			t.Fatal(err)
		}
		for _, name := range []string{"log.db", "identity"} {
			n := c.flip(s.story, im, name, max(500, *statesFlag/4), s.lost)
			t.Logf("%s, %s of %d bytes: %s", s.how, name, fileSize(t, im, name), n)
			// The database knows what the identity file says, which has a checksum.
			if found := n.refused > 0; found != (name == "log.db") {
				t.Errorf("flips in %s are refused: %v", name, found)
			}
		}
	}
}

func fileSize(t *testing.T, im *powercut.Image, name string) int64 {
	t.Helper()
	i, ok := im.Lookup(dataDir, name)
	if !ok {
		t.Fatalf("there is no file %s", name)
	}
	return im.Size(i)
}

// flip tries n bits of a file, half of them at the start of a page.
func (c *campaign) flip(s story, im *powercut.Image, name string, n int, mayLose bool) flips {
	c.t.Helper()
	var out flips
	file, _ := im.Lookup(dataDir, name)
	r := rand.New(rand.NewPCG(c.seed, 4))
	dir := filepath.Join(c.dir, "flipped")
	for range n {
		at := r.Int64N(im.Size(file))
		if r.IntN(2) == 0 {
			at = min(at/powercut.BlockSize*powercut.BlockSize+r.Int64N(128), im.Size(file)-1)
		}
		bit := uint(r.IntN(8))
		harmed := im.Clone()
		harmed.Flip(file, at, bit)
		a, err := c.inspect(dir, harmed, len(s.marks))
		switch {
		case err != nil || a.Verdict != "" || a.Lost > 1 || a.Lost > 0 && !mayLose:
			out.wrong++
			c.t.Errorf("%s, byte %d, bit %d: %s %v, %d saves lost", name, at, bit, a.Verdict, err, a.Lost)
			if err != nil {
				c.restart(s)
			}
		case a.Damaged:
			out.refused++
		case a.Lost > 0:
			out.lost++
		default:
			out.unharmed++
		}
	}
	return out
}

func (c *campaign) inspect(dir string, im *powercut.Image, upto int) (reply, error) {
	if err := os.RemoveAll(dir); err != nil {
		return reply{}, err
	}
	if err := im.Materialise(dir); err != nil {
		return reply{}, err
	}
	return c.checkers[0].call(request{Op: "inspect", Dir: dir, Upto: upto})
}

// restart replaces the first checker, which died.
func (c *campaign) restart(s story) {
	c.t.Helper()
	c.checkers[0] = newDriver(c.t)
	if err := c.load(0, s); err != nil {
		c.t.Fatal(err)
	}
}

// stopped starts the device once more, has it save a few times, and closes it
// in order.
func (w teller) stopped(s story, saves int) (story, error) {
	disk, dir := mount(w.t, s.rec)
	r := &run{story: s, disk: disk, dir: dir, driver: w.driver}
	defer unmount(w.t, disk)
	var err error
	if r.now, err = s.promised(len(s.rec.Events)); err != nil {
		return s, err
	}
	if err := r.open(); err != nil {
		return s, err
	}
	work := workload{r: rand.New(rand.NewPCG(*seedFlag, 5))}
	for range saves {
		if err := r.save(work.next(r.now.Content)); err != nil {
			return s, err
		}
	}
	if _, err := r.call(request{Op: "close"}); err != nil {
		return s, fmt.Errorf("stop in order: %w", err)
	}
	r.story.rec = disk.Recording()
	return r.story, nil
}
