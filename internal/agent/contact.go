package agent

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// lostLeader notes when a device that leads no more was last heard, which is
// how stale this one's state may be from then on.
func (d *device) lostLeader(leader raft.NodeID) {
	at := time.Now()
	if leader == d.self {
		// It led until it missed its followers for so long.
		at = at.Add(-d.cfg.Timing.Election)
	} else if ago, ok := d.heard()[leader]; ok {
		at = at.Add(-ago)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.leaderHeard = at
}

// leaderContact is how long ago a leader was last heard, given the present
// one, "" for none. It is not ok when none was since this device started.
func (d *device) leaderContact(leader raft.NodeID) (ago time.Duration, ok bool) {
	switch leader {
	case d.self:
		return 0, true
	case "":
		d.mu.Lock()
		defer d.mu.Unlock()
		return time.Since(d.leaderHeard), !d.leaderHeard.IsZero()
	}
	ago, ok = d.heard()[leader]
	return ago, ok
}
