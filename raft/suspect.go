package raft

// SuspectLeader takes the hint that a device is gone, such as the will of its
// connection to a broker. It matters only if that is the leader this follower
// hears, and even then changes nothing by itself: from now on silence of one and
// a half heartbeats counts as what else takes the least election timeout, until
// the leader is heard again. After so much silence this follower may ask whether
// it could win an election, by pre-vote (§9.6), and lets others have its answer.
//
// So the hint need not be true, and whoever makes it up gains nothing. Votes and
// what is committed do not depend on it: all that it touches is hearsLeader,
// which protects a leader from being disturbed (§4.2.3) and no promise, since
// reads are confirmed by a round of heartbeats and not by a lease. And a leader
// that lives keeps being heard, so that its followers refuse the pre-vote.
func (c *Core) SuspectLeader(id NodeID) {
	if c.role != Follower || id == "" || c.leader != id || c.suspicious {
		return
	}
	c.suspicious = true
	// Not all at once: who hears of it may be any number.
	c.timeout = min(c.timeout, c.patience()+c.cfg.Random(c.cfg.HeartbeatTicks))
}

// patience is how many ticks a leader may be silent before this device helps to
// replace it.
func (c *Core) patience() int {
	if c.suspicious {
		return min(c.cfg.HeartbeatTicks*3/2+1, c.cfg.ElectionTicks)
	}
	return c.cfg.ElectionTicks
}

// heardLeader notes a sign of life of the leader.
func (c *Core) heardLeader() {
	c.elapsed = 0
	if c.suspicious {
		c.suspicious = false
		c.timeout = c.cfg.ElectionTicks + c.cfg.Random(c.cfg.ElectionTicks)
	}
}
