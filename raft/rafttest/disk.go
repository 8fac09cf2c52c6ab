package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Disk is one node's stable storage. It writes one batch at a time, beside
// everything else, as the storage goroutine of a real device does.
type Disk struct {
	MinDelay Time // of one write
	MaxDelay Time
	Writes   int // finished, since the start

	cluster *Cluster
	node    *Node
	rng     *Rand
	stuck   bool
	state   raft.HardState
	entries history // what is durable
	queue   []raft.Save
	writing int    // how many of queue the write under way covers
	seq     uint64 // of the last save submitted in this boot
	last    raft.Index
	crashes int // tells late completions of an earlier boot
	waiting bool
}

// submit takes a save that is to become durable after all before it.
func (d *Disk) submit(s raft.Save) {
	if s.Seq != d.seq+1 {
		d.cluster.violate("save order", "%v: save %d follows save %d", d.node, s.Seq, d.seq)
	}
	d.seq = s.Seq
	for i, e := range s.Entries {
		if i == 0 && e.Index > d.last+1 || i > 0 && e.Index != d.last+1 || e.Index == 0 {
			d.cluster.violate("save order", "%v: save %d holds entry %d after entry %d", d.node, s.Seq, e.Index, d.last)
		}
		d.last = e.Index
	}
	d.queue = append(d.queue, s)
	d.start()
}

func (d *Disk) start() {
	if d.writing > 0 || len(d.queue) == 0 {
		return
	}
	d.writing = len(d.queue)
	crashes := d.crashes
	d.cluster.clock.after(d.rng.Between(d.MinDelay, d.MaxDelay), func() {
		if crashes == d.crashes {
			d.finish()
		}
	})
}

func (d *Disk) finish() {
	if d.stuck {
		d.waiting = true
		return
	}
	d.waiting = false
	seq := d.queue[d.writing-1].Seq
	d.write(d.writing)
	d.writing = 0
	d.Writes++
	d.cluster.input(d.node, fmt.Sprintf("save %d is durable", seq), func(c *raft.Core) { c.Saved(seq) })
	d.start()
}

// write makes the first n saves of the queue durable.
func (d *Disk) write(n int) {
	if n == 0 {
		return
	}
	merged := d.queue[0]
	for _, s := range d.queue[1:n] {
		merged.Merge(s)
	}
	d.state = merged.State
	d.entries.replace(merged.Entries)
	d.queue = append(d.queue[:0:0], d.queue[n:]...)
}

// crash loses what is not durable. How much of what was under way reached the
// disk nevertheless is left to chance.
func (d *Disk) crash() {
	d.write(d.rng.Intn(len(d.queue) + 1))
	d.queue, d.writing, d.seq, d.waiting = nil, 0, 0, false
	d.last = d.entries.last()
	d.crashes++
}

// stored is what a restart finds.
func (d *Disk) stored() raft.Stored {
	return raft.Stored{State: d.state, Entries: append([]raft.Entry(nil), d.entries.entries...)}
}

// Stick makes the disk finish nothing until Unstick: an fsync that hangs.
func (d *Disk) Stick() { d.stuck = true }

// Unstick ends Stick.
func (d *Disk) Unstick() {
	d.stuck = false
	if d.waiting {
		d.finish()
	}
}

// Durable returns the last durable entry's index, and the durable hard state.
func (d *Disk) Durable() (raft.Index, raft.HardState) { return d.entries.last(), d.state }
