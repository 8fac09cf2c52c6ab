package raft

import (
	"slices"
	"strings"
	"testing"
)

// The tests of single rules talk to one Core as its network, disk and clock.

var testCluster = ClusterIDFrom([16]byte{7})

func testID(name string) NodeID { return NodeID(strings.Repeat(name, NodeIDLen)) }

var (
	idA, idB, idC = testID("a"), testID("b"), testID("c")
)

func voters(ids ...NodeID) *Configuration {
	c := noMembers
	for _, id := range ids {
		c = c.with(Member{ID: id, Role: Voter})
	}
	return c
}

// single is a Core under test.
type single struct {
	*Core
	t *testing.T
	// disk is false while saves hang.
	disk bool
	seq  uint64
	sent []Message
	done []Entry
	fail []Failed
	read []ReadDone
}

// newSingle starts a as a voter among members, in term 1.
func newSingle(t *testing.T, conf *Configuration, more ...Entry) *single {
	t.Helper()
	from := Stored{State: HardState{Cluster: testCluster, Term: 1, Commit: 1}}
	from.Entries = append([]Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: conf}}, more...)
	from.State.Term = from.Entries[len(from.Entries)-1].Term
	return newSingleFrom(t, Config{}, from)
}

func newSingleFrom(t *testing.T, cfg Config, from Stored) *single {
	t.Helper()
	cfg.ID, cfg.ElectionTicks, cfg.HeartbeatTicks, cfg.StallTicks = idA, 10, 2, 60
	cfg.Random = func(int) int { return 0 }
	cfg.Boot, cfg.ProposalBase = 1, 1000
	c, err := New(cfg, from)
	if err != nil {
		t.Fatal(err)
	}
	return &single{Core: c, t: t, disk: true}
}

// settle carries out what the Core wants.
func (s *single) settle() {
	s.t.Helper()
	for range 1000 {
		rd := s.Ready()
		if rd.Empty() {
			return
		}
		s.sent = append(s.sent, rd.Messages...)
		s.done = append(s.done, rd.Committed...)
		s.fail = append(s.fail, rd.Failed...)
		s.read = append(s.read, rd.Reads...)
		if rd.Save != nil {
			s.seq = rd.Save.Seq
		}
		if s.disk {
			s.Saved(s.seq)
		}
	}
	s.t.Fatal("the core never rests")
}

func (s *single) ticks(n int) {
	s.t.Helper()
	for range n {
		s.Tick()
		s.settle()
	}
}

// gets hands in a message; term 0 stands for the Core's own.
func (s *single) gets(from NodeID, term Term, b Body) error {
	s.t.Helper()
	if term == 0 {
		term = s.hard.Term
	}
	err := s.Step(Message{Cluster: testCluster, From: from, To: idA, Term: term, Body: b})
	s.settle()
	return err
}

// must is gets for messages that are welcome.
func (s *single) must(from NodeID, term Term, b Body) {
	s.t.Helper()
	if err := s.gets(from, term, b); err != nil {
		s.t.Fatal(err)
	}
}

// takeSent returns the messages since the last call.
func (s *single) takeSent() []Message {
	m := s.sent
	s.sent = nil
	return m
}

// bodies returns those among the messages that are of type B, in order.
func bodies[B Body](ms []Message) []B {
	var found []B
	for _, m := range ms {
		if b, ok := m.Body.(B); ok {
			found = append(found, b)
		}
	}
	return found
}

// elect makes the Core the leader, with its no-op appended.
func (s *single) elect() {
	s.t.Helper()
	s.ticks(10)
	for _, m := range s.conf().Members {
		if m.ID != idA && s.role == PreCandidate {
			s.must(m.ID, 0, PreVoteResponse{For: s.hard.Term + 1, Granted: true})
		}
	}
	for _, m := range s.conf().Members {
		if m.ID != idA && s.role == Candidate {
			s.must(m.ID, 0, VoteResponse{Granted: true})
		}
	}
	if s.role != Leader {
		s.t.Fatalf("%v, not leader", s.role)
	}
}

// leadAndCommit makes it the leader whose no-op is committed.
func (s *single) leadAndCommit() {
	s.t.Helper()
	s.elect()
	s.ackAll()
	if s.commit != s.log.last() {
		s.t.Fatalf("commit %d of %d", s.commit, s.log.last())
	}
	s.takeSent()
}

// ackAll lets all others have the whole log.
func (s *single) ackAll() {
	s.t.Helper()
	for _, m := range slices.Clone(s.conf().Members) {
		if m.ID != idA && s.role == Leader {
			s.must(m.ID, 0, AppendResponse{Match: s.log.last(), Read: s.lead.round})
		}
	}
}
