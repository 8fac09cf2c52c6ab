package raft

import "testing"

// TestReadsAfterTheConfirmingVoterLeft: a round that waits for the word of a
// voter that is then removed is confirmed by those that remain.
func TestReadsAfterTheConfirmingVoterLeft(t *testing.T) {
	s := newSingle(t, voters(idA, idB))
	s.leadAndCommit()
	seq := s.Core.Read()
	s.settle()
	if len(s.read) > 0 {
		t.Fatalf("served without the other's word: %+v", s.read)
	}
	if err := s.ProposeChange(Change{Kind: Remove, ID: idB}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.ticks(10)
	if len(s.read) != 1 || s.read[0].Seq != seq {
		t.Fatalf("a lone voter leaves a read waiting: %+v", s.read)
	}
}

// TestReadNeedsARound: the answer to an earlier round, or to a heartbeat, does
// not confirm a read (§6.4).
func TestReadNeedsARound(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	s.Core.Read()
	s.settle()
	s.must(idB, 0, AppendResponse{Match: s.log.last(), Read: s.lead.round})
	if len(s.read) != 1 {
		t.Fatalf("not served after a majority's word: %+v", s.read)
	}
	s.Core.Read()
	s.settle()
	s.must(idC, 0, AppendResponse{Match: s.log.last(), Read: s.lead.round - 1})
	s.must(idB, 0, AppendResponse{Match: s.log.last(), Read: s.lead.round - 1})
	if len(s.read) != 1 {
		t.Fatal("served on the word of an earlier round")
	}
}
