package raft

import (
	"errors"
	"testing"
)

// TestOneForgedTermDoesNotEndTheCluster: terms are used up one by one; a
// message that jumps to the end is dropped, and after the greatest jump that is
// not there is still room to elect.
func TestOneForgedTermDoesNotEndTheCluster(t *testing.T) {
	for _, term := range []Term{1 << 63, 1 << 62, 1 << 40, 1<<32 + 2} {
		s := newSingle(t, voters(idA, idB, idC))
		if err := s.gets(idB, term, AppendResponse{}); !errors.Is(err, ErrUnexpected) || s.hard.Term != 1 {
			t.Errorf("term %d is taken over: %v", term, err)
		}
	}
	s := newSingle(t, voters(idA, idB, idC))
	s.must(idB, 1<<32, AppendResponse{})
	s.leadAndCommit()
}

// TestMalformedAppendChangesNothing: neither the term, nor whom a device takes
// for the leader, nor which cluster a blank device adopts.
func TestMalformedAppendChangesNothing(t *testing.T) {
	cases := map[string]AppendRequest{
		"a gap":                           {Entries: []Entry{{Index: 2, Term: 1, Kind: EntryNoOp}}},
		"terms that decrease":             {Entries: []Entry{{Index: 1, Term: 3, Kind: EntryNoOp}, {Index: 2, Term: 2, Kind: EntryNoOp}}},
		"a term below the one before":     {PrevIndex: 1, PrevTerm: 3, Entries: []Entry{{Index: 2, Term: 2, Kind: EntryNoOp}}},
		"a term above the message's":      {Entries: []Entry{{Index: 1, Term: 9, Kind: EntryNoOp}}},
		"no term":                         {Entries: []Entry{{Index: 1, Kind: EntryNoOp}}},
		"a configuration without members": {Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig}}},
		"numbers that wrap around":        {PrevIndex: 1<<64 - 1, PrevTerm: 1, Entries: []Entry{{Index: 0, Term: 1, Kind: EntryNoOp}}},
		"a previous term, but no entry":   {PrevTerm: 1},
	}
	for name, b := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSingle(t, voters(idA, idB, idC))
			if err := s.gets(idB, 5, b); !errors.Is(err, ErrUnexpected) || s.hard.Term != 1 || s.leader != "" {
				t.Errorf("%v; term %d, leader %q", err, s.hard.Term, s.leader)
			}
			blank := newSingleFrom(t, Config{}, Stored{})
			if err := blank.gets(idB, 5, b); !errors.Is(err, ErrUnexpected) || !blank.hard.Cluster.IsZero() {
				t.Errorf("%v; a blank device joined %v", err, blank.hard.Cluster)
			}
		})
	}
}

// TestCommitStaysWithinTheLog: what was verified ends where the log is cut, also
// when a second, wrong leader of the same term cuts it.
func TestCommitStaysWithinTheLog(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	entry := func(i Index, t Term) Entry { return Entry{Index: i, Term: t, Kind: EntryNoOp} }
	s.must(idB, 5, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{entry(2, 2), entry(3, 2), entry(4, 2), entry(5, 2)}, Commit: 1})
	s.must(idB, 5, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{entry(2, 3)}, Commit: 5})
	if s.commit != 2 || s.verified != 2 {
		t.Fatalf("commit %d, verified %d, last %d", s.commit, s.verified, s.log.last())
	}
}

// TestBlankDeviceAdoptsOneCluster: the first leader's, for good.
func TestBlankDeviceAdoptsOneCluster(t *testing.T) {
	s := newSingleFrom(t, Config{}, Stored{})
	if err := s.gets(idB, 3, VoteRequest{}); !errors.Is(err, ErrForeign) {
		t.Errorf("a candidate's word: %v", err)
	}
	s.must(idB, 3, AppendRequest{})
	if s.hard.Cluster != testCluster {
		t.Fatalf("cluster %v", s.hard.Cluster)
	}
	other := Message{Cluster: ClusterID{1}, From: idC, To: idA, Term: 9, Body: AppendRequest{}}
	if err := s.Step(other); !errors.Is(err, ErrForeign) || s.hard.Term != 3 {
		t.Errorf("another cluster's leader: %v; term %d", err, s.hard.Term)
	}
	if err := s.Found(ClusterID{2}, "a"); !errors.Is(err, ErrAlreadyFounded) {
		t.Errorf("founding after joining: %v", err)
	}
}

// TestFoundingTwiceIsRefused, also after a restart.
func TestFoundingTwiceIsRefused(t *testing.T) {
	s := newSingleFrom(t, Config{}, Stored{})
	if err := s.Found(testCluster, "a"); err != nil {
		t.Fatal(err)
	}
	if err := s.Found(ClusterID{2}, "a"); !errors.Is(err, ErrAlreadyFounded) {
		t.Error(err)
	}
	s.settle()
	s.ticks(1)
	if s.role != Leader || s.commit != s.log.last() {
		t.Errorf("%v, commit %d of %d, a tick after founding", s.role, s.commit, s.log.last())
	}
	again := newSingleFrom(t, Config{}, Stored{State: s.hard, Entries: s.log.entries})
	if err := again.Found(ClusterID{2}, "a"); !errors.Is(err, ErrAlreadyFounded) {
		t.Error(err)
	}
}

// TestStoredLogIsChecked: a damaged database is an error, not a panic later.
func TestStoredLogIsChecked(t *testing.T) {
	for name, es := range map[string][]Entry{
		"a gap":                     {{Index: 2, Term: 1, Kind: EntryNoOp}},
		"no term":                   {{Index: 1, Kind: EntryNoOp}},
		"a term beyond the present": {{Index: 1, Term: 2, Kind: EntryNoOp}},
		"no configuration":          {{Index: 1, Term: 1, Kind: EntryConfig}},
	} {
		cfg := Config{ID: idA, ElectionTicks: 10, HeartbeatTicks: 2, Random: func(int) int { return 0 }}
		if _, err := New(cfg, Stored{State: HardState{Cluster: testCluster, Term: 1}, Entries: es}); err == nil {
			t.Errorf("%s: no error", name)
		}
	}
}
