package raft

import "testing"

// TestVotesGoOnWhenManySavesWait: on a full disk, where a hard state alone is all
// that can be saved, a device votes, and wins elections, however many entries
// came one by one before.
func TestVotesGoOnWhenManySavesWait(t *testing.T) {
	t.Parallel()
	s := newSingle(t, voters(idA, idB, idC))
	s.disk = false
	for i := range Index(2 * maxPendingSaves) {
		e := Entry{Index: 2 + i, Term: 1, Kind: EntryCommand, ID: ProposalID(i + 1), Data: []byte("x")}
		prev := AppendRequest{PrevIndex: 1 + i, PrevTerm: 1, Entries: []Entry{e}, Commit: 1}
		s.must(idB, 1, prev)
	}
	if n := len(s.store.pending); n > maxPendingSaves {
		t.Fatalf("%d saves are under way", n)
	}
	last := s.log.last()
	s.takeSent()
	for range 2 * maxPendingSaves {
		s.ticks(20) // so that no leader is near
		s.takeSent()
		term := s.hard.Term + 1
		s.must(idC, term, VoteRequest{LastIndex: last, LastTerm: 1})
		if sent := bodies[VoteResponse](s.takeSent()); len(sent) > 0 {
			t.Fatalf("term %d: %+v before it was saved", term, sent)
		}
		s.SavedState(s.seq)
		s.settle()
		if sent := bodies[VoteResponse](s.takeSent()); len(sent) != 1 || !sent[0].Granted {
			t.Fatalf("term %d: the vote was saved, and %+v was answered", term, sent)
		}
		if n := len(s.store.pending); n > maxPendingSaves {
			t.Fatalf("%d saves are under way", n)
		}
	}
	s.Saved(s.seq)
	if s.log.stable != last || len(s.store.pending) != 0 {
		t.Errorf("with all saved, %d of %d entries count, and %d saves are under way", s.log.stable, last, len(s.store.pending))
	}
}

// TestASnapshotIsSavedWhenManySavesWait: it may be what makes room for them.
func TestASnapshotIsSavedWhenManySavesWait(t *testing.T) {
	t.Parallel()
	s := newSingle(t, voters(idA, idB, idC))
	s.disk = false
	for i := range Index(2 * maxPendingSaves) {
		e := Entry{Index: 2 + i, Term: 1, Kind: EntryCommand, ID: ProposalID(i + 1), Data: []byte("x")}
		s.must(idB, 1, AppendRequest{PrevIndex: 1 + i, PrevTerm: 1, Entries: []Entry{e}, Commit: 1 + i})
	}
	if err := s.Snapshot([]byte("state")); err != nil {
		t.Fatal(err)
	}
	rd := s.Ready()
	if rd.Save == nil || rd.Save.Snapshot == nil || len(s.store.pending) > maxPendingSaves {
		t.Fatalf("handed out: %+v, with %d under way", rd.Save, len(s.store.pending))
	}
	s.Saved(rd.Save.Seq)
	if s.log.stable != s.log.last() || len(s.store.pending) != 0 {
		t.Errorf("with all saved, %d of %d entries count", s.log.stable, s.log.last())
	}
}
