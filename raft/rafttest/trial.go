package rafttest

import "github.com/edgeraft/edgeraft/raft"

// trial is a lasting fault that comes upon a cluster at rest. Random faults
// come and go too fast to show whether a cluster can live with one, and a
// cluster that needs the fault to end before it recovers passes them all.
type trial struct {
	name string
	// least is with how many voters there is a majority without the devices
	// that the fault takes.
	least int
	run   func(*campaign, *Node, *Node)
}

// trials are given the leader, and a voter beside it (nil if there is none).
var trials = []trial{
	{"power cut", 1, (*campaign).tryPowerCut},
	{"a voter restarts", 2, (*campaign).tryRestart},
	{"a hand-over under load", 2, (*campaign).tryTransfer},
	{"the leader crashes", 3, (*campaign).tryCrash},
	{"the leader hears nobody", 3, (*campaign).tryDeafLeader},
	{"nobody hears the leader", 3, (*campaign).tryMuteLeader},
	{"the leader is suspended among learners", 3, (*campaign).trySuspended},
	{"the disk of the leader hangs", 3, (*campaign).tryLeaderDisk},
	{"the disks of too many hang", 3, (*campaign).tryZombie},
	{"a voter is away, and comes back", 3, (*campaign).tryAway},
	{"a voter does not hear the leader", 3, (*campaign).tryDeafVoter},
	{"the leader does not hear a voter", 3, (*campaign).tryMuteVoter},
	{"the disk of a voter hangs", 3, (*campaign).tryVoterDisk},
	{"a hand-over to one that is gone", 3, (*campaign).tryTransferToNobody},
	{"a voter is removed while it is away", 3, (*campaign).tryRemoval},
	{"a voter is dead, and a learner takes its place", 3, (*campaign).tryDead},
}

// hints are trials of SuspectLeader. They have a chance of their own.
var hints = []trial{
	{"the leader is gone, and said to be", 3, (*campaign).tryWill},
	{"the leader is said to be gone, and is not", 3, (*campaign).tryLies},
}

// try puts the cluster, which has converged, to one trial, and demands that it
// converges once more when that is over.
func (c *campaign) try(from []trial, rng *Rand) {
	lead := c.Leader()
	if c.Failed() != nil || lead == nil {
		return
	}
	var voters []*Node
	for _, m := range lead.Status().Config.Members {
		if n := c.node(m.ID); m.Role == raft.Voter && n != lead {
			voters = append(voters, n)
		}
	}
	var fitting []trial
	for _, t := range from {
		if t.least <= len(voters)+1 {
			fitting = append(fitting, t)
		}
	}
	if len(fitting) == 0 {
		return
	}
	t := fitting[rng.Intn(len(fitting))]
	var other *Node
	if len(voters) > 0 {
		other = voters[rng.Intn(len(voters))]
	}
	c.res.Faults++
	c.tracef("--- trial: %s; %v leads, the other is %v ---", t.name, lead, other)
	c.trial = t.name
	t.run(c, lead, other)
	c.trial = ""
	c.recover()
	c.converge()
}

// real is how long ticks of a device may take whose clock is the slowest.
func (c *campaign) real(ticks int) int { return ticks*(1000+c.profile.skew)/1000 + 1 }

// anElection is how long one may take, with some bad luck.
func (c *campaign) anElection() int { return c.real(15 * ElectionTicks) }

// within demands that something comes true in so many ticks.
func (c *campaign) within(ticks int, what string, ok func() bool) {
	if !c.RunUntil(ticks, ok) {
		c.violate("recovery from one lasting fault", "%s: not within %d ticks: %s", c.trial, ticks, what)
	}
}

// undisturbed lets time pass in which the leader must stay what it is.
func (c *campaign) undisturbed(lead *Node, ticks int) {
	if c.Failed() != nil {
		return
	}
	term := lead.core.State().Term
	if c.RunUntil(ticks, func() bool { return !lead.leads(term) }) {
		c.violate("one fault costs no leader", "%s: it ended the leadership of %v in term %d", c.trial, lead, term)
	}
}

// leads reports whether n leads in a term.
func (n *Node) leads(term raft.Term) bool {
	return n.core != nil && n.core.Role() == raft.Leader && n.core.State().Term == term
}

// commits demands that something which a client proposes on n, again when it is
// refused, is committed in so many ticks.
func (c *campaign) commits(n *Node, ticks int) {
	var op *Op
	next := c.clock.now
	c.within(ticks, "a proposal on "+n.String()+" is committed", func() bool {
		if op == nil || op.Outcome != Open && op.Outcome != Committed && c.clock.now >= next {
			next = c.clock.now + Tick
			op = c.Propose(n.Index, make([]byte, c.rng.Intn(200)))
			c.ops = append(c.ops, op)
		}
		_, done := c.check.byID[op.ID] // the device itself may be told by a snapshot
		return done && op.ID != 0
	})
}

// load keeps clients on all devices proposing, faster than a round trip, for
// some ticks or until the trial ends.
func (c *campaign) load(ticks int) {
	end := c.clock.now + Time(ticks)*Tick
	var more func()
	more = func() {
		if c.clock.now >= end || c.trial == "" {
			return
		}
		c.ops = append(c.ops, c.Propose(c.rng.Intn(len(c.Nodes)), make([]byte, 100)))
		c.clock.after(c.rng.Between(1, Tick/2), more)
	}
	more()
}

// cut breaks all ways to a node, or from it.
func (c *campaign) cut(n *Node, to, from bool) {
	for i := range c.Nodes {
		if i != n.Index && to {
			c.Net.Cut(i, n.Index)
		}
		if i != n.Index && from {
			c.Net.Cut(n.Index, i)
		}
	}
}
