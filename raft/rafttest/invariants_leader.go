package rafttest

import "github.com/edgeraft/edgeraft/raft"

// What a leader relies on. A core that breaks one of these loses data only by
// rare coincidence; here it is seen at once.

// votes checks that a new leader has a majority of votes that are durable. A
// voter that has gone on to a later term can give no other in this one.
func (k *checker) votes(n *Node, s raft.Status) {
	have := 0
	for _, m := range s.Config.Members {
		d := k.c.node(m.ID).Disk.state
		if m.Role == raft.Voter && (d.Term > s.Term || d.Term == s.Term && d.Vote == n.ID) {
			have++
		}
	}
	if have < s.Config.Quorum() {
		k.c.violate("a majority of votes", "%v leads in term %d with %d durable votes of %d voters", n, s.Term, have, s.Config.Voters())
	}
}

// matches checks that what a leader counts as held by others is durable there,
// and equal, until a later leader may have replaced it.
func (k *checker) matches(n *Node, s raft.Status) {
	for id, p := range s.Peers {
		d := k.c.node(id).Disk
		if d.state.Term > s.Term {
			continue
		}
		have, ok := d.entries.digest(p.Match)
		if want, known := n.log.digest(p.Match); !ok || known && have != want {
			k.c.violate("what is counted is held", "%v counts %v for entries up to %d; %d are durable there", n, k.c.node(id), p.Match, d.entries.last())
		}
	}
}

// handOver checks that a successor is told to campaign only when it holds the
// whole log (§3.10).
func (k *checker) handOver(n *Node, m raft.Message) {
	last := n.core.Status().Last
	if durable := k.c.node(m.To).Disk.entries.last(); durable < last {
		k.c.violate("a successor holds the log", "%v hands over to %v at entry %d, and %d are durable there", n, k.c.node(m.To), last, durable)
	}
}
