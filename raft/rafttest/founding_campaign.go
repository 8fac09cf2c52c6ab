package rafttest

import "github.com/edgeraft/edgeraft/raft"

// RunFounding runs one seed of a founding: blank devices that start one after
// the other, under faults, with crashes at the moments that matter; then none,
// in which all of them must become one cluster in bounded time. Some runs have
// more devices than are expected, and in some of those one dies for good.
func RunFounding(seed uint64, events int) Result {
	res := runFounding(seed, 0)
	if res.Violation != nil && events > 0 {
		return runFounding(seed, events)
	}
	return res
}

func runFounding(seed uint64, trace int) Result {
	rng := NewRand(seed)
	expect := []int{2, 3, 3, 3, 4, 5, 9}[rng.Intn(7)]
	extra := 0
	if rng.Chance(600) {
		extra = rng.Intn(min(expect, 4)) // so few that any two groups meet
	}
	p := profile{
		blank: expect + extra, sleepy: rng.Chance(500), slowDisks: rng.Chance(300), most: 5,
		faultEvery: 10 + rng.Intn(60), skew: []int{0, 100, 400}[rng.Intn(3)],
	}
	if rng.Chance(700) {
		p.loss, p.dup = rng.Intn(400), rng.Intn(200)
	}
	if rng.Chance(400) {
		p.late = rng.Intn(200)
	}
	c := &campaign{rng: rng.Fork(), profile: p, res: Result{Seed: seed}}
	hasty := rng.Chance(500)
	c.Cluster = New(Options{Seed: seed, Blank: p.blank, Expect: expect, Sleepy: p.sleepy, Trace: trace, Config: func(cfg *raft.Config) {
		if hasty { // on a slow network they interrupt each other again and again
			cfg.HeartbeatTicks, cfg.ElectionTicks = 1, 2
		}
	}})
	c.tracef("%d devices, %d expected, profile %+v", p.blank, expect, p)
	for _, n := range c.Nodes {
		n.SetClock(1000 - p.skew + c.rng.Intn(2*p.skew+1))
		n.Crash()
		c.After(c.rng.Intn(1+c.rng.Intn(200)), n.Start)
	}
	c.setNet()
	if hasty {
		c.Net.MaxDelay = Time(1+rng.Intn(30)) * Tick
	}
	if c.rng.Chance(300) { // whose promises are long in becoming durable
		d := c.Nodes[c.rng.Intn(len(c.Nodes))].Disk
		d.MinDelay, d.MaxDelay = 5*Tick, 60*Tick
	}
	if c.rng.Chance(700) {
		c.planFault()
	}
	if c.rng.Chance(700) {
		c.crashOnWord(rng.Fork())
	}
	c.planAdmission()
	c.RunFor(100 + c.rng.Intn(400))
	if n := c.Nodes[c.rng.Intn(len(c.Nodes))]; extra > 0 && expect > 2 && c.rng.Chance(300) && c.unchanged() {
		c.tracef("%v is gone for good", n)
		n.Crash()
		n.gone = true
	}
	c.recover()
	c.beOne()
	c.converge()
	c.res.Events, c.res.Violation = c.Events(), c.Failed()
	c.res.Committed = len(c.check.committed.entries)
	return c.res
}

// unchanged reports whether nobody knows of another configuration than the first.
// During a change that is not committed the loss of a device for good may be more
// than Raft stands: who holds the newest entry need not know that it has a vote.
func (c *campaign) unchanged() bool {
	for _, n := range c.Nodes {
		if n.Status().ConfigIndex > 1 || n.Disk.entries.config > 1 {
			return false
		}
	}
	return true
}

// crashOnWord crashes devices as they say something that a founding rests on, or
// whom they say it to.
func (c *campaign) crashOnWord(rng *Rand) {
	often := 1 + rng.Intn(150)
	c.Tap = func(m raft.Message) {
		switch m.Body.(type) {
		case raft.FoundingPrepare, raft.FoundingPromise, raft.FoundingAccept, raft.FoundingAccepted, raft.Founded:
		default:
			return
		}
		if c.ending || !rng.Chance(often) {
			return
		}
		n := c.node(m.From)
		if rng.Chance(300) {
			n = c.node(m.To)
		}
		c.res.Faults++
		c.clock.after(rng.Between(0, Tick/2), func() {
			if !c.ending {
				n.Crash()
				c.After(rng.Intn(60), n.Start)
			}
		})
	}
}

// planAdmission lets leaders admit whoever is no founder.
func (c *campaign) planAdmission() {
	c.clock.after(c.rng.Between(Tick, 10*Tick), func() {
		c.admit()
		c.planAdmission()
	})
}

// foundingTicks is the bound for a founding that nothing disturbs. Two devices
// that kept each other from it may have to wait for it, and the clock of one may
// be slow.
const foundingTicks = 8 * recoveryTicks

// beOne demands that all devices that are left are members of one cluster.
func (c *campaign) beOne() {
	start := c.clock.now
	one := c.RunUntil(foundingTicks, func() bool {
		for _, n := range c.Nodes {
			if n.gone {
				continue
			}
			s := n.Status()
			if _, member := s.Config.Member(n.ID); s.Cluster.IsZero() || !member {
				return false
			}
		}
		return true
	})
	c.res.Recovery = int((c.clock.now - start) / Tick)
	if !one && c.Failed() == nil {
		c.violate("founding", "%d ticks after the last fault some belong to no cluster", foundingTicks)
	}
}
