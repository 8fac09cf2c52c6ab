package rafttest

import (
	"encoding/binary"
	"errors"

	"github.com/edgeraft/edgeraft/raft"
)

// The state of an App is the digest of all it applied. As a snapshot it is that
// digest, salted with a number of the device's choice, so that two snapshots of
// one state differ, and a tail that follows from both.

// stateSize is how long a snapshot of a state is: of few sizes, so that pieces
// of two of them could be taken for each other.
func stateSize(digest uint64) int { return 16 + 60*int(digest%5) }

// encodeState makes the snapshot of a state.
func encodeState(digest, salt uint64) []byte {
	data := make([]byte, stateSize(digest))
	binary.LittleEndian.PutUint64(data, digest)
	binary.LittleEndian.PutUint64(data[8:], salt)
	for i := 16; i < len(data); i++ {
		data[i] = byte(mix(digest ^ salt + uint64(i)))
	}
	return data
}

// decodeState returns the digest in a snapshot, and whether it is one.
func decodeState(data []byte) (uint64, bool) {
	if len(data) < 16 {
		return 0, false
	}
	digest, salt := binary.LittleEndian.Uint64(data), binary.LittleEndian.Uint64(data[8:])
	return digest, string(encodeState(digest, salt)) == string(data)
}

// TakeSnapshot has node i take a snapshot of what it applied.
func (c *Cluster) TakeSnapshot(i int) {
	n := c.Nodes[i]
	c.input(n, "is told to take a snapshot", func(*raft.Core) { c.takeSnapshot(n) })
}

// takeSnapshot hands the App's state to the Core, and checks what that makes of
// it.
func (c *Cluster) takeSnapshot(n *Node) {
	n.sinceSnapshot, n.quiet = 0, 0
	before := n.core.Status()
	var data []byte
	if n.app != nil {
		data = c.appSnapshot(n)
	} else {
		data = encodeState(n.digest(), n.rng.Uint64())
	}
	err := n.core.Snapshot(data)
	if err != nil {
		if !errors.Is(err, raft.ErrUnexpected) && !errors.Is(err, raft.ErrBusy) {
			c.violate("snapshots", "%v: %v", n, err)
		}
		return
	}
	c.snapshots++
	s := n.core.Status()
	c.tracef("%v takes a snapshot at %d; its log begins at %d", n, s.Snapshot, s.First)
	if s.Snapshot != before.Applied || s.First > s.Snapshot+1 || s.First-1 > max(s.Stable, before.First-1) {
		c.violate("only what is durable is dropped", "%v: after a snapshot at %d (applied %d) the log begins at %d, stable %d", n, s.Snapshot, before.Applied, s.First, s.Stable)
	}
}

// digest is the App's state.
func (n *Node) digest() uint64 {
	d, _ := n.cluster.check.committed.digest(raft.Index(len(n.Applied)))
	return d
}

// restore puts the App into the state of a snapshot.
func (c *Cluster) restore(n *Node, s *raft.Snapshot) {
	if s == nil {
		return
	}
	c.tracef("%v RESTORES the snapshot at %d", n, s.Index)
	k := &c.check
	if int(s.Index) <= len(n.Applied) {
		c.violate("an App never goes back", "%v restores the snapshot at %d, and has applied %d", n, s.Index, len(n.Applied))
	}
	if !k.snapshot(n, s) {
		return
	}
	c.restores++
	n.Applied = append([]raft.Entry(nil), k.committed.entries[:s.Index]...)
	n.sinceSnapshot = 0
	if n.app != nil {
		c.restoreApp(n, s)
	}
	n.restored = s.Index
	n.log.standIn(&k.committed, s.Index)
}

// snapshot checks that a snapshot is the state after the committed entries up
// to its index, and nothing else.
func (k *checker) snapshot(n *Node, s *raft.Snapshot) bool {
	want, ok := k.committed.digest(s.Index)
	if !ok || s.Index == 0 {
		k.c.violate("snapshots hold what is committed", "%v has one at %d, and %d entries are committed", n, s.Index, k.committed.last())
		return false
	}
	if n.app != nil {
		k.state(n, s.Index, s.Data)
	} else if have, ok := decodeState(s.Data); !ok || have != want || s.Term != k.committed.term(s.Index) {
		k.c.violate("snapshots hold what is committed", "%v: that at %d of term %d is damaged (%v) or of another state", n, s.Index, s.Term, !ok)
		return false
	}
	conf := s.Index
	for k.committed.entries[conf-1].Kind != raft.EntryConfig {
		conf--
	}
	e := k.committed.entries[conf-1]
	have := e
	have.Config = s.Config
	if s.ConfigIndex != conf || s.Config == nil || digestOf(have) != digestOf(e) {
		k.c.violate("snapshots hold the configuration", "%v: that at %d has the one of entry %d, in force there is that of %d", n, s.Index, s.ConfigIndex, conf)
		return false
	}
	return true
}

// standIn makes the log equal to other up to i, for which there is a snapshot.
// What it holds beyond stays if it fits.
func (h *history) standIn(other *history, i raft.Index) {
	want, _ := other.digest(i)
	if have, ok := h.digest(i); ok && have == want {
		return
	}
	*h = history{}
	h.replace(other.entries[:min(i, other.last())])
}
