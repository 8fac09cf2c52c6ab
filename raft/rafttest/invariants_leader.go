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

// fewEntries is how many a learner may lack when it gets its vote, however old.
const fewEntries = 64

// promotion checks that one which gets a vote holds the configuration in force,
// and all that is committed but for a few entries or for what was so in the last
// moment: commits and elections may soon depend on it (§4.2.1).
func (k *checker) promotion(n *Node, s raft.Status, next *raft.Configuration) {
	for _, m := range next.Members {
		d := k.c.node(m.ID).Disk
		if m.Role != raft.Voter || m.ID == n.ID || n.config == nil || n.config.IsVoter(m.ID) || d.state.Term > s.Term {
			continue
		}
		moment := 4 * HeartbeatTicks * n.tickLen // a heartbeat or two of the leader, and then some
		last := d.entries.last()
		late := last+fewEntries < n.commit && k.when[last]+moment < k.c.clock.now && n.paused+moment < k.c.clock.now
		if last < n.log.config || late {
			k.c.violate("promotion when caught up", "%v promotes %v, which holds %d entries; the configuration is in entry %d, %d are committed", n, k.c.node(m.ID), last, n.log.config, n.commit)
		}
	}
}

// belief is what a node believed cluster time to be, in one boot.
type belief struct {
	boot uint64
	time raft.Time
}

// keepsTime checks that cluster time does not fall back when a node begins to
// lead, or goes on: what has a TTL would live for longer with each new leader.
func (k *checker) keepsTime(n *Node) {
	before, now := k.believed[n], n.core.ClusterTime()
	if before.boot == n.boot && now < before.time {
		k.c.violate("leaders keep time", "%v leads and says that it is %d; it believed %d before", n, now, before.time)
	}
}
