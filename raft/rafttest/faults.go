package rafttest

import "github.com/edgeraft/edgeraft/raft"

// profile is what kind of run a seed is: how large, how loaded, how faulty.
type profile struct {
	voters, blank int
	sleepy        bool
	churn         bool // members are demoted and removed at random
	most          int  // voters to promote to; the others stay learners
	pace          int  // ticks between a client's steps, at most
	burst         int  // proposals at a time, at most
	loss, dup     int  // of a thousand messages
	late          int
	faultEvery    int  // ticks between faults, at most
	tight         bool // limits so small that they are reached
	slowDisks     bool
	skew          int  // how far clocks run wrong at most, in thousandths
	tiny          bool // one entry a request
	snapshots     bool // are taken, by size and at random
	every         int  // bytes applied between snapshots
	trail         int  // bytes of entries kept below one
	piece, rate   int  // bytes of a snapshot in a request and in a tick
	damage        int  // of a thousand pieces
	shop          bool // the App is the key/value state, with clients of it
}

func newProfile(r *Rand) profile {
	p := profile{
		voters: []int{1, 2, 3, 3, 3, 4, 5, 5}[r.Intn(8)],
		sleepy: r.Chance(500), churn: r.Chance(300), tight: r.Chance(300), slowDisks: r.Chance(300),
		pace: 1 + r.Intn(8), burst: 1 + r.Intn(6), faultEvery: 10 + r.Intn(60),
	}
	switch r.Intn(4) {
	case 0:
		p.blank = 1 + r.Intn(2)
	case 1: // grown from one device
		p.voters, p.blank = 0, 1+r.Intn(5)
	}
	if r.Chance(600) {
		p.loss, p.dup = r.Intn(200), r.Intn(200)
	}
	if r.Chance(400) {
		p.late = r.Intn(200)
	}
	p.most = []int{raft.MaxMembers, 3}[r.Intn(2)]
	p.skew = []int{0, 100, 400}[r.Intn(3)]
	p.tiny = r.Chance(200)
	if p.snapshots = r.Chance(700); p.snapshots {
		p.every = []int{1, 300, 2000, 10000}[r.Intn(4)]
		p.trail = []int{1, 500, 3000}[r.Intn(3)]
		p.piece, p.rate = []int{10, 50, 200, 0}[r.Intn(4)], []int{5, 100, 0}[r.Intn(3)]
		p.damage = []int{0, 50, 200}[r.Intn(3)]
	}
	if p.shop = r.Chance(300); p.shop && p.snapshots {
		// Its snapshots are long: a few bytes at a time take longer than there is
		// for everything to converge.
		p.tiny = false
		if p.piece > 0 {
			p.piece = max(p.piece, 50)
		}
		if p.rate > 0 {
			p.rate = max(p.rate, 100)
		}
	}
	return p
}

func (p profile) config(cfg *raft.Config) {
	if p.tight {
		p.limits(cfg)
	}
	if p.snapshots {
		cfg.MaxTrailBytes, cfg.MaxSnapshotRate = p.trail, p.rate
		if p.piece > 0 {
			cfg.MaxAppendBytes = p.piece
		}
	}
	if p.tiny {
		cfg.MaxAppendBytes = 1
	}
}

func (p profile) limits(cfg *raft.Config) {
	cfg.MaxProposals, cfg.MaxForwardWindow = 12, 6
	cfg.MaxAppendBytes, cfg.MaxInflight = 600, 2
	cfg.MaxUnsavedBytes, cfg.MaxPendingBytes = 3000, 3000
	cfg.MaxApplyBytes, cfg.MaxPendingReads = 1500, 3
}

// setNet brings the network to the profile's everyday state.
func (c *campaign) setNet() {
	p, n := c.profile, c.Net
	n.Repair()
	n.Loss, n.Duplicate, n.Damage = p.loss, p.dup, p.damage
	if p.late > 0 {
		n.Late, n.MaxLate = p.late, lateTicks*Tick
	}
	if p.slowDisks {
		for _, o := range c.Nodes {
			o.Disk.MaxDelay = 4 * Tick
		}
	}
}

func (c *campaign) planFault() {
	c.clock.after(c.rng.Between(Tick, Time(c.profile.faultEvery)*Tick), func() {
		if c.ending {
			return
		}
		c.res.Faults++
		c.fault()
		c.planFault()
	})
}

// hang makes the disk of n hang for a while. Once the faults are over it goes on
// anyway, and a trial may have stuck it again.
func (c *campaign) hang(n *Node, ticks int) {
	c.tracef("the disk of %v hangs", n)
	n.Disk.Stick()
	c.After(ticks, func() {
		if !c.ending {
			n.Disk.Unstick()
		}
	})
}

// hunt does one of the things that find what chance alone seldom does (hunt.go).
func (c *campaign) hunt(n *Node) {
	leads := n.leads(n.Status().Term)
	switch d := c.rng.Intn(6); {
	case d == 0:
		c.reboot(n)
	case d == 1:
		c.chase(1 + c.rng.Intn(4))
	case d == 2 && leads:
		c.suspension(n)
	case d == 3 && leads:
		c.splitOff(n)
	case d == 4 && leads:
		c.laggard(n)
	case d == 5 && leads:
		c.forget(n)
	}
}

// fault does one bad thing, or ends some.
func (c *campaign) fault() {
	n := c.Nodes[c.rng.Intn(len(c.Nodes))]
	if lead := c.Leader(); lead != nil && c.rng.Chance(400) {
		n = lead // where it hurts most
	}
	duration := 1 + c.rng.Intn(80)
	switch c.rng.Intn(18) {
	case 17:
		n.Disk.FailNext()
		c.After(duration, n.Start) // if it stopped by then
	case 11, 12, 13, 14, 15, 16:
		c.hunt(n)
	case 10:
		_ = c.Transfer(n.Index, c.rng.Intn(len(c.Nodes)+1)-1)
	case 0, 1:
		n.Crash()
		c.After(duration, n.Start)
	case 2:
		for _, o := range c.Nodes { // a power cut
			if c.rng.Chance(700) {
				o.Crash()
				c.After(c.rng.Intn(30), o.Start)
			}
		}
	case 3:
		var groups [2][]int
		for i := range c.Nodes {
			g := c.rng.Intn(2)
			groups[g] = append(groups[g], i)
		}
		c.tracef("partition %v", groups)
		c.Net.Partition(len(c.Nodes), groups[:]...)
	case 4:
		c.tracef("%v is isolated", n)
		c.Net.Isolate(len(c.Nodes), n.Index)
	case 5:
		for j := range c.Nodes { // one way only, from or to some
			if j == n.Index || c.rng.Chance(300) {
				continue
			}
			if duration%2 == 0 {
				c.tracef("cut %v -> n%d", n, j)
				c.Net.Cut(n.Index, j)
			} else {
				c.tracef("cut n%d -> %v", j, n)
				c.Net.Cut(j, n.Index)
			}
		}
	case 6:
		c.hang(n, 2*duration)
	case 7:
		c.tracef("%v is suspended for %d ticks", n, duration/2)
		n.Pause(duration / 2)
	default:
		c.mend()
	}
}
