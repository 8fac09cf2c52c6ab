package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// deadTicks is how long a voter is silent until it counts as dead.
const deadTicks = 5 * ElectionTicks

// tryDead: a learner takes the place of a voter that is dead, which is taken back
// when it returns. The votes are changed as the driver does; no step of it may
// leave fewer voters that live, or more than one too many. The voter is dead for
// as long as that takes, and before it a device that is to take its place is
// brought in, where there is none.
func (c *campaign) tryDead(lead, other *Node) {
	conf := lead.Status().Config
	voters := conf.Voters()
	if voters%2 == 0 || !c.spareLearner(lead) {
		c.tryAway(lead, other)
		return
	}
	c.planVotes(voters)
	other.Crash()
	c.within(c.real(deadTicks+20*ElectionTicks)+c.anElection(), fmt.Sprintf("a learner takes the place of %v", other), func() bool {
		now := c.Leader()
		if now == nil {
			return false
		}
		conf := now.Status().Config
		return conf.Voters() == voters && !conf.IsVoter(other.ID) && now.Status().ConfigIndex <= now.Status().Commit
	})
	c.commits(lead, c.anElection())
	c.tracef("--- %v comes back ---", other)
	other.Start()
	c.commits(other, c.anElection())
	if lead := c.Leader(); lead != nil && c.Failed() == nil {
		if m, ok := lead.Status().Config.Member(other.ID); !ok || m.Role != raft.Learner {
			c.violate("the dead are taken back", "%v is %+v", other, m)
		}
	}
}

// spareLearner waits until a learner stands ready, and reports whether one does.
func (c *campaign) spareLearner(lead *Node) bool {
	for _, m := range lead.Status().Config.Members {
		if p := lead.Status().Peers[m.ID]; m.Role == raft.Learner && p.CaughtUp {
			return true
		}
	}
	return false
}

// planVotes lets leaders give and take votes while the trial lasts, and checks
// each change that they make.
func (c *campaign) planVotes(voters int) {
	trial := c.trial
	policy := raft.VoterPolicy{MaxVoters: voters, MaxSilent: 3 * HeartbeatTicks, DeadAfter: deadTicks}
	var look func()
	look = func() {
		if c.trial != trial {
			return
		}
		for _, n := range c.Nodes {
			if !n.Up() || n.Status().Role != raft.Leader {
				continue
			}
			before := n.Status().Config
			ch, ok := raft.NextVoterChange(n.Status(), policy)
			if !ok || c.Change(n.Index, ch) != nil {
				continue
			}
			after := n.Status().Config
			if c.living(after) < c.living(before) || after.Voters() > voters+1 {
				c.violate("votes of the dead go to the living", "%v makes %v of %v by %+v", n, after.Members, before.Members, ch)
			}
		}
		c.clock.after(Tick, look)
	}
	look()
}

// living counts the voters that run.
func (c *campaign) living(conf *raft.Configuration) int {
	n := 0
	for _, m := range conf.Members {
		if m.Role == raft.Voter && c.node(m.ID).Up() {
			n++
		}
	}
	return n
}
