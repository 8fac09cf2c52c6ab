package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/raft"
)

// Phases of a rescue, in ticks.
const (
	lonelyTicks = 150 // that the survivors spend alone, at most
	returnTicks = 400 // in which the lost come back and start over
)

// rescueRun is a lost majority, and what comes of it.
type rescueRun struct {
	old, fresh *campaign
	rng        *Rand
	shop       bool
	keyed      []*Op // changes with idempotency keys
	commands   map[*Op][]byte
	started    map[*Node]bool // started over at once
	lost, kept int
	frozen     int   // entries the old cluster had committed when it was given up
	best       *Node // that was recovered, as it was
	before     int   // proposals made until then
	quorate    bool  // enough of its voters came back to commit among themselves
	cutOff     bool  // the lost ones never stopped
	told       bool  // who returns hears of the new cluster as soon as it starts
}

// RunRescue runs one seed of a recovery: faults under load; a majority is lost, in
// a moment or bit by bit, or only cut off; the most advanced survivor is recovered,
// the others start over; the lost return, with their logs, speak to everybody under
// faults, and start over one after the other; in the end all are one cluster.
func RunRescue(seed uint64, events int) Result {
	res := runRescue(seed, 0)
	if res.Violation != nil && events > 0 {
		return runRescue(seed, events)
	}
	return res
}

func runRescue(seed uint64, trace int) Result {
	rng := NewRand(seed)
	p := newProfile(rng.Fork())
	p.voters, p.blank, p.shop, p.tight, p.tiny = 3+rng.Intn(3), rng.Intn(3), false, false, false
	p.skew, p.most = min(p.skew, 100), raft.MaxMembers
	if rng.Chance(500) {
		p.most = p.voters
	}
	r := &rescueRun{rng: rng, shop: rng.Chance(400), commands: map[*Op][]byte{}, started: map[*Node]bool{}}
	opts := Options{Seed: seed, Voters: p.voters, Blank: p.blank, Config: p.config, Sleepy: p.sleepy, Trace: trace, SnapshotBytes: p.every}
	if r.shop {
		opts.App = func(*Node) App { return once.New(kv.New(kv.Options{})) }
	}
	r.old = &campaign{rng: rng.Fork(), profile: p, res: Result{Seed: seed}}
	r.old.Cluster = New(opts)
	r.begin(r.old)
	r.planKeyed()
	r.old.RunFor(100 + rng.Intn(faultyTicks/2))
	if survivors := r.disaster(); r.recover(survivors) {
		r.aftermath()
	}
	return r.result()
}

// begin lets a cluster work under faults.
func (r *rescueRun) begin(c *campaign) {
	for _, n := range c.Nodes {
		n.SetClock(1000 - c.profile.skew + c.rng.Intn(2*c.profile.skew+1))
	}
	c.setNet()
	c.planFault()
	c.planClient()
	c.planMembership()
}

// planKeyed has a client put keys under idempotency keys.
func (r *rescueRun) planKeyed() {
	c := r.old
	if !r.shop {
		return
	}
	c.clock.after(r.rng.Between(1, 20*Tick), func() {
		if r.fresh != nil {
			return
		}
		name := fmt.Sprint("change", len(r.keyed))
		put, err := kv.Put(name, []byte(name), nil)
		if err == nil {
			put, err = once.Command(name, 0, put)
		}
		if err != nil {
			c.violate("commands can be encoded", "%v", err)
			return
		}
		op := c.Propose(r.rng.Intn(len(c.Nodes)), put)
		r.keyed, r.commands[op] = append(r.keyed, op), put
		r.planKeyed()
	})
}

// disaster loses so many voters that no quorum is left, and returns the rest.
func (r *rescueRun) disaster() (survivors []*Node) {
	c := r.old
	conf := c.newestConfig()
	if conf.Quorum() < 2 {
		return nil // none can survive its majority
	}
	left := conf.Quorum() - 1 - r.rng.Intn(conf.Quorum()-1)/2 // of voters
	r.cutOff = r.rng.Chance(300)
	var lost []int
	for _, i := range c.shuffled() {
		n := c.Nodes[i]
		member, ok := conf.Member(n.ID)
		switch {
		case ok && member.Role == raft.Voter && left > 0, ok && member.Role != raft.Voter && r.rng.Chance(500):
			if member.Role == raft.Voter {
				left--
			}
			survivors = append(survivors, n)
			continue
		case r.cutOff:
			lost = append(lost, i)
			continue
		}
		lost = append(lost, i)
		c.After(r.rng.Intn(10), func() {
			n.Crash()
			n.gone = true // until it returns
		})
	}
	c.tracef("--- disaster: lost are %v, cut off only: %v ---", lost, r.cutOff)
	c.RunFor(10)
	c.ending = true // the survivors are stopped in an orderly way
	c.Net.Repair()
	for _, n := range survivors {
		n.Disk.failing = false
		n.Disk.Unstick()
		n.Start()
		for _, i := range lost {
			c.Net.Cut(n.Index, i)
			c.Net.Cut(i, n.Index)
		}
	}
	c.RunFor(r.rng.Intn(lonelyTicks))
	return survivors
}

// newestConfig is the configuration of the most advanced disk.
func (c *Cluster) newestConfig() *raft.Configuration {
	newest := &history{}
	for _, n := range c.Nodes { // not by Holding, which is on trial
		h := &n.Disk.entries
		a, b := h.term(h.last()), newest.term(newest.last())
		if h.config > 0 && (a > b || a == b && h.last() > newest.last()) {
			newest = h
		}
	}
	return newest.entries[newest.config-1].Config
}

// recover stops the survivors and recovers the most advanced. The rule that picks
// it is the agent's.
func (r *rescueRun) recover(survivors []*Node) bool {
	c := r.old
	if c.Failed() != nil || len(survivors) == 0 {
		return false
	}
	best := survivors[0]
	for _, n := range survivors {
		n.Crash()
		a, b := n.Disk.stored(), best.Disk.stored()
		if a.Holding().Beyond(b.Holding()) {
			best = n
		}
	}
	h := &best.Disk.entries
	if h.config == 0 {
		return false // it has learned of no cluster yet
	}
	if _, member := h.entries[h.config-1].Config.Member(best.ID); !member {
		return false // it was removed, and the agent refuses
	}
	r.frozen = len(c.check.committed.entries)
	r.account(survivors, best)
	fresh, err := c.rescue(best)
	if err != nil {
		c.violate("a survivor can be recovered", "%v: %v", best, err)
		return false
	}
	r.checkKept(best)
	r.best, r.before = best, len(c.ops)
	r.fresh = &campaign{Cluster: fresh, rng: r.rng.Fork(), profile: c.profile, res: Result{Seed: c.res.Seed}}
	for _, n := range survivors { // some at once, some later
		if n != best && r.rng.Chance(500) {
			c.startOver(n, fresh)
			r.started[n] = true
		}
	}
	return true
}

// aftermath lets the lost return to a world in which they were given up.
func (r *rescueRun) aftermath() {
	f, c := r.fresh, r.old
	f.setNet()
	f.planFault()
	f.planClient()
	f.planAdmission()
	c.ending = false
	c.setNet()
	c.planFault()
	c.planClient()
	r.gossip(c.Cluster, f.Cluster)
	r.gossip(f.Cluster, c.Cluster)
	if r.told = !r.cutOff && r.rng.Chance(600); r.told {
		c.successor = r.best.moved.Disk.state.Cluster
	}
	left := map[*Node]bool{}
	leave := func(n *Node) {
		if n.moved == nil && !left[n] {
			left[n] = true
			c.startOver(n, f.Cluster)
		}
	}
	back := map[raft.NodeID]bool{}
	for _, n := range c.Nodes {
		if n.moved != nil || r.started[n] {
			continue
		}
		back[n.ID] = true
		at := r.rng.Intn(returnTicks / 2)
		c.After(at, func() {
			if !left[n] {
				n.gone = false
				n.Start()
			}
		})
		c.After(at+r.rng.Intn(returnTicks/2), func() { leave(n) })
	}
	r.quorate = r.quorum(back)
	f.RunFor(returnTicks)
	r.checkOld()
	for _, n := range c.Nodes {
		if !r.started[n] {
			leave(n)
		}
	}
	c.ending = true
	f.recover()
	r.allBack()
}

// gossip brings messages of one cluster before devices of another now and then:
// addresses change hands, and who is found may be anybody.
func (r *rescueRun) gossip(from, to *Cluster) {
	from.Tap = func(m raft.Message) {
		n := to.Nodes[r.rng.Intn(len(to.Nodes))]
		if !r.rng.Chance(50) || m.Cluster.IsZero() {
			return
		}
		m.To = n.ID
		from.clock.after(r.rng.Between(1, 10*Tick), func() {
			if n.core != nil && !n.core.State().Cluster.IsZero() && m.From != n.ID {
				to.deliverForeign(n, m)
			}
		})
	}
}

// allBack demands that all devices are members of the new cluster in bounded time,
// that this works, and that it knows what was done before.
func (r *rescueRun) allBack() {
	f := r.fresh
	f.within(recoveryTicks, "all devices are members of the recovered cluster", func() bool {
		lead := f.Leader()
		if lead == nil {
			return false
		}
		for _, n := range f.Nodes {
			if _, member := lead.Status().Config.Member(n.ID); !member && !n.gone {
				return false
			}
		}
		return true
	})
	f.converge()
	for _, op := range r.keyed {
		was, _ := r.old.check.committed.digest(op.Index)
		kept, ok := f.check.committed.digest(op.Index)
		if lead := f.Leader(); op.Outcome == Committed && ok && was == kept && lead != nil && f.Failed() == nil {
			r.repeat(lead, op)
		}
	}
	f.idle()
}

// repeat makes a change once more that was acknowledged before the disaster.
func (r *rescueRun) repeat(lead *Node, op *Op) {
	f := r.fresh
	again := f.Propose(lead.Index, r.commands[op])
	f.within(20*ElectionTicks, "a repetition is committed", func() bool { return again.Outcome != Open })
	o, err := once.ParseOutcome(again.Result)
	was, _ := once.ParseOutcome(op.Result)
	if again.Outcome == Committed && (err != nil || !o.Repeated || o.Index != was.Index) {
		f.violate("exactly once", "a change acknowledged at %d is made once more at %d in the recovered cluster (%+v, %v)", was.Index, again.Index, o, err)
	}
	f.res.Repeated++
}

func (r *rescueRun) result() Result {
	res := r.old.res
	res.Events, res.Violation = r.old.Events(), r.old.Failed()
	res.Snapshots, res.Restores = r.old.snapshots, r.old.restores
	res.Committed, res.Lost, res.Kept = len(r.old.check.committed.entries), r.lost, r.kept
	if f := r.fresh; f != nil {
		res.Rescues, res.Faults, res.Repeated, res.Recovery = 1, res.Faults+f.res.Faults, f.res.Repeated, f.res.Recovery
		res.Events, res.Committed = res.Events+f.Events(), res.Committed+len(f.check.committed.entries)
		res.Snapshots, res.Restores = res.Snapshots+f.snapshots, res.Restores+f.restores
		if r.quorate {
			res.Quorate = 1
		}
		if r.quorate && r.told {
			res.Fenced = 1
		}
		if res.Violation == nil {
			res.Violation = f.Failed()
		}
	}
	return res
}
