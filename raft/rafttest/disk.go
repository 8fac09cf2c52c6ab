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
	// founding is what was promised in one.
	founding raft.Founding
	// entries are those that are durable, and before them those for which the
	// durable snapshot stands. On the disk are only those from first on.
	entries  history
	snapshot *raft.Snapshot // nil for none
	first    raft.Index
	queue    []raft.Save
	writing  int    // how many of queue the write under way covers
	seq      uint64 // of the last save submitted in this boot
	last     raft.Index
	crashes  int // tells late completions of an earlier boot
	waiting  bool
	failing  bool // the write that ends next fails
	full     bool // only hard states fit
	refused  bool // what waits did not
}

// submit takes a save that is to become durable after all before it.
func (d *Disk) submit(s raft.Save) {
	if s.Seq != d.seq+1 {
		d.cluster.violate("save order", "%v: save %d follows save %d", d.node, s.Seq, d.seq)
	}
	d.seq = s.Seq
	if s.Reset {
		if s.Snapshot == nil || s.First != s.Snapshot.Index+1 {
			d.cluster.violate("save order", "%v: save %d drops the log without a snapshot in its place", d.node, s.Seq)
			return
		}
		d.last = s.Snapshot.Index
	}
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
	if d.writing > 0 || len(d.queue) == 0 || d.idle() {
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
	if d.failing {
		// Whatever of it reached the disk: the device must not go on, and a
		// restart sees (Rebello et al., ATC 2020).
		d.cluster.tracef("%v: a sync fails", d.node)
		d.node.Crash()
		return
	}
	if d.refuse() {
		return
	}
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
	merged := d.merged(n)
	d.state = merged.State
	if merged.Founding != nil {
		d.founding = *merged.Founding
	}
	d.change(merged)
	d.queue = append(d.queue[:0:0], d.queue[n:]...)
}

// change brings the entries and the snapshot up to date. A real disk does it all
// at once, and so must this.
func (d *Disk) change(s raft.Save) {
	if s.Reset {
		if s.Snapshot == nil || s.First != s.Snapshot.Index+1 {
			d.cluster.violate("save order", "%v: save %d, merged, drops the log without a snapshot in its place", d.node, s.Seq)
			return
		}
		d.entries = history{}
		d.entries.standIn(&d.cluster.check.committed, s.Snapshot.Index)
		d.first = s.First
	}
	if s.Snapshot != nil {
		if d.snapshot != nil && s.Snapshot.Index <= d.snapshot.Index {
			d.cluster.violate("snapshots never go back", "%v: that at %d takes the place of that at %d", d.node, s.Snapshot.Index, d.snapshot.Index)
		}
		d.snapshot = s.Snapshot
	}
	if len(s.Entries) > 0 && (s.Entries[0].Index > d.entries.last()+1 || s.Entries[0].Index < d.first) {
		d.cluster.violate("save order", "%v: save %d, merged, holds entry %d, and %d to %d are stored", d.node, s.Seq, s.Entries[0].Index, d.first, d.entries.last())
		return
	}
	d.entries.replace(s.Entries)
	through := raft.Index(0)
	if d.snapshot != nil {
		through = d.snapshot.Index
	}
	if s.First == 0 || s.First > through+1 || through > d.entries.last() {
		d.cluster.violate("the snapshot and the log are one", "%v: save %d needs entries from %d on; the snapshot stands for %d, %d are stored", d.node, s.Seq, s.First, through, d.entries.last())
		return
	}
	if d.rng.Chance(500) { // it may, it need not
		d.first = max(d.first, s.First)
	}
}

// crash loses what is not durable. How much of what was under way reached the
// disk nevertheless is left to chance.
func (d *Disk) crash() {
	if n := d.rng.Intn(len(d.queue) + 1); !d.full {
		d.write(n)
	}
	d.queue, d.writing, d.seq, d.waiting, d.failing, d.refused = nil, 0, 0, false, false, false
	d.last = d.entries.last()
	d.crashes++
}

// stored is what a restart finds.
func (d *Disk) stored() raft.Stored {
	return raft.Stored{State: d.state, Founding: d.founding, Snapshot: d.snapshot, Entries: append([]raft.Entry(nil), d.entries.entries[d.first-1:]...)}
}

// Stick makes the disk finish nothing until Unstick: an fsync that hangs.
func (d *Disk) Stick() { d.stuck = true }

// FailNext makes the next write fail when it ends; the node then stops, as a
// real device does.
func (d *Disk) FailNext() { d.failing = true }

// Unstick ends Stick.
func (d *Disk) Unstick() {
	d.stuck = false
	if d.waiting {
		d.finish()
	}
}

// Durable returns the last durable entry's index, and the durable hard state.
func (d *Disk) Durable() (raft.Index, raft.HardState) { return d.entries.last(), d.state }
