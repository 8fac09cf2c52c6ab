package raft

// Times in election timeouts.
const (
	// lostFor is for how long a device must have had no leader to count as lost. A
	// cluster that works changes its leader in a fraction of that.
	lostFor = 10
	// ledFor is for how long it must have heard one without a break to count as one
	// of a cluster that works. What the leader of a cluster that is gone said once,
	// and arrives late, is no such proof.
	ledFor = 5
)

// HearOf tells that a message came of another cluster, of the same key and name. If
// that was recovered from this device's cluster (SuccessorID), an operator gave up
// this one's majority for lost. Then this device neither votes nor campaigns any
// more, so that a majority that returns, and hears of it, commits nothing that its
// successor does not know of. It is not Raft, and not needed for its safety: the two
// clusters are apart by their UUIDs whatever happens.
//
// A cluster that works is not stopped by it, as whoever gave it up was in error: a
// device that has a leader, or had one a moment ago, goes on, and so does one that
// then hears one for a while. Nothing is stored: after a restart it takes part until
// it hears of the other again.
func (c *Core) HearOf(other ClusterID) {
	if !other.Succeeds(c.hard.Cluster) || c.hearsLeader() || c.fence.without < lostFor*c.cfg.ElectionTicks {
		return
	}
	c.fence.up = true
	if c.role != Follower {
		c.become(Follower, c.hard.Term, "")
	}
}

// fence is what HearOf says. with and without are for how many ticks there has been
// a leader, and none, as far as they matter.
type fence struct {
	up            bool
	with, without int
}

func (c *Core) tickFence() {
	f := &c.fence
	if !c.hearsLeader() {
		f.with, f.without = 0, min(f.without+1, lostFor*c.cfg.ElectionTicks)
		return
	}
	if f.with++; f.with >= ledFor*c.cfg.ElectionTicks {
		*f = fence{with: f.with}
	}
}
