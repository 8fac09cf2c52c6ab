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

// TestSnapshotOfWhatIsHere: what lies behind it may be acknowledged already, so
// it stays; and all up to it is committed.
func TestSnapshotOfWhatIsHere(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	var es []Entry
	for i := Index(2); i <= 15; i++ {
		es = append(es, Entry{Index: i, Term: 1, Kind: EntryNoOp})
	}
	s.must(idB, 0, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: es})
	s.takeSent()
	s.must(idB, 0, snapshotAt(10, 1, "state"))
	if s.log.last() != 15 || s.commit != 10 || len(s.done) != 10 {
		t.Fatalf("last %d, commit %d, %d applied", s.log.last(), s.commit, len(s.done))
	}
	if got := bodies[AppendResponse](s.takeSent()); len(got) != 1 || got[0].Match != 15 {
		t.Fatalf("%+v", got)
	}
}

// TestStartFromSnapshot: stored entries may begin anywhere up to directly
// behind the snapshot.
func TestStartFromSnapshot(t *testing.T) {
	snap := &Snapshot{Index: 5, Term: 1, Config: voters(idA, idB), ConfigIndex: 1, Data: []byte("state")}
	entries := func(from, to Index) []Entry {
		var es []Entry
		for i := from; i <= to; i++ {
			es = append(es, Entry{Index: i, Term: 1, Kind: EntryNoOp})
		}
		return es
	}
	for _, c := range []struct {
		name       string
		stored     []Entry
		base, last Index
		fails      bool
	}{
		{name: "none", base: 5, last: 5},
		{name: "from the beginning", stored: entries(1, 8), base: 1, last: 8},
		{name: "from below", stored: entries(3, 8), base: 3, last: 8},
		{name: "from its last", stored: entries(5, 8), base: 5, last: 8},
		{name: "its last alone", stored: entries(5, 5), base: 5, last: 5},
		{name: "directly behind", stored: entries(6, 8), base: 5, last: 8},
		{name: "an end before it", stored: entries(2, 4), base: 5, last: 5},
		{name: "a gap", stored: entries(7, 8), fails: true},
	} {
		t.Run(c.name, func(t *testing.T) {
			core, err := New(Config{ID: idA, ElectionTicks: 10, HeartbeatTicks: 2, Random: func(int) int { return 0 }},
				Stored{State: HardState{Cluster: testCluster, Term: 1, Commit: 3}, Snapshot: snap, Entries: c.stored})
			if c.fails != (err != nil) {
				t.Fatal(err)
			}
			if err != nil {
				return
			}
			if core.log.base != c.base || core.log.last() != c.last || core.log.term(c.base) != 1 || core.commit != 5 {
				t.Fatalf("base %d, last %d, commit %d", core.log.base, core.log.last(), core.commit)
			}
			if rd := core.Ready(); rd.Restore != snap || len(rd.Committed) != 0 || core.confs.index() != 1 {
				t.Fatalf("%+v", rd)
			}
		})
	}
}

// TestInstallTakesBackWhatConflicts: a save under way when a snapshot is
// installed must not vouch for entries that were not the new leader's.
func TestInstallTakesBackWhatConflicts(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.disk = false
	s.must(idB, 0, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{{Index: 2, Term: 1, Kind: EntryNoOp}, {Index: 3, Term: 1, Kind: EntryNoOp}}})
	old := s.seq
	s.must(idC, 2, AppendRequest{})
	s.must(idC, 2, snapshotAt(10, 2, "state"))
	if s.seq == old {
		t.Fatal("nothing is saved")
	}
	s.Saved(old + 1) // the term
	s.settle()
	s.takeSent()
	s.must(idC, 2, AppendRequest{Read: 1})
	if got := bodies[AppendResponse](s.takeSent()); len(got) != 1 || got[0].Match > 1 {
		t.Fatalf("before the snapshot is durable: %+v", got)
	}
	s.Saved(s.seq)
	s.settle()
	if got := bodies[AppendResponse](s.takeSent()); len(got) != 1 || got[0].Match != 10 {
		t.Fatalf("after it: %+v", got)
	}
}

// TestTransferIsNoStall: a leader whose majority needs a snapshot first does not
// step down while that makes progress, and does when it makes none.
func TestTransferIsNoStall(t *testing.T) {
	s := lagging(t, Config{MaxAppendBytes: 1, MaxSnapshotRate: 1})
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	heartbeats := func(n int) {
		for range n {
			s.ticks(1)
			if s.role == Leader {
				s.must(idB, 0, AppendResponse{})
			}
		}
	}
	for offset := range uint64(9) {
		heartbeats(40)
		if s.role != Leader {
			t.Fatalf("%v after %d bytes", s.role, offset)
		}
		s.must(idB, 0, SnapshotResponse{Index: s.snap.Index, Offset: offset + 1})
	}
	heartbeats(80)
	if s.role == Leader {
		t.Fatal("leads on, and nothing moves")
	}
}

// TestTwoSnapshotsInMemory: members that lag hold on to no more than the newest
// snapshot and the oldest that is under way to one that is heard; and that one
// is not taken away, or it would never arrive.
func TestTwoSnapshotsInMemory(t *testing.T) {
	s := newSingleFrom(t, Config{MaxTrailBytes: 1, MaxAppendBytes: 10}, Stored{
		State:   HardState{Cluster: testCluster, Term: 1, Commit: 1},
		Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA, idB, idC, testID("d"), testID("e"))}},
	})
	s.leadAndCommit()
	snapshot := func() {
		if _, err := s.Propose([]byte("x")); err != nil {
			t.Fatal(err)
		}
		s.settle()
		s.must(idB, 0, AppendResponse{Match: s.log.last()})
		s.must(idC, 0, AppendResponse{Match: s.log.last()})
		if err := s.Snapshot(make([]byte, 1000)); err != nil {
			t.Fatal(err)
		}
		s.settle()
	}
	lag := func(id NodeID) *progress {
		p := s.lead.peers[id]
		p.match, p.next, p.silent = 1, 2, 0
		s.ticks(1)
		return p
	}
	snapshot()
	d := lag(testID("d"))
	first := d.sending
	snapshot()
	e := lag(testID("e"))
	second := e.sending
	snapshot()
	if d.sending != first || e.sending == second || e.sending == first || first == nil || second == nil {
		t.Errorf("three snapshots: d gets the first: %v, e still the second: %v", d.sending == first, e.sending == second)
	}
	d.silent = s.cfg.ElectionTicks + 1 // gone
	snapshot()
	if d.sending == first {
		t.Error("the first snapshot is kept for one that is not heard")
	}
}

// TestSnapshotsLeaveProbesAlone: a member that is probed, and may be gone, is
// not sent its entries again with every snapshot that is taken.
func TestSnapshotsLeaveProbesAlone(t *testing.T) {
	s := newSingleFrom(t, Config{MaxTrailBytes: 300, MaxAppendBytes: 10}, Stored{
		State:   HardState{Cluster: testCluster, Term: 1, Commit: 1},
		Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA, idB, idC, testID("d"), testID("e"))}},
	})
	s.leadAndCommit()
	commit := func() {
		if _, err := s.Propose([]byte("x")); err != nil {
			t.Fatal(err)
		}
		s.settle()
		s.must(idB, 0, AppendResponse{Match: s.log.last()})
		s.must(idC, 0, AppendResponse{Match: s.log.last()})
	}
	for range 8 {
		commit()
	}
	if err := s.Snapshot(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	d := s.lead.peers[testID("d")]
	d.match, d.next, d.silent = 1, 2, 0
	s.ticks(1)
	if d.sending == nil {
		t.Fatal("d is sent no snapshot")
	}
	e := s.lead.peers[testID("e")]
	e.probing, e.waiting, e.next = true, true, s.log.last()
	commit()
	s.takeSent()
	if err := s.Snapshot(make([]byte, 1000)); err != nil {
		t.Fatal(err)
	}
	s.settle()
	for _, m := range s.takeSent() {
		if b, ok := m.Body.(AppendRequest); ok && m.To == testID("e") && len(b.Entries) > 0 {
			t.Fatalf("sent again: %+v", b)
		}
	}
}

// TestWhatFollowsOnASnapshotStays while it is on its way to a member that is
// heard, up to half of what the log may be: on a slow link the member would
// otherwise be sent one snapshot after the other, and never get there.
func TestWhatFollowsOnASnapshotStays(t *testing.T) {
	for _, c := range []struct {
		maxLog int
		kept   bool
	}{{1 << 20, true}, {5000, false}} {
		s := newSingleFrom(t, Config{MaxTrailBytes: 1, MaxAppendBytes: 10, MaxLogBytes: c.maxLog}, Stored{
			State:   HardState{Cluster: testCluster, Term: 1, Commit: 1},
			Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA, idB, idC)}},
		})
		s.leadAndCommit()
		snapshot := func() {
			for range 10 {
				if _, err := s.Propose(make([]byte, 200)); err != nil {
					t.Fatal(err)
				}
			}
			s.settle()
			s.must(idB, 0, AppendResponse{Match: s.log.last()})
			if err := s.Snapshot(make([]byte, 1000)); err != nil {
				t.Fatal(err)
			}
			s.settle()
		}
		snapshot()
		p := s.lead.peers[idC]
		p.match, p.next, p.silent = 1, 2, 0
		s.ticks(1)
		sent := p.sending
		snapshot()
		snapshot()
		if kept := s.log.base <= sent.Index; p.sending != sent || kept != c.kept {
			t.Errorf("a log of at most %d: what follows on the snapshot at %d is kept: %v (from %d)", c.maxLog, sent.Index, kept, s.log.base)
		}
	}
}
