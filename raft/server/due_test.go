package server

import (
	"math"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// dueTimes counts how often "is due" is in a list.
func dueTimes(d *device) int {
	n := 0
	for _, text := range d.app.all() {
		if text == "is due" {
			n++
		}
	}
	return n
}

// TestWhatFallsDueIsProposedInTimeNotBefore has something fall due on an idle
// cluster, whose leader otherwise sleeps from heartbeat to heartbeat.
func TestWhatFallsDueIsProposedInTimeNotBefore(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for _, from := range w.devices { // one leads, two do not
			before := dueTimes(w.devices[0])
			asked := time.Now()
			w.mustPropose(from, "due in 5000")
			w.eventually("it falls due", func() bool { return dueTimes(w.devices[0]) > before })
			if took := time.Since(asked); took <= 5*time.Second || took > 5*time.Second+dueEvery*time.Millisecond {
				t.Errorf("what is due in 5 s was so after %v", took)
			}
		}
		<-time.After(time.Minute)
		for _, d := range w.devices {
			if n := dueTimes(d); n != len(w.devices) {
				t.Errorf("device %s: %d times due, want %d", d.id, n, len(w.devices))
			}
		}
		w.haltAll()
	})
}

// TestTimeGoesOnOverALeadersDeath: what falls due does so neither too early nor
// much too late although the device that counted is gone, and another counts.
func TestTimeGoesOnOverALeadersDeath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		asked := time.Now()
		w.mustPropose(w.devices[0], "due in 30000")
		<-time.After(20 * time.Second) // idle: only heartbeats tell the time
		dead := w.leader()
		w.lan.setCut(dead.id, true)
		w.eventually("another leads", func() bool {
			return slices.ContainsFunc(w.devices, func(d *device) bool { return d != dead && w.status(d).Leader == d.id })
		})
		next := w.leader()
		w.eventually("it falls due", func() bool { return dueTimes(next) > 0 })
		if took := time.Since(asked); took <= 30*time.Second || took > 32*time.Second {
			t.Errorf("what is due in 30 s was so after %v", took)
		}
		w.lan.setCut(dead.id, false)
		w.eventually("the old leader hears of it", func() bool { return dueTimes(dead) > 0 })
		w.haltAll()
		for _, d := range w.devices {
			if n := dueTimes(d); n != 1 {
				t.Errorf("device %s: %d times due", d.id, n)
			}
		}
	})
}

// TestClusterTimeOutsideOfTheLoop holds that all devices agree on it, about.
func TestClusterTimeOutsideOfTheLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		<-time.After(time.Minute)
		at := w.leader().ClusterTime()
		if at < 60_000 || at > 70_000 {
			t.Errorf("it is %d ms, after a minute and the founding", at)
		}
		for _, d := range w.devices {
			if have := d.ClusterTime(); have > at || have+1000 < at {
				t.Errorf("device %s believes it is %d, the leader %d", d.id, have, at)
			}
		}
		w.haltAll()
	})
}

// TestWhatIsDueAtTheEndOfTime: an App that means "never" by the last moment there
// is does not keep the loop from sleeping.
func TestWhatIsDueAtTheEndOfTime(t *testing.T) {
	for _, c := range []struct {
		wait, tick raft.Time
		want       int
	}{{0, 50, 0}, {1, 50, 1}, {50, 50, 1}, {51, 50, 2}, {math.MaxUint64, 50, math.MaxInt32}, {math.MaxUint64 - 10, 1, math.MaxInt32}} {
		if have := ticksFor(c.wait, c.tick); have != c.want {
			t.Errorf("%d ms in ticks of %d: %d, want %d", c.wait, c.tick, have, c.want)
		}
	}
}
