package raft

// falseHint is for how many election timeouts no hint is taken after a false one.
const falseHint = 10

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
//
// When the leader is heard again in the same term the hint was false, and for
// falseHint election timeouts no other is taken. Otherwise a flood of them would
// make every heartbeat that is lost on a poor network a reason to replace the
// leader.
func (c *Core) SuspectLeader(id NodeID) {
	if c.role != Follower || id == "" || c.leader != id || c.suspicious || c.disbelief > 0 {
		return
	}
	c.suspicious = true
	c.hintTerm = c.hard.Term
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
	if c.hintTerm != 0 && c.hintTerm == c.hard.Term {
		c.hintTerm, c.disbelief = 0, falseHint*c.cfg.ElectionTicks
	}
	if c.suspicious {
		c.suspicious = false
		c.timeout = c.cfg.ElectionTicks + c.cfg.Random(c.cfg.ElectionTicks)
	}
}
