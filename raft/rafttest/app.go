package rafttest

import (
	"bytes"
	"hash/crc64"

	"github.com/edgeraft/edgeraft/raft"
)

// App is a node's state machine, as raft/server drives it. Without one in the
// Options, its state is the digest of all it applied (snapshot.go).
type App interface {
	Apply(e raft.Entry) []byte
	Snapshot() []byte
	Restore(data []byte) error
	Due() (at raft.Time, command []byte)
}

// dueEvery is the least time between two commands for what falls due, as in
// raft/server.
const dueEvery = raft.Time(2 * Tick)

// proposeDue has a leader propose what falls due, as raft/server does, and
// reports whether it did. Wait is in how many ticks that will be; 0 for never.
func (c *Cluster) proposeDue(n *Node) (proposed bool, wait int) {
	if n.app == nil || n.due != 0 || n.core.Role() != raft.Leader {
		return false, 0
	}
	at, command := n.app.Due()
	if command == nil {
		return false, 0
	}
	ms := raft.Time(0)
	if now := n.core.ClusterTime(); now <= at {
		ms = at + 1 - now
	}
	if now := n.now(); now < n.dueNext {
		ms = max(ms, n.dueNext-now)
	}
	if ms > 0 {
		return false, 1 + int(ms/raft.Time(Tick))
	}
	n.dueNext = n.now() + dueEvery
	id, err := n.core.Propose(command)
	if err != nil {
		return false, 2
	}
	c.tracef("%v proposes what fell due at %d", n, at)
	n.due = id
	return true, 0
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// appSnapshot is the App's state, which must be the same on all nodes that
// applied the same.
func (c *Cluster) appSnapshot(n *Node) []byte {
	data := n.app.Snapshot()
	c.check.state(n, raft.Index(len(n.Applied)), data)
	return data
}

// state compares the state of a node that applied i entries with that of others.
func (k *checker) state(n *Node, i raft.Index, data []byte) {
	sum := crc64.Checksum(data, crcTable)
	if known, ok := k.states[i]; ok && known != sum {
		k.c.violate("all have the same state", "%v: its state after entry %d differs from another's", n, i)
	}
	k.states[i] = sum
}

// restoreApp puts an App into the state of a snapshot, and checks that it is
// whole: a snapshot of it is the same again.
func (c *Cluster) restoreApp(n *Node, s *raft.Snapshot) {
	if err := n.app.Restore(s.Data); err != nil {
		c.violate("snapshots can be restored", "%v: that at %d: %v", n, s.Index, err)
		return
	}
	c.check.state(n, s.Index, s.Data)
	if !bytes.Equal(n.app.Snapshot(), s.Data) {
		c.violate("snapshots are whole", "%v: restored at %d, the state is another", n, s.Index)
	}
}
