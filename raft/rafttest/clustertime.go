package rafttest

import "github.com/edgeraft/edgeraft/raft"

// timeChecker checks that cluster time never leads: between two entries of a
// log no more of it goes by than of real time, as the fastest clock counts,
// between the moments at which they were appended. So nothing expires too early.
type timeChecker struct {
	appended map[logPoint]Time // when a leader appended each entry
	fastest  Time              // the shortest tick any node ever had
}

// stamped notes a new entry of a leader, and compares it with the one before.
// What holds for neighbours holds for any two.
func (k *checker) stamped(n *Node, s raft.Status, e raft.Entry) {
	t := &k.times
	if s.Role != raft.Leader || e.Term != s.Term || e.Index == 1 {
		return
	}
	now := k.c.clock.now
	t.appended[logPoint{e.Index, e.Term}] = now
	prev := n.log.entries[e.Index-2]
	if e.Time < prev.Time {
		k.c.violate("time never goes back", "%v stamps entry %d with %d after %d", n, e.Index, e.Time, prev.Time)
	}
	before, known := t.appended[logPoint{prev.Index, prev.Term}]
	if most := raft.Time((now-before)*Tick/t.fastest) + 1; known && e.Time-prev.Time > most {
		k.c.violate("time never leads", "%v stamps entry %d with %d, %d after the one before, and at most %d went by", n, e.Index, e.Time, e.Time-prev.Time, most)
	}
}

// time checks that a node's idea of cluster time fits its log. It is where
// leaders begin, so it must never lead either.
func (k *checker) time(n *Node) {
	t, last := &k.times, n.log.last()
	if last == 0 {
		return
	}
	e := n.log.entries[last-1]
	at, known := t.appended[logPoint{e.Index, e.Term}]
	have := n.core.ClusterTime()
	if have < e.Time {
		k.c.violate("time never goes back", "%v believes it is %d, and its last entry is of %d", n, have, e.Time)
	}
	if most := raft.Time((k.c.clock.now-at)*Tick/t.fastest) + 1; known && have-e.Time > most {
		k.c.violate("time never leads", "%v believes it is %d, %d after its last entry, and at most %d went by", n, have, have-e.Time, most)
	}
}
