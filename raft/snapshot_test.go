package raft

import (
	"errors"
	"hash/crc32"
	"testing"
)

func snapshotAt(i Index, term Term, data string) SnapshotRequest {
	return SnapshotRequest{
		Index: i, Term: term, Config: voters(idA, idB, idC), ConfigIndex: 1,
		Size: uint64(len(data)), Sum: crc32.Checksum([]byte(data), castagnoli), Data: []byte(data),
	}
}

// lagging makes a leader with a snapshot at its last entry and no log, to which
// b turns out to have nothing; c has it all.
func lagging(t *testing.T, cfg Config) *single {
	t.Helper()
	cfg.MaxTrailBytes = 1
	s := newSingleFrom(t, cfg, Stored{
		State:   HardState{Cluster: testCluster, Term: 1, Commit: 1},
		Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA, idB, idC)}},
	})
	s.elect()
	s.must(idC, 0, AppendResponse{Match: s.log.last()})
	if err := s.Snapshot([]byte("0123456789")); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if s.log.base != s.log.last() {
		t.Fatalf("the log begins after %d, and ends at %d", s.log.base, s.log.last())
	}
	s.takeSent()
	s.must(idB, 0, AppendResponse{Rejected: true, Prev: 1, ConflictIndex: 1})
	return s
}

// TestPiecesDoNotMultiply: however often heartbeats and answers are repeated,
// one piece is under way at a time.
func TestPiecesDoNotMultiply(t *testing.T) {
	s := lagging(t, Config{MaxAppendBytes: 2})
	if got := bodies[SnapshotRequest](s.takeSent()); len(got) != 1 {
		t.Fatalf("%d pieces for a start", len(got))
	}
	for range 10 {
		s.Read()
		s.settle()
		s.must(idB, 0, AppendResponse{Read: s.lead.round})
	}
	if got := bodies[SnapshotRequest](s.takeSent()); len(got) != 0 {
		t.Fatalf("%d pieces for answers to heartbeats", len(got))
	}
	for range 10 {
		s.must(idB, 0, SnapshotResponse{Index: s.snap.Index, Offset: 2})
	}
	if got := bodies[SnapshotRequest](s.takeSent()); len(got) != 1 || got[0].Offset != 2 {
		t.Fatalf("for ten copies of one answer: %+v", got)
	}
	s.ticks(2)
	if got := bodies[SnapshotRequest](s.takeSent()); len(got) != 0 {
		t.Fatalf("%d pieces for one that may be gone", len(got))
	}
	s.must(idB, 0, AppendResponse{})
	if got := bodies[SnapshotRequest](s.takeSent()); len(got) != 1 {
		t.Fatalf("%d pieces after one was lost", len(got))
	}
}

// TestRejectionThatAcknowledgesASnapshot: an answer may reject a request of
// long ago and say that the snapshot is there.
func TestRejectionThatAcknowledgesASnapshot(t *testing.T) {
	s := lagging(t, Config{})
	s.must(idB, 0, AppendResponse{Match: s.snap.Index, Rejected: true, Prev: 1, ConflictIndex: 1})
	s.takeSent()
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.settle()
	if p := s.lead.peers[idB]; p.sending != nil || p.next <= s.snap.Index {
		t.Fatalf("goes on sending what is there: %+v", p)
	}
}

// TestNoSnapshotBeforeTheInstalledOneIsDurable: a merged Save would otherwise
// drop the log with a snapshot that does not stand for all of it.
func TestNoSnapshotBeforeTheInstalledOneIsDurable(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.disk = false
	s.must(idB, 0, snapshotAt(10, 1, "state"))
	s.must(idB, 0, AppendRequest{PrevIndex: 10, PrevTerm: 1, Commit: 11, Entries: []Entry{{Index: 11, Term: 1, Kind: EntryNoOp}}})
	if len(s.done) != 1 {
		t.Fatalf("%d entries applied", len(s.done))
	}
	if err := s.Snapshot(nil); !errors.Is(err, ErrBusy) {
		t.Fatalf("a second snapshot: %v", err)
	}
	s.Saved(s.seq)
	if err := s.Snapshot(nil); err != nil {
		t.Fatal(err)
	}
}

// TestLatePieceHarmsNoTransfer: copies of pieces of an earlier snapshot may
// arrive while the next is coming; and none of it is kept once its entries came.
func TestLatePieceHarmsNoTransfer(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.must(idB, 0, snapshotAt(10, 1, "state"))
	part := snapshotAt(20, 1, "later state")
	part.Data = part.Data[:5]
	s.must(idB, 0, part)
	s.must(idB, 0, snapshotAt(10, 1, "state"))
	if s.incoming == nil || len(s.incoming.data) != 5 {
		t.Fatal("what was here of the next one is gone")
	}
	var es []Entry
	for i := Index(11); i <= 20; i++ {
		es = append(es, Entry{Index: i, Term: 1, Kind: EntryNoOp})
	}
	s.must(idB, 0, AppendRequest{PrevIndex: 10, PrevTerm: 1, Commit: 20, Entries: es})
	if s.incoming != nil {
		t.Fatal("it is kept for nothing")
	}
}
