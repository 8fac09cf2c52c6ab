package rafttest

import "testing"

func (s *scene) crash(nodes ...int) {
	for _, i := range nodes {
		s.Nodes[i].Crash()
	}
}

func (s *scene) start(nodes ...int) {
	for _, i := range nodes {
		s.Nodes[i].Start()
	}
}

func TestPersistence(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		s.leader()
		for range 5 {
			s.agree(0)
			s.crash(0, 1, 2) // a power cut
			s.pass(3)
			s.start(0, 1, 2)
			s.leader()
			s.agree(1)
			lead := s.leader().Index
			s.crash(lead) // the leader
			s.leader()
			s.agree(s.others(lead)[0])
			s.start(lead)
			one := s.others(s.leader().Index)[0]
			s.crash(one) // a follower
			s.agree(s.Leader().Index)
			s.start(one)
		}
		s.same()
	})
}

// A proposal acknowledged just before everything loses power is there after it.
func TestPowerCutAfterAcknowledgement(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		for _, n := range s.Nodes {
			n.Disk.MaxDelay = 3 * Tick
		}
		for i := range s.Nodes {
			s.leader()
			s.agree(i)
			s.crash(0, 1, 2, 3, 4)
			s.start(0, 1, 2, 3, 4)
		}
		s.same()
		if n := len(s.Nodes[0].Applied); n < 5 {
			s.failf("%d entries", n)
		}
	})
}

// figure8 lets leaders die in the middle of replication, over and over, so that
// entries of many terms are on different majorities (thesis fig. 3.7).
func figure8(s *scene, rounds int) {
	for range rounds {
		if lead := s.Leader(); lead != nil {
			s.Propose(lead.Index, []byte("x"))
		}
		if s.rng.Chance(100) {
			s.pass(s.rng.Intn(ElectionTicks))
		} else {
			s.RunFor(1)
		}
		if lead := s.Leader(); lead != nil && s.rng.Chance(500) {
			lead.Crash()
		}
		up := 0
		for _, n := range s.Nodes {
			if n.Up() {
				up++
			}
		}
		if up < 3 {
			s.start(s.rng.Intn(5))
		}
	}
}

func TestFigure8(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		for _, n := range s.Nodes {
			n.Disk.MaxDelay = Tick
		}
		figure8(s, 1000)
		s.start(0, 1, 2, 3, 4)
		s.leader()
		s.same()
	})
}

func TestFigure8Unreliable(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		n := s.Net
		n.Loss, n.Late, n.MaxLate, n.Duplicate = 100, 400, 10*Tick, 100
		figure8(s, 1000)
		s.start(0, 1, 2, 3, 4)
		n.Repair()
		s.leader()
		s.same()
	})
}

// TestFailedSync: a device whose disk fails stops at once, acknowledges nothing
// of it, and goes on after a restart with what is really there.
func TestFailedSync(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		s.agree(lead.Index)
		for _, n := range s.Nodes {
			n.Disk.FailNext()
			op := s.Propose(lead.Index, []byte("x"))
			s.within(electionPatience, "the device stops", func() bool { return !n.Up() })
			s.start(n.Index)
			lead = s.leader()
			if op.Outcome == Open {
				s.within(electionPatience, "what its clients asked ends", func() bool { return op.Outcome != Open })
			}
			s.agree(lead.Index)
		}
		s.same()
	})
}
