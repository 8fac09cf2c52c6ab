package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Fill leaves the disk room for hard states and for nothing else, until MakeRoom.
// The Core is told at once, where early says so, or else when a save does not fit.
func (d *Disk) Fill(early bool) {
	d.full = true
	d.cluster.tracef("the disk of %v is full", d.node)
	if early {
		d.tellShort(true)
	}
}

// MakeRoom ends Fill.
func (d *Disk) MakeRoom() {
	if !d.full {
		return
	}
	d.full, d.refused = false, false
	d.tellShort(false)
	d.start()
}

func (d *Disk) tellShort(short bool) {
	d.cluster.input(d.node, fmt.Sprintf("is told that its disk is short of room: %v", short), func(c *raft.Core) { c.SetShort(short) })
}

// idle reports whether what waits need not be tried, since it did not fit.
func (d *Disk) idle() bool {
	return d.full && d.refused && !d.promises(d.queue[len(d.queue)-1])
}

// promises reports whether s has what is saved alone where the rest does not fit.
func (d *Disk) promises(s raft.Save) bool {
	return s.State.Term != d.state.Term || s.State.Vote != d.state.Vote || s.State.Cluster != d.state.Cluster
}

// merged is the first n saves of the queue as one.
func (d *Disk) merged(n int) raft.Save {
	s := d.queue[0]
	for _, next := range d.queue[1:n] {
		s.Merge(next)
	}
	return s
}

// refuse does what a full disk does with a write, and reports whether it did not
// fit: the hard state is written alone, with the commit index that was stored with
// its entries, and the rest waits, as one save.
func (d *Disk) refuse() bool {
	s := d.merged(d.writing)
	if !d.full || len(s.Entries) == 0 && s.Snapshot == nil {
		return false
	}
	alone := d.promises(s)
	d.queue = append([]raft.Save{s}, d.queue[d.writing:]...)
	d.writing, d.refused = 0, true
	if alone {
		commit := d.state.Commit
		d.state = s.State
		d.state.Commit = commit
		d.cluster.input(d.node, fmt.Sprintf("the hard state of save %d alone is durable", s.Seq), func(c *raft.Core) { c.SavedState(s.Seq) })
	}
	if d.node.core != nil && !d.node.core.Short() {
		d.tellShort(true)
	}
	d.start()
	return true
}

// fullSeed makes the chance behind full disks one of its own, so that they change
// nothing else in a run.
const fullSeed = 0x66756c6c

// planFull fills the disks of one device, of some or of all, for a while.
func (c *campaign) planFull(rng *Rand) {
	c.clock.after(rng.Between(1, 100*Tick), func() {
		if c.ending {
			return
		}
		share, one := []int{0, 0, 400, 1000}[rng.Intn(4)], rng.Intn(len(c.Nodes))
		if lead := c.Leader(); lead != nil && rng.Chance(500) {
			one = lead.Index
		}
		for i, n := range c.Nodes {
			if i != one && !rng.Chance(share) {
				continue
			}
			n.Disk.Fill(rng.Chance(500))
			c.After(1+rng.Intn(150), n.Disk.MakeRoom)
		}
		c.planFull(rng)
	})
}

// fullTrials are trials of full disks. They have a chance of their own.
var fullTrials = []trial{
	{"the disk of the leader is full", 3, (*campaign).tryFullLeader},
	{"the disk of a voter is full", 3, (*campaign).tryFullVoter},
	{"all disks are full", 3, (*campaign).tryAllFull},
}

// tryFullLeader: one that has room takes over.
func (c *campaign) tryFullLeader(lead, other *Node) {
	lead.Disk.Fill(true)
	c.load(c.real(2 * ElectionTicks))
	c.commits(other, c.real(2*StallTicks)+c.anElection())
}

// tryFullVoter: a minority's full disk costs nothing.
func (c *campaign) tryFullVoter(lead, other *Node) {
	other.Disk.Fill(false)
	c.load(ElectionTicks)
	c.undisturbed(lead, c.real(4*ElectionTicks))
	c.commits(lead, c.real(2*ElectionTicks))
}

// tryAllFull: once it is known that nobody has room a leader stays, and when it is
// gone another is elected.
func (c *campaign) tryAllFull(_, _ *Node) {
	for _, n := range c.Nodes {
		n.Disk.Fill(true)
	}
	c.load(ElectionTicks)
	c.RunFor(c.real(StallTicks) + c.anElection())
	c.within(c.anElection(), "one leads, though all disks are full", func() bool { return c.Leader() != nil })
	if c.Failed() != nil {
		return
	}
	lead := c.Leader()
	c.undisturbed(lead, c.real(4*StallTicks))
	lead.Crash()
	c.within(2*c.anElection(), "another leads, though all disks are full", func() bool { return c.Leader() != nil && c.Leader() != lead })
}
