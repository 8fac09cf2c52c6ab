package raft

import "testing"

// TestReadsDoNotHideALostQuorum: each round of reads is a heartbeat too, and
// must not put off the check whether anyone answers.
func TestReadsDoNotHideALostQuorum(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	for range 2 * s.cfg.ElectionTicks {
		s.Core.Read()
		s.settle()
		s.ticks(1)
	}
	if s.role == Leader {
		t.Fatal("still leads, though nobody was heard for twice the election timeout")
	}
}

// TestReadsDoNotHideAStall: nor the check whether anything is committed.
func TestReadsDoNotHideAStall(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	stable := s.log.last()
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	for range s.cfg.StallTicks + 2*s.cfg.HeartbeatTicks {
		s.Core.Read()
		s.settle()
		s.ticks(1)
		for _, id := range []NodeID{idB, idC} { // alive, but their disks hang
			if s.role == Leader {
				s.must(id, 0, AppendResponse{Match: stable})
			}
		}
	}
	if s.role == Leader {
		t.Fatal("still leads, though nothing was committed for longer than StallTicks")
	}
}

// TestLeaderWithStuckDiskCommitsThenSteps: while only the leader's disk hangs,
// commits go on, within the bound on unsaved bytes. When that is reached it can
// take no more; then it must make room for another, also when everything it took
// is committed.
func TestLeaderWithStuckDiskCommitsThenSteps(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	s.disk = false
	s.cfg.MaxUnsavedBytes = 10_000
	taken := 0
	for range 200 {
		if _, err := s.Propose(make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
		s.settle()
		if len(s.fail) > 0 {
			break
		}
		taken++
		s.ackAll()
	}
	if s.commit != s.log.last() || taken < 10 || taken > 30 {
		t.Fatalf("took %d proposals and committed %d of %d", taken, s.commit, s.log.last())
	}
	for range s.cfg.StallTicks + 2*s.cfg.HeartbeatTicks {
		s.ticks(1)
		s.ackAll()
	}
	if s.role == Leader {
		t.Fatal("still leads and refuses everything: a zombie")
	}
	if s.TicksUntilWork() < 1 {
		t.Fatal("never sleeps")
	}
}

// TestLoneVoterKeepsLeading: there is nobody to make room for.
func TestLoneVoterKeepsLeading(t *testing.T) {
	s := newSingle(t, voters(idA))
	s.elect()
	s.disk = false
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.ticks(3 * s.cfg.StallTicks)
	if s.role != Leader {
		t.Fatal("a lone voter stepped down")
	}
	s.disk = true
	s.ticks(1)
	s.Saved(s.seq)
	s.settle()
	if s.commit != s.log.last() {
		t.Fatal("not committed after the disk went on")
	}
}

// TestAZombieHandsOver: a leader that cannot commit tells a voter whose disk
// holds the whole log to campaign at once; to one that lacks some it says
// nothing.
func TestAZombieHandsOver(t *testing.T) {
	for _, fit := range []bool{true, false} {
		s := newSingle(t, voters(idA, idB, idC, testID("d")))
		s.leadAndCommit()
		behind := s.log.last()
		s.disk = false // so that two of four disks are no majority
		if _, err := s.Propose([]byte("x")); err != nil {
			t.Fatal(err)
		}
		s.settle()
		for range s.cfg.StallTicks + 2*s.cfg.HeartbeatTicks {
			s.ticks(1)
			if s.role != Leader {
				break
			}
			s.must(idB, 0, AppendResponse{Match: behind})
			s.must(testID("d"), 0, AppendResponse{Match: behind})
			if fit {
				s.must(idC, 0, AppendResponse{Match: s.log.last()})
			}
		}
		var told []NodeID
		for _, m := range s.takeSent() {
			if _, ok := m.Body.(TimeoutNow); ok {
				told = append(told, m.To)
			}
		}
		if s.role == Leader {
			t.Fatal("still leads")
		}
		if fit && (len(told) != 1 || told[0] != idC) || !fit && len(told) > 0 {
			t.Errorf("with a fit successor %v: %q were told to campaign", fit, told)
		}
	}
}

// TestStallsDoNotAddUp: how long the disk was behind, with nothing left to
// commit, is not held against the work that comes long after.
func TestStallsDoNotAddUp(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	s.cfg.MaxUnsavedBytes = 1000
	s.disk = false
	for !s.diskBehind() {
		if _, err := s.Propose(make([]byte, 500)); err != nil {
			t.Fatal(err)
		}
		s.settle()
	}
	s.ackAll()
	for range s.cfg.StallTicks - 1 {
		s.ticks(1)
		s.ackAll()
	}
	s.disk = true
	s.Saved(s.seq)
	for range s.cfg.StallTicks { // at rest
		s.ticks(1)
		s.ackAll()
	}
	if _, err := s.Propose([]byte("x")); err != nil {
		t.Fatal(err)
	}
	s.settle()
	s.ticks(2 * s.cfg.HeartbeatTicks) // a round trip takes that long here
	if s.role != Leader {
		t.Fatalf("%d ticks without a commit ended its leadership", 2*s.cfg.HeartbeatTicks)
	}
}
