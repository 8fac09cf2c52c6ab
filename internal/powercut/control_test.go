package powercut_test

import (
	"math/rand/v2"
	"testing"

	"github.com/edgeraft/edgeraft/internal/powercut"
)

// The controls: what is known to lose data must be seen to lose it. A campaign
// that finds nothing in them finds nothing anywhere.

const (
	controlStates = 150
	controlBad    = controlStates / 20 // the least that must be found
)

func control(t *testing.T, faults powercut.Faults, w teller, change func(story) story) {
	c := newCampaign(t, *seedFlag)
	c.faults = faults
	w.t, w.driver = t, newDriver(t)
	s, err := w.goOn(newStory(smallRing), 30, *seedFlag)
	if err != nil {
		t.Fatal(err)
	}
	if change != nil {
		s = change(s)
	}
	c.try("control", s, controlStates, rand.New(rand.NewPCG(*seedFlag, 3)))
	n := c.total()
	t.Logf("%d of %d states are bad", n.bad, n.states)
	if n.bad < controlBad {
		t.Errorf("%d of %d states are bad, at least %d should be: this test does not bite", n.bad, n.states, controlBad)
	}
}

// TestControlLyingDisk: the disk says that it has synced, and has not.
func TestControlLyingDisk(t *testing.T) {
	control(t, powercut.Faults{Lies: true}, teller{}, nil)
}

// TestControlLateSync: each sync comes after the acknowledgement it should
// have come before.
func TestControlLateSync(t *testing.T) {
	control(t, powercut.Faults{}, teller{}, func(s story) story {
		var late, out []powercut.Event
		for _, e := range s.rec.Events {
			switch {
			case e.Kind == powercut.Sync:
				late = append(late, e)
			case e.Kind == powercut.Mark && s.marks[e.Mark].Start == nil:
				out = append(append(out, e), late...)
				late = nil
			default:
				out = append(out, e)
			}
		}
		s.rec.Events = append(out, late...)
		return s
	})
}

// TestControlEarlyAcknowledgement: the log answers first, and saves when it is
// asked the next time.
func TestControlEarlyAcknowledgement(t *testing.T) {
	control(t, powercut.Faults{}, teller{early: true}, nil)
}
