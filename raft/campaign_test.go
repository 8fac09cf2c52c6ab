package raft

import "testing"

// TestLeaderRemovingItselfIsStillNeeded is the case of §4.2.2: a server that is
// not part of its own latest configuration must still campaign until that
// configuration is committed. Of two voters, the leader removed itself, crashed,
// and alone holds the entry: the other cannot win without its vote, and it does
// not get that.
func TestLeaderRemovingItselfIsStillNeeded(t *testing.T) {
	s := newSingle(t, voters(idA, idB), Entry{Index: 2, Term: 1, Kind: EntryConfig, Config: voters(idB)})
	s.must(idB, 0, VoteRequest{LastIndex: 1, LastTerm: 1})
	if got := bodies[VoteResponse](s.takeSent()); len(got) != 1 || got[0].Granted {
		t.Fatalf("vote for a shorter log: %+v", got)
	}
	s.elect()
	s.ackAll()
	if s.role != Follower || s.commit != s.log.last() {
		t.Fatalf("%v, commit %d of %d: want it committed by the other's word, and the duty done", s.role, s.commit, s.log.last())
	}
	s.takeSent()
	s.ticks(100)
	if got := s.takeSent(); len(got) > 0 {
		t.Fatalf("campaigns after its removal is committed: %+v", got)
	}
}

// TestOwnVoteCountsOnlyInOwnConfiguration (§4.2.2): it takes the whole quorum
// from others when it is not part of the configuration itself.
func TestOwnVoteCountsOnlyInOwnConfiguration(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC), Entry{Index: 2, Term: 1, Kind: EntryConfig, Config: voters(idB, idC)})
	s.ticks(10)
	s.must(idB, 0, PreVoteResponse{For: 2, Granted: true})
	if s.role != PreCandidate {
		t.Fatalf("%v with one of two votes", s.role)
	}
	s.must(idC, 0, PreVoteResponse{For: 2, Granted: true})
	s.must(idB, 0, VoteResponse{Granted: true})
	if s.role != Candidate {
		t.Fatalf("%v with one of two votes", s.role)
	}
	s.must(idC, 0, VoteResponse{Granted: true})
	if s.role != Leader {
		t.Fatalf("%v with all votes", s.role)
	}
}

// TestDemotedLeaderStepsDown: once its demotion is committed.
func TestDemotedLeaderStepsDown(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	if err := s.ProposeChange(Change{Kind: Demote, ID: idA}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if s.role != Leader {
		t.Fatalf("%v before its demotion is committed", s.role)
	}
	s.ackAll()
	if s.role != Follower {
		t.Fatalf("%v and no voter", s.role)
	}
}

// TestVotesOfStrangersAreNotKept: only voters' answers cost memory.
func TestVotesOfStrangersAreNotKept(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.ticks(10)
	for i := range 100 {
		s.must(NodeIDFrom([10]byte{1: byte(i + 1)}), 0, PreVoteResponse{For: 2, Granted: true})
	}
	if s.role != PreCandidate || len(s.votes) > 3 {
		t.Fatalf("%v with %d answers", s.role, len(s.votes))
	}
}
