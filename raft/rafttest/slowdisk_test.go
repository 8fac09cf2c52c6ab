package rafttest

import (
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// A minority's stuck disk costs no election and no availability, and what it
// has not written it does not acknowledge.
func TestStuckDiskOfAFollower(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		term := lead.Status().Term
		s.agree(lead.Index)
		slow := s.Nodes[s.others(lead.Index)[0]]
		slow.Disk.Stick()
		for range 20 {
			s.agree(lead.Index)
			s.agree(slow.Index) // its own clients are served too
		}
		durable, _ := slow.Disk.Durable()
		if match := lead.Status().Peers[slow.ID].Match; match > durable {
			s.failf("the leader counts %d entries there, %d are durable", match, durable)
		}
		s.pass(20 * ElectionTicks)
		if s.Leader() != lead || lead.Status().Term != term {
			s.failf("the leader changed")
		}
		slow.Disk.Unstick()
		s.same()
	})
}

func TestStuckDiskOfTheLeader(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		term := lead.Status().Term
		s.agree(lead.Index)
		lead.Disk.Stick()
		for range 20 {
			s.agree(lead.Index)
			s.agree(s.others(lead.Index)[0])
			s.pass(ElectionTicks)
		}
		if s.Leader() != lead || lead.Status().Term != term {
			s.failf("the leader changed, though all went well")
		}
		lead.Disk.Unstick()
		s.same()
	})
}

// Once a leader's stuck disk has taken all it may, the leader makes room for one
// that can still work.
func TestStuckDiskOfTheLeaderUntilFull(t *testing.T) {
	play(t, Options{Voters: 3, Config: func(c *raft.Config) { c.MaxUnsavedBytes = 5000 }}, func(s *scene) {
		lead := s.leader()
		s.agree(lead.Index)
		lead.Disk.Stick()
		ops := s.burst(lead.Index, 100)
		s.within(StallTicks+electionPatience, "another leads", func() bool {
			now := s.Leader()
			return now != nil && now != lead
		})
		s.agree(s.others(lead.Index)[0])
		lead.Disk.Unstick()
		s.same()
		if count(ops, Committed)+count(ops, Failed) != len(ops) || count(ops, Committed) == 0 {
			s.failf("%d committed, %d failed of %d", count(ops, Committed), count(ops, Failed), len(ops))
		}
	})
}

// The zombie leader: heartbeats flow, but nothing is ever acknowledged, for the
// disks of a majority hang. It steps down; when the disks go on, so does all.
func TestZombieLeaderStepsDown(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		s.agree(lead.Index)
		slow := s.others(lead.Index)
		for _, i := range slow {
			s.Nodes[i].Disk.Stick()
		}
		op := s.Propose(lead.Index, []byte("x"))
		s.never(StallTicks-2*HeartbeatTicks, "giving up at once", func() bool { return lead.Status().Role != raft.Leader })
		s.within(4*HeartbeatTicks, "the leader steps down", func() bool { return lead.Status().Role != raft.Leader })
		s.never(5*ElectionTicks, "an acknowledgement", func() bool { return op.Outcome == Committed })
		for _, i := range slow {
			s.Nodes[i].Disk.Unstick()
		}
		s.same()
		if op.Outcome != Committed {
			s.failf("outcome %d", op.Outcome)
		}
	})
}

// A disk that hangs over many terms keeps a bounded number of messages back, and
// the device is of use again when it goes on.
func TestStuckDiskOverManyTerms(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		slow := s.others(s.leader().Index)[0]
		s.agree(0)
		s.Nodes[slow].Disk.Stick()
		for range 8 {
			lead := s.leader(slow)
			s.agree(lead.Index)
			s.crash(lead.Index)
			s.leader(slow, lead.Index)
			s.start(lead.Index)
		}
		s.Nodes[slow].Disk.Unstick()
		s.leader()
		s.agree(slow)
		s.same()
	})
}

// A crash while the disk hangs: what was never written was never promised.
func TestCrashWithStuckDisk(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		s.leader()
		for i := range s.Nodes {
			s.Nodes[i].Disk.Stick()
			op := s.agree(i)
			s.Nodes[i].Crash()
			s.Nodes[i].Disk.Unstick()
			s.leader()
			s.Nodes[i].Start()
			s.same()
			if n := s.Nodes[i]; int(op.Index) > len(n.Applied) {
				s.failf("%v lacks entry %d", n, op.Index)
			}
		}
	})
}

// A vote is a write. Where every write takes longer than the election timeout,
// as on worn cards, a leader goes on committing; when it dies, another must be
// elected all the same.
func TestElectionOnSlowDisks(t *testing.T) {
	for _, slow := range []Time{ElectionTicks, 2*ElectionTicks + 5, 4 * ElectionTicks} {
		for _, fast := range []int{0, 1} { // how many disks are not slow
			play(t, Options{Voters: 5}, func(s *scene) {
				lead := s.leader()
				for _, i := range s.others(lead.Index)[fast:] {
					d := s.Nodes[i].Disk
					d.MinDelay, d.MaxDelay = slow*Tick, slow*Tick+1
				}
				s.agree(lead.Index)
				s.crash(lead.Index)
				op := s.Propose(s.others(lead.Index)[0], []byte("x"))
				s.within(electionPatience+40*int(slow), "another leader commits", func() bool { return op.Outcome == Committed })
			})
		}
	}
}
