package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Phases of a run, in ticks.
const (
	faultyTicks   = 600
	recoveryTicks = 1000 // the bound for convergence
	idleTicks     = 100
	lateTicks     = 100 // how late a message arrives at most
	trialsPerRun  = 2
)

// Result says what a run did.
type Result struct {
	Seed      uint64
	Events    int
	Faults    int
	Committed int // entries
	Acked     int // proposals
	Reads     int // answered
	Snapshots int // taken
	Restores  int
	// In runs with a key/value state: operations judged, keys recognised as
	// repetitions and refused, and keys that expired.
	Operations, Repeated, Refused, Expired int
	// In runs of RunRescue: clusters that were recovered, committed entries that this
	// kept and lost, in how many runs a majority of the old members came back, and in
	// how many of those all were told of the new cluster at once.
	Rescues, Kept, Lost, Quorate, Fenced int
	Recovery                             int // ticks from the end of the faults to convergence
	Violation                            *Violation
}

// Run runs one seed: a random mixture of faults under load, in which safety
// must hold; then none, in which the cluster must converge in bounded time and
// rest; then trials, one lasting fault each. A violation comes with the newest events: the run is repeated for them.
func Run(seed uint64, events int) Result {
	res := run(seed, 0)
	if res.Violation != nil && events > 0 {
		if traced := run(seed, events); traced.Violation != nil {
			return traced
		}
		res.Violation.What += " (NOT REPEATABLE: the run depends on more than the seed)"
	}
	return res
}

// campaign is one run under way.
type campaign struct {
	*Cluster
	rng     *Rand
	profile profile
	res     Result
	ending  bool
	reads   []*ReadOp
	ops     []*Op
	trial   string // the one under way
	shop    *shop  // nil in runs without a key/value state
}

func run(seed uint64, trace int) Result {
	rng := NewRand(seed)
	p := newProfile(rng.Fork())
	c := &campaign{rng: rng.Fork(), profile: p, res: Result{Seed: seed}}
	opts := Options{
		Seed: seed, Voters: p.voters, Blank: p.blank, Config: p.config, Sleepy: p.sleepy, Trace: trace, SnapshotBytes: p.every,
	}
	if p.shop {
		c.shop = newShop(c, c.rng.Fork())
		opts.App = c.shop.open
	}
	c.Cluster = New(opts)
	c.tracef("profile %+v", p)
	if p.voters == 0 {
		if err := c.Found(0, ClusterID); err != nil {
			c.violate("founding", "n0: %v", err)
		}
	}
	for _, n := range c.Nodes {
		n.SetClock(1000 - p.skew + c.rng.Intn(2*p.skew+1))
	}
	c.setNet()
	c.planFault()
	c.planClient()
	c.planMembership()
	lies := NewRand(seed ^ liesSeed)
	if lies.Chance(200) {
		c.planLies(lies)
	}
	fill := NewRand(seed ^ fullSeed)
	if fill.Chance(250) {
		c.planFull(fill)
	}
	if p.snapshots {
		c.planSnapshot()
	}
	if c.shop != nil {
		c.shop.employ(c.rng.Fork())
	}
	c.RunFor(faultyTicks)
	c.recover()
	c.converge()
	if c.shop != nil {
		c.shop.expireAll()
		c.converge()
		c.shop.close()
		c.res.Operations, c.res.Repeated, c.res.Refused, c.res.Expired = c.shop.history.Len(), c.shop.repeats, c.shop.refused, len(c.shop.expired)
	}
	c.idle()
	for range trialsPerRun {
		c.try(trials, c.rng)
	}
	c.try(fullTrials, fill)
	c.try(hints, lies) // the last: lies go on for a while
	c.res.Events, c.res.Violation = c.Events(), c.Failed()
	c.res.Snapshots, c.res.Restores = c.snapshots, c.restores
	c.res.Committed = len(c.check.committed.entries)
	for _, op := range c.ops {
		if op.Outcome == Committed {
			c.res.Acked++
		}
	}
	for _, r := range c.reads {
		if r.Done {
			c.res.Reads++
		}
	}
	return c.res
}

// planClient keeps clients proposing, reading and giving up.
func (c *campaign) planClient() {
	c.clock.after(c.rng.Between(1, Time(c.profile.pace)*Tick), func() {
		if c.ending {
			return
		}
		c.clientStep()
		c.planClient()
	})
}

func (c *campaign) clientStep() {
	i := c.rng.Intn(len(c.Nodes))
	for _, n := range c.Nodes { // also one that leads no longer, and does not know
		if n.Status().Role == raft.Leader && c.rng.Chance(300) {
			i = n.Index
		}
	}
	switch d := c.rng.Intn(10); {
	case d < 6:
		for range 1 + c.rng.Intn(c.profile.burst) {
			c.ops = append(c.ops, c.Propose(i, make([]byte, c.rng.Intn(200))))
		}
	case d < 9:
		if r := c.Read(i); r != nil {
			c.reads = append(c.reads, r)
		}
	default:
		if open := c.OpenOps(); len(open) > 0 {
			c.Cancel(open[c.rng.Intn(len(open))])
		}
	}
}

// planMembership lets leaders admit the blank devices and promote some, as the
// driver does, and where the profile says so change the rest at random.
func (c *campaign) planMembership() {
	c.clock.after(c.rng.Between(Tick, 20*Tick), func() {
		if c.ending && !c.profile.churn {
			c.admit()
		}
		if c.ending {
			return
		}
		c.admit()
		if c.profile.churn && c.rng.Chance(300) {
			c.churn()
		}
		c.planMembership()
	})
}

// liesSeed makes the chance behind lies one of its own, so that they change
// nothing else in a run.
const liesSeed = 0x6c6965

// planLies lets some hear that a device is gone, which may be true.
func (c *campaign) planLies(rng *Rand) {
	c.clock.after(rng.Between(1, 20*Tick), func() {
		if c.ending {
			return
		}
		gone := rng.Intn(len(c.Nodes))
		if lead := c.Leader(); lead != nil && rng.Chance(700) {
			gone = lead.Index
		}
		for i := range c.Nodes {
			if rng.Chance(700) {
				c.Suspect(i, gone)
			}
		}
		c.planLies(rng)
	})
}

// planSnapshot lets nodes take snapshots at random moments, beside those that
// what they applied calls for.
func (c *campaign) planSnapshot() {
	c.clock.after(c.rng.Between(Tick, 30*Tick), func() {
		if c.ending {
			return
		}
		c.TakeSnapshot(c.rng.Intn(len(c.Nodes)))
		c.planSnapshot()
	})
}

func (c *campaign) admit() {
	for _, n := range c.Nodes {
		s := n.Status()
		if s.Role != raft.Leader {
			continue
		}
		for _, o := range c.Nodes {
			m, ok := s.Config.Member(o.ID)
			switch {
			case !ok && !o.gone && c.rng.Chance(300):
				_ = c.Change(n.Index, raft.Change{Kind: raft.AddLearner, ID: o.ID, Name: o.String()})
			case ok && m.Role != raft.Voter && s.Config.Voters() < c.profile.most && (s.Peers[o.ID].Match+5 >= s.Commit || c.rng.Chance(200)):
				_ = c.Change(n.Index, raft.Change{Kind: raft.Promote, ID: o.ID})
			}
		}
	}
}

func (c *campaign) churn() {
	kind := raft.Demote + raft.ChangeKind(c.rng.Intn(2)) // or Remove
	who := c.Nodes[c.rng.Intn(len(c.Nodes))]
	c.res.Faults++
	on := c.Nodes[c.rng.Intn(len(c.Nodes))]
	c.ops = append(c.ops, c.RequestChange(on.Index, raft.Change{Kind: kind, ID: who.ID}))
}

// recover ends all faults. Clients stop.
func (c *campaign) recover() {
	c.ending = true
	c.tracef("--- the faults end ---")
	c.Net.Repair()
	for _, n := range c.Nodes {
		n.paused = 0
		n.Disk.failing = false
		n.Disk.Unstick()
		n.Disk.MakeRoom()
		n.Disk.MinDelay, n.Disk.MaxDelay = 1, Tick/4
		n.Start()
	}
}

// converge demands one leader, whom all members follow, equal logs, all
// applied, and an end to every proposal and read on members.
func (c *campaign) converge() {
	if c.Failed() != nil {
		return
	}
	start := c.clock.now
	var why string
	next := start
	ok := c.RunUntil(recoveryTicks, func() bool {
		if c.clock.now < next {
			return false
		}
		next = c.clock.now + Tick
		why = c.unsettled()
		return why == ""
	})
	c.res.Recovery = max(c.res.Recovery, int((c.clock.now-start)/Tick))
	if !ok {
		c.violate("convergence", "%d ticks after the last fault: %s", recoveryTicks, why)
	}
}

// unsettled says what is missing to convergence, "" if nothing is.
func (c *campaign) unsettled() string {
	lead := c.Leader()
	if lead == nil {
		return "no leader"
	}
	s := lead.Status()
	if s.Commit != s.Last || s.ConfigIndex > s.Commit {
		return fmt.Sprintf("%v commits up to %d of %d", lead, s.Commit, s.Last)
	}
	if !s.Config.IsVoter(lead.ID) {
		return fmt.Sprintf("%v leads, and is no voter", lead)
	}
	want, _ := lead.log.digest(s.Last)
	for _, m := range s.Config.Members {
		n := c.node(m.ID)
		if n.gone {
			continue
		}
		f := n.Status()
		if f.Leader != lead.ID || f.Term != s.Term {
			return fmt.Sprintf("%v follows %q in term %d, %v leads in term %d", n, f.Leader, f.Term, lead, s.Term)
		}
		if have, ok := n.log.digest(f.Last); !ok || have != want || f.Applied != s.Commit || f.Stable != f.Last {
			return fmt.Sprintf("%v has applied %d of %d, stable %d of %d", n, f.Applied, s.Commit, f.Stable, f.Last)
		}
		if len(c.OpenReads(n.Index)) > 0 {
			return fmt.Sprintf("%d reads wait on %v", len(c.OpenReads(n.Index)), n)
		}
	}
	for _, op := range c.OpenOps() {
		if _, ok := s.Config.Member(op.Node.ID); ok {
			return fmt.Sprintf("proposal %d waits on %v", op.ID, op.Node)
		}
	}
	return ""
}

// idle demands that a converged cluster rests: no election, no write, and no
// more messages than heartbeats and their answers.
func (c *campaign) idle() {
	if c.Failed() != nil {
		return
	}
	c.RunFor(lateTicks + 2*ElectionTicks) // what is late from the faults has its effect
	c.converge()                          // it may have been a change of the membership
	lead := c.Leader()
	if c.Failed() != nil || lead == nil {
		c.violate("rest", "the leader is gone without a reason")
		return
	}
	s := lead.Status()
	if len(c.Nodes) > len(s.Config.Members) {
		return // a removed device does not learn of it, and goes on asking
	}
	sent, writes := c.Net.Sent, 0
	for _, n := range c.Nodes {
		writes -= n.Disk.Writes
	}
	c.RunFor(idleTicks)
	for _, n := range c.Nodes {
		writes += n.Disk.Writes
	}
	sent = c.Net.Sent - sent
	most := 2 * (len(s.Config.Members) - 1) * (idleTicks*1000/(1000-c.profile.skew)/HeartbeatTicks + 5)
	if now := c.Leader(); now != lead || now.Status().Term != s.Term {
		c.violate("rest", "the leadership of %v in term %d ended without a reason", lead, s.Term)
	}
	if sent > most || writes > 0 {
		c.violate("rest", "an idle cluster sent %d messages in %d ticks (%d are reasonable) and wrote %d times", sent, idleTicks, most, writes)
	}
}

// Leader returns the leader of the newest term, nil when there is none.
func (c *Cluster) Leader() *Node {
	var lead *Node
	var term raft.Term
	for _, n := range c.Nodes {
		if s := n.Status(); s.Role == raft.Leader && s.Term > term {
			lead, term = n, s.Term
		}
	}
	return lead
}
