package rafttest

import "github.com/edgeraft/edgeraft/raft"

// The trials. Each breaks something that stays broken, and says what the
// cluster must do all the same. It is repaired by the caller.

// tryPowerCut: all start at the same moment, with equal clocks and delays, and
// only chance can tell them apart (§3.4).
func (c *campaign) tryPowerCut(lead, _ *Node) {
	for _, n := range c.Nodes {
		n.Crash()
	}
	c.Net.MinDelay, c.Net.MaxDelay = Tick/4, Tick/4
	for _, n := range c.Nodes {
		n.SetClock(1000)
		n.Start()
	}
	c.commits(lead, c.anElection())
}

// tryRestart: what is proposed on a device that has just started is committed
// in the same term, though the leader remembers what it said before.
func (c *campaign) tryRestart(lead, other *Node) {
	for range 3 {
		c.commits(other, c.real(4*ElectionTicks))
	}
	term := lead.Status().Term
	other.Crash()
	other.Start()
	c.commits(other, c.anElection())
	if c.majorityWithout(1) && !lead.leads(term) {
		c.violate("one fault costs no leader", "%s: %v leads no more", c.trial, lead)
	}
}

// majorityWithout reports whether a majority is left without so many voters.
func (c *campaign) majorityWithout(n int) bool {
	conf := c.Nodes[0].Status().Config
	if lead := c.Leader(); lead != nil {
		conf = lead.Status().Config
	}
	return conf.Voters()-n >= conf.Quorum()
}

// tryTransfer: proposals wait while leadership is handed over, or the successor
// would never hold all of the log (§3.10).
func (c *campaign) tryTransfer(lead, other *Node) {
	c.Net.MinDelay, c.Net.MaxDelay = Tick/2, Tick
	const tries = 5 // it takes a few round trips, and is given up in time
	period := Time(c.real(2*ElectionTicks)) * Tick
	if p := c.profile; !p.tiny && p.piece == 0 && !(p.tight && p.snapshots) { // or the successor is behind for good
		c.load(tries * c.real(2*ElectionTicks))
	}
	next := c.clock.now + 2*Tick
	c.within(tries*c.real(2*ElectionTicks), other.String()+" leads", func() bool {
		if c.clock.now >= next {
			next = c.clock.now + period
			_ = c.Transfer(lead.Index, other.Index)
		}
		return other.core.Role() == raft.Leader
	})
}

func (c *campaign) tryCrash(lead, other *Node) {
	lead.Crash()
	c.commits(other, c.anElection())
}

// tryDeafLeader: its heartbeats keep the others quiet, so it must go by itself
// (CheckQuorum, §6.2).
func (c *campaign) tryDeafLeader(lead, other *Node) {
	c.cut(lead, true, false)
	c.commits(other, c.real(2*ElectionTicks)+c.anElection())
}

func (c *campaign) tryMuteLeader(lead, other *Node) {
	c.cut(lead, false, true)
	c.commits(other, c.real(2*ElectionTicks)+c.anElection())
}

// trySuspended: a leader that did not run for long, and to which learners still
// listen, must not answer a read, though it does not know yet that it is replaced.
func (c *campaign) trySuspended(lead, other *Node) {
	c.cut(lead, true, true)
	conf := lead.Status().Config
	for _, m := range conf.Members {
		if n := c.node(m.ID); m.Role != raft.Voter {
			c.cut(n, true, true)
			delete(c.Net.cut, link{n.Index, lead.Index})
			delete(c.Net.cut, link{lead.Index, n.Index})
		}
	}
	ticks := c.real(2*ElectionTicks) + c.anElection()
	lead.Pause(ticks)
	c.After(ticks, func() {
		if r := c.Read(lead.Index); r != nil {
			c.reads = append(c.reads, r)
		}
	})
	c.commits(other, ticks)
	c.RunUntil(ticks, func() bool { return lead.paused < c.clock.now })
	c.RunFor(ElectionTicks)
}

// tryLeaderDisk: commits go on without the leader's disk until too much is
// unsaved, and then with another leader.
func (c *campaign) tryLeaderDisk(lead, other *Node) {
	lead.Disk.Stick()
	c.load(c.real(2 * ElectionTicks))
	c.RunFor(c.real(2 * ElectionTicks))
	c.commits(other, c.real(StallTicks+2*ElectionTicks)+c.anElection())
}

// tryZombie: a leader that can commit nothing must not go on leading, however
// well it is heard.
func (c *campaign) tryZombie(lead, _ *Node) {
	conf := lead.Status().Config
	stuck := 0
	for _, m := range conf.Members {
		if n := c.node(m.ID); m.Role == raft.Voter && n != lead && stuck <= conf.Voters()-conf.Quorum() {
			n.Disk.Stick()
			stuck++
		}
	}
	term := lead.Status().Term
	c.Propose(lead.Index, nil)
	c.within(c.real(StallTicks+2*HeartbeatTicks), "the leader gives up", func() bool { return !lead.leads(term) })
}

// tryAway: one that was away disturbs nobody when it comes back (PreVote, §9.6).
func (c *campaign) tryAway(lead, other *Node) {
	c.cut(other, true, true)
	c.commits(lead, c.real(2*ElectionTicks))
	c.undisturbed(lead, c.real(6*ElectionTicks))
	c.commits(lead, c.real(2*ElectionTicks))
	c.tracef("--- %v comes back ---", other)
	c.Net.Repair()
	c.undisturbed(lead, c.real(4*ElectionTicks))
	c.commits(other, c.real(4*ElectionTicks))
}

// tryDeafVoter: it cannot hear the leader, but others can (§4.2.3).
func (c *campaign) tryDeafVoter(lead, other *Node) {
	c.Net.Cut(lead.Index, other.Index)
	c.undisturbed(lead, c.real(6*ElectionTicks))
	c.commits(lead, c.real(2*ElectionTicks))
}

func (c *campaign) tryMuteVoter(lead, other *Node) {
	c.Net.Cut(other.Index, lead.Index)
	c.undisturbed(lead, c.real(4*ElectionTicks))
	c.commits(lead, c.real(2*ElectionTicks))
}

// tryVoterDisk: a minority's disk costs nothing, not even its own clients.
func (c *campaign) tryVoterDisk(lead, other *Node) {
	other.Disk.Stick()
	c.load(ElectionTicks)
	c.undisturbed(lead, c.real(4*ElectionTicks))
	c.commits(lead, c.real(2*ElectionTicks))
}

// tryTransferToNobody: a hand-over that leads to nothing ends by itself.
func (c *campaign) tryTransferToNobody(lead, other *Node) {
	c.cut(other, true, true)
	if err := c.Transfer(lead.Index, other.Index); err != nil {
		c.violate("transfer", "%s: %v", c.trial, err)
	}
	term := lead.Status().Term
	c.commits(lead, c.real(4*ElectionTicks))
	if !lead.leads(term) {
		c.violate("one fault costs no leader", "%s: it ended the leadership of %v in term %d", c.trial, lead, term)
	}
}

// tryRemoval: one that was removed, and does not know, disturbs nobody, and
// learns of it (§4.2.3).
func (c *campaign) tryRemoval(lead, other *Node) {
	c.cut(other, true, true)
	c.within(c.real(2*ElectionTicks), "its removal begins, perhaps after another got its vote", func() bool {
		return c.Change(lead.Index, raft.Change{Kind: raft.Remove, ID: other.ID}) == nil
	})
	c.commits(lead, c.real(2*ElectionTicks))
	c.undisturbed(lead, c.real(4*ElectionTicks))
	c.Net.Repair()
	c.undisturbed(lead, c.real(4*ElectionTicks))
	if c.Failed() == nil && !other.core.Removed() {
		c.violate("the removed learn of it", "%v was removed long ago, can reach all others, and does not know", other)
	}
}

// tryWill: who hears of its leader's end waits for no election timeout.
func (c *campaign) tryWill(lead, other *Node) {
	lead.Crash()
	c.RunFor(1) // what it said last comes before
	for i := range c.Nodes {
		if i != lead.Index {
			c.Suspect(i, lead.Index)
		}
	}
	c.within(c.real(ElectionTicks-2), "somebody campaigns", func() bool {
		for _, n := range c.Nodes {
			if n.core != nil && n.core.Role() != raft.Follower {
				return true
			}
		}
		return false
	})
	c.commits(other, c.anElection())
}

// tryLies: that a leader is said to be gone ends no leadership while it is
// heard. Where clocks run very wrong two heartbeats may seem far apart.
func (c *campaign) tryLies(lead, other *Node) {
	const ticks = 6 * ElectionTicks
	for t := range ticks {
		c.After(t, func() {
			if c.trial == "" {
				return
			}
			for i := range c.Nodes {
				c.Suspect(i, lead.Index)
			}
		})
	}
	if c.profile.skew <= 100 {
		c.undisturbed(lead, ticks)
	}
	c.commits(other, c.anElection())
}
