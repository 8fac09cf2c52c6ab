package rafttest

import (
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func TestBasicAgreement(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		s.leader()
		for i := range s.Nodes {
			s.agree(i)
		}
		s.same()
	})
}

func TestAgreementWithAFailedFollower(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		failed := s.others(lead.Index)[0]
		s.isolate(failed)
		for range 20 {
			s.agree(lead.Index)
		}
		if s.Leader() != lead {
			s.failf("the leader changed")
		}
		s.Net.Repair()
		s.same()
	})
}

// Without a quorum nothing is committed; what was proposed meanwhile is, once
// there is one again.
func TestNoAgreementWithoutQuorum(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		lead := s.leader()
		s.agree(lead.Index)
		cut := s.others(lead.Index)[:3]
		s.isolate(cut...)
		ops := append(s.burst(lead.Index, 3), s.burst(s.others(append(cut, lead.Index)...)[0], 3)...)
		s.never(20*ElectionTicks, "a commit without a quorum", func() bool { return count(ops, Open) < len(ops) })
		s.Net.Repair()
		s.same()
		if count(ops, Committed) != len(ops) {
			s.failf("%d of %d committed", count(ops, Committed), len(ops))
		}
	})
}

func TestConcurrentProposals(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		var ops []*Op
		for i := range s.Nodes {
			ops = append(ops, s.burst(i, 50)...) // before there is a leader
		}
		s.leader()
		for i := range s.Nodes {
			ops = append(ops, s.burst(i, 50)...)
		}
		s.same()
		if count(ops, Committed) != len(ops) {
			s.failf("%d of %d committed", count(ops, Committed), len(ops))
		}
	})
}

func TestRejoinOfAPartitionedLeader(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		first := s.leader()
		s.agree(first.Index)
		s.isolate(first.Index)
		alone := s.burst(first.Index, 5)
		second := s.leader(first.Index)
		s.agree(second.Index)
		s.isolate(second.Index)
		alone = append(alone, s.burst(second.Index, 5)...)
		s.leader(second.Index) // the first is back
		s.agree(first.Index)
		s.Net.Repair()
		s.same()
		if count(alone, Committed) != len(alone) {
			s.failf("%d of %d proposals of cut-off leaders committed", count(alone, Committed), len(alone))
		}
	})
}

// Logs that diverge over hundreds of entries of several terms come together in
// a few rounds, not one for each entry (§3.5).
func TestFastBackup(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		const pairs = 4
		for range pairs {
			lead := s.leader()
			behind := s.others(lead.Index)[0]
			s.isolate(lead.Index, behind)
			s.burst(lead.Index, 100) // will be replaced
			s.pass(2)
			rest := s.others(lead.Index, behind)
			s.leader(lead.Index, behind)
			for _, op := range s.burst(rest[0], 100) {
				s.within(electionPatience, "commits of the majority", func() bool { return op.Outcome == Committed })
			}
			rejections, sent := 0, s.Net.Sent
			s.Tap = func(m raft.Message) {
				if b, ok := m.Body.(raft.AppendResponse); ok && b.Rejected && m.Term == s.Nodes[rest[0]].Status().Term {
					rejections++
				}
			}
			s.Net.Repair()
			s.within(20*HeartbeatTicks, "the logs are equal", func() bool {
				now := s.Leader()
				return now != nil && now.Status().Commit == last(now) && last(lead) == last(now) && last(s.Nodes[behind]) == last(now)
			})
			s.Tap = nil
			if sent = s.Net.Sent - sent; rejections > 16 || sent > 1000 {
				s.failf("%d rejections and %d messages", rejections, sent)
			}
			s.same()
		}
	})
}

func TestUnreliableNetwork(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		n := s.Net
		n.Loss, n.Duplicate, n.Late, n.MaxLate = 100, 100, 100, 20*Tick
		var ops []*Op
		for range 20 {
			for i := range s.Nodes {
				ops = append(ops, s.burst(i, 2)...)
			}
			s.pass(5)
		}
		s.within(60*ElectionTicks, "all are committed, though the network stays bad", func() bool { return count(ops, Committed) == len(ops) })
		n.Repair()
		s.same()
	})
}
