package raft

import "testing"

// told is a follower in term 2 that holds entry 2, stamped 1000, of leader b,
// and has just heard b's clock show 5000. Its own clock shows 100.
func told(t *testing.T) *single {
	s := newSingle(t, voters(idA, idB, idC))
	s.SetNow(100)
	s.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{{Index: 2, Term: 2, Kind: EntryNoOp, Time: 1000}}, Clock: 1000})
	s.must(idB, 2, AppendRequest{PrevIndex: 2, PrevTerm: 2, Clock: 5000})
	return s
}

func (s *single) believes(want Time, when string) {
	s.t.Helper()
	if have := s.ClusterTime(); have != want {
		s.t.Errorf("%s it believes cluster time to be %d, want %d", when, have, want)
	}
}

func TestClusterTimeGoesOnWithoutALeader(t *testing.T) {
	s := told(t)
	s.believes(5000, "when told")
	s.SetNow(1100)
	s.believes(5999, "a second later, rounded down,")
	s.SetNow(1)
	s.believes(5999, "after its clock went back")
	s.elect()
	s.SetNow(2100)
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.settle()
	for i, want := range map[Index]Time{3: 5999, 4: 5999 + 999} {
		if e, ok := s.Entry(i); !ok || e.Time != want {
			t.Errorf("entry %d is of time %d, want %d", i, e.Time, want)
		}
	}
}

// TestClusterTimeFitsTheLog: a clock is taken over only together with a log
// that is a beginning of its owner's.
func TestClusterTimeFitsTheLog(t *testing.T) {
	s := told(t)
	// c leads, and its clock is behind: it missed what b said last. Entry 2 may
	// or may not be in its log.
	s.must(idC, 3, AppendRequest{PrevIndex: 1, PrevTerm: 1, Clock: 2000})
	s.believes(5000, "before the logs are known to agree")
	// Now entry 2 is another one, of time 1900. 5000 would be far too late.
	s.must(idC, 3, AppendRequest{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{{Index: 2, Term: 3, Kind: EntryNoOp, Time: 1900}}, Clock: 2000})
	s.believes(2000, "with the log of another leader")
	s.must(idC, 3, AppendRequest{PrevIndex: 2, PrevTerm: 3, Clock: 2500})
	s.must(idC, 3, AppendRequest{PrevIndex: 2, PrevTerm: 3, Clock: 2100})
	s.believes(2500, "after a late message")
}

func TestClusterTimeAfterARestart(t *testing.T) {
	s := newSingleFrom(t, Config{Now: 1 << 30}, Stored{
		State:   HardState{Cluster: testCluster, Term: 1, Commit: 1},
		Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA), Time: 700}},
	})
	s.believes(700, "at the start")
	s.SetNow(1<<30 + 51)
	s.believes(750, "50 ms later")
	if _, err := New(s.cfg, Stored{
		State: HardState{Cluster: testCluster, Term: 1},
		Entries: []Entry{
			{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA), Time: 700},
			{Index: 2, Term: 1, Kind: EntryNoOp, Time: 699},
		},
	}); err == nil {
		t.Error("a log in which time goes back was accepted")
	}
}

func TestClusterTimeIsInSnapshots(t *testing.T) {
	s := told(t)
	s.must(idB, 2, SnapshotRequest{Index: 9, Term: 2, Time: 8000, Config: voters(idA, idB, idC), ConfigIndex: 1})
	s.believes(8000, "with a snapshot of then")
	s.must(idB, 2, AppendRequest{PrevIndex: 9, PrevTerm: 2, Clock: 9000})
	s.believes(9000, "when its leader told the time")
}

func TestEntriesOfTheFutureAreRefused(t *testing.T) {
	s := told(t)
	for _, b := range []AppendRequest{
		{PrevIndex: 2, PrevTerm: 2, Entries: []Entry{{Index: 3, Term: 2, Kind: EntryNoOp, Time: 6001}}, Clock: 6000},
		{PrevIndex: 2, PrevTerm: 2, Entries: []Entry{{Index: 3, Term: 2, Kind: EntryNoOp, Time: 5500}, {Index: 4, Term: 2, Kind: EntryNoOp, Time: 5400}}, Clock: 6000},
		{PrevIndex: 2, PrevTerm: 2, Clock: maxTime + 1},
	} {
		if s.gets(idB, 0, b) == nil || s.log.last() != 2 {
			t.Errorf("accepted: %+v", b)
		}
	}
	s.believes(5000, "after all that")
}

// TestTimeNeverFallsAlongTheLog: whoever sends it, an entry that is of an
// earlier time than the one before it is not taken: the device could not start
// again with such a log, nor could it ever send it on.
func TestTimeNeverFallsAlongTheLog(t *testing.T) {
	s := told(t)
	for _, b := range []AppendRequest{
		{PrevIndex: 2, PrevTerm: 2, Entries: []Entry{{Index: 3, Term: 2, Kind: EntryNoOp, Time: 999}}, Clock: 6000},
		{PrevIndex: 1, PrevTerm: 1, Entries: []Entry{{Index: 2, Term: 2, Kind: EntryNoOp, Time: 900}, {Index: 3, Term: 2, Kind: EntryNoOp, Time: 950}}, Clock: 6000},
		{PrevIndex: 2, PrevTerm: 2, Entries: []Entry{{Index: 3, Term: 2, Kind: EntryNoOp}}}, // from before entries had a time
	} {
		if s.gets(idB, 0, b) == nil || s.log.last() != 2 {
			t.Fatalf("accepted: %+v", b)
		}
	}
	if _, err := New(s.cfg, Stored{State: s.hard, Entries: s.log.entries}); err != nil {
		t.Error(err)
	}
}

// TestTimeStandsAtItsEnd: a clock that somebody set to the end of time ends
// neither the cluster nor the arithmetic.
func TestTimeStandsAtItsEnd(t *testing.T) {
	s := told(t)
	s.must(idB, 2, AppendRequest{PrevIndex: 2, PrevTerm: 2, Entries: []Entry{{Index: 3, Term: 2, Kind: EntryNoOp, Time: maxTime}}, Clock: maxTime})
	s.SetNow(1_000_000)
	s.leadAndCommit()
	s.SetNow(2_000_000)
	s.ticks(s.cfg.HeartbeatTicks)
	asked := 0
	for _, m := range s.takeSent() {
		if b, ok := m.Body.(AppendRequest); ok {
			if asked++; !b.wellFormed(m.Term) {
				t.Fatalf("no follower takes this: %+v", b)
			}
		}
	}
	if asked == 0 {
		t.Fatal("no heartbeat")
	}
}
