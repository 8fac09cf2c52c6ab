package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// What wall clocks show gets around, seldom, and also after one was set; one that
// is before 1970 or beyond all years harms nothing.
func TestWallClocksAreCompared(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		leader := w.leader()
		var other *device
		for _, d := range w.devices {
			if d != leader {
				other = d
			}
		}
		differ := func(by time.Duration) {
			t.Helper()
			other.ahead.Store(int64(by))
			w.eventually("the leader and the other know of it", func() bool {
				a, b := w.status(leader).Known[other.id], w.status(other).Known[leader.id]
				there, ok1 := a.ClockAhead(leader.wall())
				here, ok2 := b.ClockAhead(other.wall())
				return ok1 && ok2 && (there-by).Abs() <= 2*time.Second && (here+by).Abs() <= 2*time.Second
			})
		}
		for _, by := range []time.Duration{0, 3 * time.Hour, -40 * time.Minute} {
			differ(by)
		}
		for _, by := range []time.Duration{-time.Hour * 24 * 365 * 90, 1<<63 - 1} {
			other.ahead.Store(int64(by))
			w.mustPropose(other, "with a clock that is nonsense")
		}
		w.haltAll()
	})
}

// The clock is said to all within a heartbeat, and then not for a while.
func TestWallClocksAreSaidSeldom(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		s := &Server{cfg: Config{Core: raft.Config{HeartbeatTicks: 10}, Tick: testTick, Wall: time.Now}}
		said := 0
		for range 60 * 10 { // a minute, in steps of 100 ms
			ms := []raft.Message{{Body: raft.AppendRequest{}}, {Body: raft.VoteRequest{}}, {Body: raft.AppendResponse{}}}
			s.sayWall(ms)
			if ms[1].Wall != 0 || ms[0].Wall != ms[2].Wall {
				t.Fatalf("%+v", ms)
			}
			if ms[0].Wall != 0 {
				said++
			}
			<-time.After(100 * time.Millisecond)
		}
		if said < 6*5 || said > 6*6 {
			t.Errorf("%d of 600 heartbeats tell of the clock", said)
		}
	})
}
