package raft

import "testing"

// TestSleepEndsWithWork: a device that sleeps for TicksUntilWork misses nothing.
// The tick that does something is never later than announced, and none before.
func TestSleepEndsWithWork(t *testing.T) {
	cases := map[string]func(*single){
		"follower": func(*single) {},
		"follower with a leader": func(s *single) {
			s.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1})
		},
		"leader": func(s *single) { s.leadAndCommit() },
		"read under way for a tick": func(s *single) {
			s.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1})
			s.Core.Read()
			s.settle()
			s.ticks(1)
		},
		"proposal under way for three ticks": func(s *single) {
			s.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1})
			if _, err := s.Propose([]byte("x")); err != nil {
				s.t.Fatal(err)
			}
			s.settle()
			s.ticks(3)
		},
	}
	for name, prepare := range cases {
		t.Run(name, func(t *testing.T) {
			s := newSingle(t, voters(idA, idB, idC))
			prepare(s)
			s.takeSent()
			n := s.TicksUntilWork()
			for i := 1; i <= n; i++ {
				role := s.role
				s.ticks(1)
				if worked := len(s.takeSent()) > 0 || s.role != role; worked != (i == n) {
					t.Fatalf("tick %d of %d: worked %v", i, n, worked)
				}
			}
		})
	}
}

// TestSleepOfAPreCandidateThatVoted: its vote may still be on its way to the disk,
// given before it knew a leader that it has lost since. It asks again in time.
func TestSleepOfAPreCandidateThatVoted(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.must(idC, 2, AppendResponse{Rejected: true}) // of a newer term, which is durable
	s.disk = false
	s.must(idB, 2, VoteRequest{LastIndex: 1, LastTerm: 1})
	s.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1})
	s.ticks(s.cfg.ElectionTicks)
	if s.role != PreCandidate {
		t.Fatalf("it is %v", s.role)
	}
	for range 3 * s.cfg.ElectionTicks {
		s.ticks(3) // it is asked in between, too
		quiet := s.TicksUntilWork()
		s.takeSent()
		for range quiet - 1 {
			s.ticks(1)
			if sent := s.takeSent(); len(sent) > 0 {
				t.Fatalf("it said that it sleeps for %d ticks, and sends %+v", quiet, sent)
			}
		}
		s.ticks(1)
	}
}
