package raft

import (
	"errors"
	"slices"
	"testing"
)

// TestRefusalIsRepeated: the answer that declines a forwarded proposal may be
// lost. Whoever asks again is told again, or would wait for the rest of the term.
func TestRefusalIsRepeated(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	s.cfg.MaxPendingBytes = -1 // no room for anything
	forward := Forward{Boot: 3, Proposals: []ForwardedProposal{{Seq: 1, ID: 77, Data: []byte("x")}}}
	for range 3 {
		s.must(idB, 0, forward)
		refused := bodies[ForwardRefused](s.takeSent())
		if len(refused) != 1 || refused[0] != (ForwardRefused{Boot: 3, Seq: 1, Reason: RefusedBusy}) {
			t.Fatalf("%+v", refused)
		}
	}
	s.cfg.MaxPendingBytes = DefaultMaxPendingBytes
	last := s.log.last()
	s.must(idB, 0, forward)
	if s.log.last() != last {
		t.Fatal("a proposal was refused and then taken: its client was told that it has no effect")
	}
	if got := bodies[ForwardRefused](s.takeSent()); len(got) != 1 {
		t.Fatalf("not refused again after there was room: %+v", got)
	}
}

// TestTooLargeForwardIsRefused: where the limits of two devices differ, the one
// who proposed is told, and what else came with it is taken.
func TestTooLargeForwardIsRefused(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	last := s.log.last()
	s.must(idB, 0, Forward{Boot: 3, Proposals: []ForwardedProposal{
		{Seq: 1, ID: 77, Data: make([]byte, DefaultMaxCommandBytes+1)}, {Seq: 2, ID: 78, Data: []byte("x")},
	}})
	refused := bodies[ForwardRefused](s.takeSent())
	if len(refused) != 1 || refused[0] != (ForwardRefused{Boot: 3, Seq: 1, Reason: RefusedTooLarge}) {
		t.Errorf("refused %+v", refused)
	}
	if got := s.log.last() - last; got != 1 {
		t.Errorf("%d entries, want 1", got)
	}
}

// TestForwardIsTakenOnce: repeated, reordered and outdated requests add nothing.
func TestForwardIsTakenOnce(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	before := s.log.last()
	one := func(boot, seq uint64) {
		s.must(idB, 0, Forward{Boot: boot, Proposals: []ForwardedProposal{{Seq: seq, ID: ProposalID(boot<<8 | seq)}}})
	}
	one(3, 2)
	one(3, 1)
	one(3, 2)
	one(3, 1)
	one(4, 1) // it restarted
	one(3, 3) // from before that
	if got := s.log.last() - before; got != 3 {
		t.Fatalf("%d entries, want 3", got)
	}
	if err := s.gets(testID("d"), 0, Forward{Boot: 1, Proposals: []ForwardedProposal{{Seq: 1}}}); !errors.Is(err, ErrUnexpected) {
		t.Fatalf("from a stranger: %v", err)
	}
}

// TestForwardIsTakenOnceAcrossRemoval: a late copy of a request that arrives
// after its sender was removed and admitted again adds nothing either.
func TestForwardIsTakenOnceAcrossRemoval(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	forward := Forward{Boot: 1, Proposals: []ForwardedProposal{{Seq: 1, ID: 77}}}
	s.must(idB, 0, forward)
	for _, ch := range []Change{{Kind: Remove, ID: idB}, {Kind: AddLearner, ID: idB}} {
		if err := s.ProposeChange(ch); err != nil {
			t.Fatal(err)
		}
		s.settle()
		s.ackAll()
	}
	before := s.log.last()
	s.must(idB, 0, forward)
	if s.log.last() != before {
		t.Fatal("the same proposal is in the log twice")
	}
}

// TestForwardingMembersAreBounded: with too many senders in one term a leader
// fails closed.
func TestForwardingMembersAreBounded(t *testing.T) {
	s := newSingle(t, voters(idA))
	s.elect()
	for i := range maxSenders {
		s.lead.seen[NodeIDFrom([10]byte{byte(i), byte(i >> 8)})] = newSeqWindow(1, 64)
	}
	if err := s.ProposeChange(Change{Kind: AddLearner, ID: idB}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	before := s.log.last()
	if err := s.gets(idB, 0, Forward{Boot: 1, Proposals: []ForwardedProposal{{Seq: 1, ID: 77}}}); err == nil || s.log.last() != before {
		t.Fatalf("taken, and the memory for it is used up: %v", err)
	}
}

// TestRefusedChangeIsRepeated: the same for a membership change, with the reason.
func TestRefusedChangeIsRepeated(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	wish := ForwardChange{Boot: 3, Seq: 1, ID: 77, Change: Change{Kind: Promote, ID: idC}}
	for range 3 {
		s.must(idB, 0, wish)
		refused := bodies[ForwardRefused](s.takeSent())
		if len(refused) != 1 || refused[0] != (ForwardRefused{Boot: 3, Seq: 1, Reason: RefusedBadChange}) {
			t.Fatalf("%+v", refused)
		}
	}
	if err := s.ProposeChange(Change{Kind: Demote, ID: idC}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.ackAll()
	last := s.log.last()
	s.takeSent()
	s.must(idB, 0, wish)
	if got := bodies[ForwardRefused](s.takeSent()); len(got) != 1 || s.log.last() != last {
		t.Fatalf("refused, and taken when it fits: %+v", got)
	}
}

// TestProposalsAreBoundedInBytes: what waits for a leader costs memory, however
// few proposals it is.
func TestProposalsAreBoundedInBytes(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.cfg.MaxProposalBytes = 10_000
	taken := 0
	for range 100 {
		_, err := s.Propose(make([]byte, 1000))
		if err != nil && !errors.Is(err, ErrBusy) {
			t.Fatal(err)
		}
		if err == nil {
			taken++
		}
	}
	if taken < 8 || taken > 10 {
		t.Fatalf("took %d", taken)
	}
	for id := range s.proposals.byID {
		s.Cancel(id)
	}
	if _, err := s.Propose(make([]byte, 1000)); err != nil || s.proposals.bytes != 1000+entryOverhead {
		t.Fatalf("%v; %d bytes are counted", err, s.proposals.bytes)
	}
}

// TestRepetitionsBackOff: what the leader does not confirm is repeated ever more
// rarely, and at once with the next leader.
func TestRepetitionsBackOff(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	heartbeat := func(from NodeID, term Term) {
		s.must(from, term, AppendRequest{PrevIndex: 1, PrevTerm: 1})
	}
	heartbeat(idB, 2)
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	var at []int
	for tick := range 60 {
		s.settle()
		if len(bodies[Forward](s.takeSent())) > 0 {
			at = append(at, tick)
		}
		heartbeat(idB, 2)
		s.Tick()
	}
	if want := []int{0, 4, 12, 28, 44}; !slices.Equal(at, want) {
		t.Errorf("handed on in ticks %d, want %d", at, want)
	}
	s.must(idC, 3, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{{Index: 2, Term: 3, Kind: EntryNoOp}}})
	s.must(idC, 3, AppendRequest{PrevIndex: 2, PrevTerm: 3, Commit: 2})
	if n := len(bodies[Forward](s.takeSent())); n != 1 {
		t.Errorf("handed on %d times to the next leader, want once", n)
	}
}

// TestRefusalOfAnEarlierBoot: a device that restarted numbers its proposals anew,
// and an answer to one of before must not end one of now.
func TestRefusalOfAnEarlierBoot(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.cfg.Boot = 2
	s.proposals.boot = 2
	s.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1})
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.settle()
	sent := bodies[Forward](s.takeSent())
	if len(sent) != 1 || sent[0].Boot != 2 {
		t.Fatalf("handed on: %+v", sent)
	}
	seq := sent[0].Proposals[0].Seq
	s.must(idB, 0, ForwardRefused{Boot: 1, Seq: seq, Reason: RefusedBusy})
	if len(s.fail) > 0 {
		t.Fatal("it failed by an answer to another")
	}
	s.must(idB, 0, ForwardRefused{Boot: 2, Seq: seq, Reason: RefusedBusy})
	if len(s.fail) != 1 {
		t.Fatal("its own answer did not end it")
	}
}
