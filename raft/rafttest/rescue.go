package rafttest

import (
	"errors"

	"github.com/edgeraft/edgeraft/raft"
)

// rescue has a stopped node recover its cluster, as the agent does: raft.Recover
// on what its disk holds. What comes of it is a cluster of its own in the same
// world, with invariants of its own. Under the node's ID the old members reach
// what it is now; what they say must be refused.
func (c *Cluster) rescue(n *Node) (*Cluster, error) {
	old := n.Disk.stored()
	save, err := raft.Recover(old, raft.Member{ID: n.ID, Name: n.String()}, raft.SuccessorID(old.State.Cluster, [16]byte{byte(c.rng.Intn(256))}))
	if err != nil {
		return nil, err
	}
	o := &Cluster{opts: c.opts, clock: c.clock, rng: c.rng.Fork(), ops: map[raft.ProposalID]*Op{}, trace: c.trace}
	o.Net = perfectNetwork(o.rng.Fork())
	o.check.init(o)
	o.check.times.fastest = c.check.times.fastest
	for _, m := range c.Nodes { // whoever is found by the ID of another is not here
		o.addNode(m.tickLen).gone = m != n
	}
	to := o.Nodes[n.Index]
	to.boot = n.boot
	d := to.Disk
	d.state, d.snapshot, d.first = save.State, n.Disk.snapshot, n.Disk.first
	if save.Snapshot != nil {
		d.snapshot = save.Snapshot
	}
	d.entries.replace(n.Disk.entries.entries)
	d.entries.replace(save.Entries)
	o.check.inherit(n.Disk)
	n.gone, n.moved = true, to
	c.tracef("%v RECOVERS: cluster %v, entries up to %d", n, save.State.Cluster, d.entries.last())
	to.Start()
	return o, nil
}

// addNode adds a blank device, which is down.
func (c *Cluster) addNode(tickLen Time) *Node {
	n := &Node{Index: len(c.Nodes), ID: nodeID(len(c.Nodes)), cluster: c, rng: c.rng.Fork(), tickLen: tickLen}
	n.Disk = &Disk{MinDelay: 1, MaxDelay: Tick / 4, first: 1, cluster: c, node: n, rng: n.rng.Fork()}
	c.Nodes = append(c.Nodes, n)
	return n
}

// startOver has a device of c leave for good, and come to o as a new one.
func (c *Cluster) startOver(n *Node, o *Cluster) *Node {
	n.Crash()
	n.gone = true
	to := o.addNode(n.tickLen)
	c.tracef("%v starts over, as %v of the recovered cluster", n, to)
	to.Start()
	return to
}

// inherit has a checker begin with what a device knew to be committed.
func (k *checker) inherit(d *Disk) {
	known := d.entries.entries[:d.state.Commit]
	k.committed.replace(known)
	for _, e := range known {
		k.by, k.when = append(k.by, e.Term), append(k.when, k.c.clock.now)
		if e.ID != 0 {
			k.byID[e.ID] = e.Index
		}
	}
}

// deliverForeign hands a device a message of another cluster, which is to drop it
// and stay as it was. Then it learns of that cluster, as from the driver.
func (c *Cluster) deliverForeign(to *Node, m raft.Message) {
	if to.core == nil {
		return
	}
	c.input(to, "", func(core *raft.Core) {
		before := core.Status()
		err := core.Step(m)
		after := core.Status()
		if !errors.Is(err, raft.ErrForeign) || before.Term != after.Term || before.Last != after.Last || before.Commit != after.Commit || before.Role != after.Role {
			c.violate("clusters do not mix", "%v of %v takes %s of %v: %v", to, before.Cluster, describe(m), m.Cluster, err)
		}
		core.HearOf(m.Cluster)
	})
}
