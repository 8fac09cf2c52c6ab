package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// checker knows what must hold at any time, and looks after every event
// (thesis fig. 3.2, and what follows from saving beside sending).
type checker struct {
	c         *Cluster
	leaders   map[raft.Term]string
	committed history             // what any node ever committed
	by        []raft.Term         // by the leader of which term each was
	when      []Time              // likewise
	logs      map[logPoint]uint64 // the digest at each (index, term) any log ever had
	byID      map[raft.ProposalID]raft.Index
	digests   map[*raft.Entry]uint64 // of the entries of messages under way
	believed  map[*Node]belief       // of cluster time, at the end of the event before
	times     timeChecker
	states    map[raft.Index]uint64 // the checksum of the App's state after an entry
	founding  foundingChecker
}

type logPoint struct {
	index raft.Index
	term  raft.Term
}

func (k *checker) init(c *Cluster) {
	k.c = c
	k.leaders = map[raft.Term]string{}
	k.logs = map[logPoint]uint64{}
	k.byID = map[raft.ProposalID]raft.Index{}
	k.digests = map[*raft.Entry]uint64{}
	k.believed = map[*Node]belief{}
	k.states = map[raft.Index]uint64{}
	k.times = timeChecker{appended: map[logPoint]Time{}, fastest: Tick}
}

// saving checks that what goes to the disk is what the Core works with.
func (k *checker) saving(n *Node, s raft.Save) {
	if s.Snapshot != nil {
		k.snapshot(n, s.Snapshot)
	}
	k.underWay(s.Entries)
	for _, e := range s.Entries {
		if have, ok := n.core.Entry(e.Index); !ok || have.Term != e.Term || have.ID != e.ID {
			k.c.violate("saves are true", "%v: save %d holds another entry %d than the log", n, s.Seq, e.Index)
		}
	}
}

// follow brings the picture of a node's log up to date, and checks Log
// Matching for what is new.
func (k *checker) follow(n *Node, s raft.Status) {
	base := s.First - 1
	if base > n.base && base > n.restored && base > n.Disk.entries.last() || base > n.log.last() {
		k.c.violate("only what is durable is dropped", "%v: its log begins at %d, %d are durable, and it restored a snapshot at %d", n, s.First, n.Disk.entries.last(), n.restored)
		return
	}
	if base > s.Snapshot {
		k.c.violate("only what is in a snapshot is dropped", "%v: its log begins at %d, its snapshot is at %d", n, s.First, s.Snapshot)
	}
	n.base = base
	keep := min(n.log.last(), s.Last)
	for keep > base {
		if e, _ := n.core.Entry(keep); e.Term == n.log.term(keep) && e.ID == n.log.entries[keep-1].ID {
			break
		}
		keep--
	}
	if keep < n.commit {
		k.c.violate("committed entries stay", "%v drops its log from entry %d on, and %d is committed", n, keep+1, n.commit)
	}
	if keep < n.log.last() {
		k.shared(n)
	}
	n.log.cut(keep + 1)
	for i := keep + 1; i <= s.Last; i++ {
		e, _ := n.core.Entry(i)
		if e.Index != i || e.Term < n.log.term(i-1) || e.Term > s.Term {
			k.c.violate("log terms", "%v: entry %d of term %d at %d after one of term %d in term %d", n, e.Index, e.Term, i, n.log.term(i-1), s.Term)
		}
		if e.Kind == raft.EntryConfig && s.Role == raft.Leader && e.Term == s.Term {
			k.change(n, s, i)
			k.promotion(n, s, e.Config)
		}
		n.log.replace([]raft.Entry{e})
		k.stamped(n, s, e)
		digest, _ := n.log.digest(i)
		p := logPoint{i, e.Term}
		if known, ok := k.logs[p]; ok && known != digest {
			k.c.violate("log matching", "%v: its log up to entry %d of term %d differs from another's", n, i, e.Term)
		}
		k.logs[p] = digest
	}
}

// change checks the two rules for starting a membership change: no other is
// pending, and an entry of the leader's own term is committed (§4.1, raft-dev
// 2015). Breaking them shows in lost data only by rare coincidence.
func (k *checker) change(n *Node, s raft.Status, at raft.Index) {
	for i := s.Commit + 1; i < at; i++ {
		if e, _ := n.core.Entry(i); e.Kind == raft.EntryConfig {
			k.c.violate("one change at a time", "%v starts a change at %d, and that at %d is not committed", n, at, i)
		}
	}
	term := n.log.term(s.Commit) // also where the log itself is in a snapshot
	if e, ok := n.core.Entry(s.Commit); ok {
		term = e.Term
	}
	if term != s.Term {
		k.c.violate("change after own-term commit", "%v starts a change in term %d, and has committed up to entry %d of term %d", n, s.Term, s.Commit, term)
	}
}

// node checks one node after an event.
func (k *checker) node(n *Node) {
	s := n.core.Status()
	k.follow(n, s)
	k.oneCluster(n, s)
	if s.Commit < n.commit {
		k.c.violate("commit never retreats", "%v: commit index %d after %d", n, s.Commit, n.commit)
	}
	if s.Commit > s.Last || s.Applied > s.Commit {
		k.c.violate("commit within the log", "%v: applied %d, commit %d, last %d", n, s.Applied, s.Commit, s.Last)
	}
	if e, ok := n.core.Entry(s.First - 1); ok || s.Applied != raft.Index(len(n.Applied)) {
		k.c.violate("applied is what the App has", "%v: applied %d, the App has %d; entry %d", n, s.Applied, len(n.Applied), e.Index)
	}
	if s.Stable > s.Last {
		k.c.violate("stable within the log", "%v: stable %d, last %d", n, s.Stable, s.Last)
	}
	if durable := n.Disk.entries.last(); s.Stable > durable {
		k.c.violate("stable is durable", "%v: stable %d, durable %d", n, s.Stable, durable)
	}
	if s.ConfigIndex != n.log.config {
		// In force from when it is appended until it is truncated (§4.1).
		k.c.violate("configuration of the log", "%v uses that of entry %d, the newest is in entry %d", n, s.ConfigIndex, n.log.config)
	}
	if s.Role == raft.Leader {
		k.leader(n, s)
		k.matches(n, s)
		k.keepsTime(n)
	}
	k.commit(n, s)
	n.commit, n.config = s.Commit, s.Config
	k.believed[n] = belief{n.boot, n.core.ClusterTime()}
}

// leader checks Election Safety and Leader Completeness.
func (k *checker) leader(n *Node, s raft.Status) {
	who := fmt.Sprint(n, " boot ", n.boot)
	if other, ok := k.leaders[s.Term]; ok {
		if other != who {
			k.c.violate("one leader a term", "%s and %s in term %d", other, who, s.Term)
		}
		return
	}
	k.leaders[s.Term] = who
	k.votes(n, s)
	k.c.tracef("%v LEADS in term %d", n, s.Term)
	i := k.committed.last()
	for i > 0 && k.by[i-1] >= s.Term {
		i-- // a leader of the past may be elected late, and need not know
	}
	want, _ := k.committed.digest(i)
	if have, ok := n.log.digest(i); !ok || have != want {
		k.c.violate("leader completeness", "%v leads in term %d and lacks entries up to %d, committed before", n, s.Term, i)
	}
}

// commit checks State Machine Safety, and that a majority of disks holds what
// is committed.
func (k *checker) commit(n *Node, s raft.Status) {
	to := min(s.Commit, n.log.last())
	if to <= n.commit {
		return
	}
	have, _ := n.log.digest(to)
	if shared := min(to, k.committed.last()); shared > 0 {
		want, _ := k.committed.digest(shared)
		if got, _ := n.log.digest(shared); got != want {
			k.c.violate("state machine safety", "%v: what it committed up to %d differs from what another did", n, shared)
			return
		}
	}
	if to <= k.committed.last() {
		return
	}
	// When a change was appended in the same event, the commit may have been
	// decided just before it.
	held := k.holders(s.Config, to, have)
	if held < s.Config.Quorum() && (n.config == nil || k.holders(n.config, to, have) < n.config.Quorum()) {
		k.c.violate("a majority of disks", "%v (%v) commits entry %d, and only %d of %d voters hold it durably", n, s.Role, to, held, s.Config.Voters())
	}
	if n.log.term(to) != s.Term {
		// It may well be lost again (§3.6.2, fig. 3.7), by rare coincidence.
		k.c.violate("own-term commit", "%v commits up to entry %d of term %d in term %d", n, to, n.log.term(to), s.Term)
	}
	for _, e := range n.log.entries[k.committed.last():to] {
		if at, ok := k.byID[e.ID]; ok && e.ID != 0 {
			k.c.violate("exactly once", "proposal %d is committed at %d and at %d", e.ID, at, e.Index)
		}
		k.byID[e.ID] = e.Index
		if op := k.c.ops[e.ID]; op != nil && op.Outcome == Failed {
			k.c.violate("failed means no effect", "proposal %d on %v failed (%v) and is committed at %d", e.ID, op.Node, op.Err, e.Index)
		}
	}
	k.committed.replace(n.log.entries[k.committed.last():to])
	for k.committed.last() > raft.Index(len(k.by)) {
		k.by, k.when = append(k.by, s.Term), append(k.when, k.c.clock.now)
	}
	k.c.tracef("%v COMMITS up to entry %d", n, to)
}

// holders counts the voters whose disks hold a log equal up to i.
func (k *checker) holders(conf *raft.Configuration, i raft.Index, digest uint64) int {
	n := 0
	for _, m := range conf.Members {
		if d, ok := k.c.node(m.ID).Disk.entries.digest(i); ok && d == digest && m.Role == raft.Voter {
			n++
		}
	}
	return n
}

// ineffective checks a proposal that was said to have no effect.
func (k *checker) ineffective(op *Op) {
	if at, ok := k.byID[op.ID]; ok {
		k.c.violate("failed means no effect", "proposal %d on %v is committed at %d and failed (%v)", op.ID, op.Node, at, op.Err)
	}
}

// applying checks what an App is given.
func (k *checker) applying(n *Node, e raft.Entry) {
	if want := raft.Index(len(n.Applied) + 1); e.Index != want {
		k.c.violate("applied in order", "%v: entry %d where %d is next", n, e.Index, want)
	}
	if e.Index <= k.committed.last() && digestOf(k.committed.entries[e.Index-1]) != digestOf(e) {
		k.c.violate("state machine safety", "%v applies at %d what another did not", n, e.Index)
	}
}

// sent checks a message as it leaves: what it promises must be durable.
func (k *checker) sent(n *Node, m raft.Message) {
	durable := n.Disk.state
	if m.Term > durable.Term {
		k.c.violate("term durable before it is told", "%v sends %s, and term %d is durable", n, describe(m), durable.Term)
	}
	vote := raft.NodeID("")
	switch b := m.Body.(type) {
	case raft.VoteRequest:
		vote = n.ID
	case raft.VoteResponse:
		if b.Granted {
			vote = m.To
		}
	case raft.AppendRequest:
		k.underWay(b.Entries)
	case raft.AppendResponse:
		k.ack(n, m, b)
	case raft.TimeoutNow:
		k.handOver(n, m)
	case raft.FoundingPromise, raft.FoundingAccept, raft.FoundingAccepted, raft.Founded:
		k.foundingSent(n, m)
	case raft.Removed:
		if b.Index > k.committed.last() {
			k.c.violate("only the removed are told so", "%v sends %s, and %d entries are committed", n, describe(m), k.committed.last())
		}
	}
	if vote != "" && durable.Term == m.Term && durable.Vote != vote {
		k.c.violate("vote durable before it is told", "%v sends %s, and a vote for %q is durable", n, describe(m), durable.Vote)
	}
}

// ack checks that an acknowledgement covers only what is durable and equal to
// the leader's log.
func (k *checker) ack(n *Node, m raft.Message, b raft.AppendResponse) {
	if n.Disk.state.Term > m.Term {
		return // withheld for long; the log may have been replaced since
	}
	have, ok := n.Disk.entries.digest(b.Match)
	if !ok {
		k.c.violate("acks are durable", "%v sends %s, and %d entries are durable", n, describe(m), n.Disk.entries.last())
		return
	}
	leader := k.c.node(m.To)
	if leader.core == nil || leader.core.Role() != raft.Leader || leader.Status().Term != m.Term {
		return
	}
	if want, ok := leader.log.digest(b.Match); ok && want != have {
		k.c.violate("acks are true", "%v sends %s, and its log differs from the leader's", n, describe(m))
	}
}

// underWay, delivered and shared check that nobody changes the entries of a
// message or a save that shares them.
func (k *checker) underWay(es []raft.Entry) {
	for i := range es {
		e := &es[i]
		d := digestOf(*e)
		if known, ok := k.digests[e]; ok && known != d {
			k.c.violate("entries are immutable", "entry %d changed while it was shared", e.Index)
		}
		k.digests[e] = d
	}
}

func (k *checker) delivered(m raft.Message) {
	if b, ok := m.Body.(raft.AppendRequest); ok {
		k.underWay(b.Entries)
	}
}

func (k *checker) shared(n *Node) {
	for _, s := range n.Disk.queue {
		k.underWay(s.Entries)
	}
}
