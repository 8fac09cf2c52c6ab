package server

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// wallEvery is how often devices tell each other what their wall clocks show. It
// rides in heartbeats and their answers, so it costs six bytes then and nothing
// else.
const wallEvery = 10 * time.Second

// wallFresh is for how long it counts what a device said: it may be set meanwhile.
const wallFresh = 6 * wallEvery

// sayWall adds the wall clock to heartbeats and answers that leave while it is
// due: for as long as it takes to send one to each.
func (s *Server) sayWall(ms []raft.Message) {
	if s.cfg.Wall == nil || len(ms) == 0 {
		return
	}
	now := time.Now()
	if now.Sub(s.wallSaid) >= wallEvery {
		s.wallSaid = now
	}
	if now.Sub(s.wallSaid) > time.Duration(s.cfg.Core.HeartbeatTicks)*s.cfg.Tick {
		return
	}
	shown := uint64(min(max(s.cfg.Wall().Unix(), 0), raft.MaxWall))
	for i := range ms {
		switch ms[i].Body.(type) {
		case raft.AppendRequest, raft.AppendResponse:
			ms[i].Wall = shown
		}
	}
}

// wallClock is what another device said that its wall clock shows, and when.
type wallClock struct {
	shown uint64    // 0: it did not say
	at    time.Time // by this device's monotonic clock
}

func (w *wallClock) note(shown uint64) {
	if shown != 0 {
		w.shown, w.at = shown, time.Now()
	}
}

// ClockAhead is by how much a device's wall clock is ahead of one that shows own
// now, negative where it is behind; exact to about two seconds. It is not ok where
// the device has not said lately.
func (a *Acquaintance) ClockAhead(own time.Time) (ahead time.Duration, ok bool) {
	if a.wall.shown == 0 || time.Since(a.wall.at) > wallFresh {
		return 0, false
	}
	there := time.Unix(int64(a.wall.shown), 0).Add(time.Since(a.wall.at))
	return there.Sub(own.Round(0)), true
}
