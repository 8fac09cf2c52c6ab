package rafttest

import (
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func TestInitialElection(t *testing.T) {
	for _, n := range []int{1, 2, 3, 5} {
		play(t, Options{Voters: n}, func(s *scene) {
			lead := s.leader()
			term := lead.Status().Term
			s.never(30*ElectionTicks, "a change of leader without a reason", func() bool {
				return s.Leader() != lead || lead.Status().Term != term
			})
			s.agree(0)
		})
	}
}

func TestReelection(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		first := s.leader()
		first.Crash()
		second := s.leader()
		term := second.Status().Term
		first.Start()
		s.leader()
		s.pass(10 * ElectionTicks)
		if now := s.leader(); now != second || now.Status().Term != term {
			s.failf("the old leader's return cost %v the leadership", second)
		}
		s.same()
	})
}

func TestNoElectionWithoutQuorum(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		others := s.others(lead.Index)
		for _, i := range others {
			s.Nodes[i].Crash()
		}
		s.within(2*ElectionTicks, "the leader notices", func() bool { return s.Leader() == nil })
		term := lead.Status().Term
		s.never(50*ElectionTicks, "a leader of a minority", func() bool { return s.Leader() != nil })
		if now := lead.Status().Term; now != term {
			s.failf("the term rose from %d to %d, though PreVote can't have succeeded", term, now)
		}
		s.Nodes[others[0]].Start()
		s.leader()
		s.agree(lead.Index)
	})
}

func TestManyElections(t *testing.T) {
	play(t, Options{Voters: 7}, func(s *scene) {
		for range 10 {
			s.leader()
			a := s.rng.Intn(7)
			cut := []int{a, (a + 1) % 7, (a + 3) % 7}
			s.isolate(cut...)
			s.leader(cut...)
			s.Net.Repair()
		}
		s.same()
	})
}

// A leader that hears nobody, or whom nobody hears, is replaced, though half of
// the link works: one-way links are normal on Wi-Fi.
func TestOneWayLinks(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		old := s.leader()
		for _, i := range s.others(old.Index) {
			s.Net.Cut(i, old.Index)
		}
		s.within(2*ElectionTicks, "the leader that hears nobody steps down", func() bool { return old.Status().Role != raft.Leader })
		s.leader(old.Index)
		s.agree(s.others(old.Index)[0])
		s.Net.Repair()
		s.same()
	})
	play(t, Options{Voters: 3}, func(s *scene) {
		old := s.leader()
		for _, i := range s.others(old.Index) {
			s.Net.Cut(old.Index, i)
		}
		s.within(3*ElectionTicks, "the leader that nobody hears steps down", func() bool { return old.Status().Role != raft.Leader })
		s.leader(old.Index)
		s.agree(s.others(old.Index)[0])
		s.Net.Repair()
		s.same()
	})
}

// With PreVote and CheckQuorum, a server that was away, or that cannot hear the
// leader while others can, disturbs nobody (§9.6, §4.2.3).
func TestNoDisturbance(t *testing.T) {
	undisturbed := func(s *scene, ticks int) {
		s.t.Helper()
		lead := s.Leader()
		term := lead.Status().Term
		s.never(ticks, "a change of leader", func() bool { return s.Leader() != lead || lead.Status().Term != term })
	}
	play(t, Options{Voters: 3}, func(s *scene) { // away, then back
		away := s.others(s.leader().Index)[0]
		s.isolate(away)
		undisturbed(s, 50*ElectionTicks)
		s.Net.Repair()
		undisturbed(s, 20*ElectionTicks)
		s.leader()
		s.agree(away)
	})
	play(t, Options{Voters: 3}, func(s *scene) { // hears all but the leader
		lead := s.leader()
		s.Net.Cut(lead.Index, s.others(lead.Index)[0])
		undisturbed(s, 50*ElectionTicks)
	})
	play(t, Options{Voters: 4}, func(s *scene) { // removed, and does not know
		gone := s.others(s.leader().Index)[0]
		s.change(raft.Remove, gone)
		undisturbed(s, 50*ElectionTicks)
		if got := s.Nodes[gone].Status().Term; got > s.Leader().Status().Term {
			s.failf("the removed server raised the term to %d", got)
		}
	})
}

// A server may come back with a higher term on its disk than the leader's. The
// leader has to give way, and the cluster to find a new one.
func TestHigherTermOnDisk(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		n := s.Nodes[s.others(s.leader().Index)[0]]
		s.agree(0)
		n.Crash()
		n.Disk.state.Term, n.Disk.state.Vote = 50, ""
		n.Start()
		s.within(electionPatience, "a leader in a term above 50", func() bool {
			lead := s.Leader()
			return lead != nil && lead.Status().Term > 50
		})
		s.leader()
		s.agree(n.Index)
		s.same()
	})
}

// Leadership is handed over without the wait of an election, and nothing
// proposed meanwhile is lost (§3.10).
func TestTransfer(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		for range 5 {
			to := s.others(lead.Index)[s.rng.Intn(2)]
			ops := append(s.burst(lead.Index, 10), s.burst(to, 10)...)
			if err := s.Transfer(lead.Index, to); err != nil {
				s.failf("%v", err)
			}
			ops = append(ops, append(s.burst(lead.Index, 10), s.burst(to, 10)...)...)
			s.within(ElectionTicks/2, "the successor leads", func() bool { return s.Leader() == s.Nodes[to] })
			s.within(ElectionTicks, "all is committed", func() bool { return count(ops, Committed) == len(ops) })
			lead = s.leader()
		}
		s.same()
	})
}

// A transfer to a device that can't be reached ends by itself.
func TestTransferThatFails(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		s.agree(lead.Index)
		to := s.others(lead.Index)[0]
		s.isolate(to)
		if err := s.Transfer(lead.Index, to); err != nil {
			s.failf("%v", err)
		}
		op := s.Propose(lead.Index, []byte("x"))
		s.within(2*ElectionTicks, "the leader goes on", func() bool { return op.Outcome == Committed })
		if s.Leader() != lead {
			s.failf("the leader changed")
		}
		s.pass(ElectionTicks)
		if err := s.Transfer(lead.Index, to); err == nil {
			s.failf("no error, though the successor has not been heard for long")
		}
		s.Net.Repair()
		s.same()
	})
}
