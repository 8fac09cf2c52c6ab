package rafttest

import (
	"errors"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// enter admits a blank device, waits until it has caught up, and promotes it.
func (s *scene) enter(i int) {
	s.t.Helper()
	s.change(raft.AddLearner, i)
	s.within(electionPatience, "the learner catches up", func() bool {
		lead := s.Leader()
		return lead != nil && last(s.Nodes[i]) == last(lead) && lead.Status().Peers[s.Nodes[i].ID].Match == last(lead)
	})
	s.change(raft.Promote, i)
}

func TestOneTwoThreeVoters(t *testing.T) {
	play(t, Options{Blank: 3}, func(s *scene) {
		if err := s.Found(0, ClusterID); err != nil {
			s.failf("%v", err)
		}
		for i := range 3 {
			if i > 0 {
				s.enter(i)
			}
			for range 20 {
				s.agree(i)
			}
			if got := voterCount(s.Leader()); got != i+1 {
				s.failf("%d voters after %d entered", got, i)
			}
		}
		s.same()
		s.Leader().Crash() // three stand the loss of any one
		s.leader()
	})
}

// A learner has the whole state and no say: it changes no majority.
func TestLearnerHasNoVote(t *testing.T) {
	play(t, Options{Voters: 3, Blank: 2}, func(s *scene) {
		s.change(raft.AddLearner, 3)
		s.change(raft.AddLearner, 4)
		s.same()
		lead := s.leader()
		voter := s.others(lead.Index, 3, 4)
		s.isolate(lead.Index, 3, 4) // three of five, and one of three voters
		op := s.Propose(lead.Index, []byte("x"))
		s.never(3*ElectionTicks, "learners make a majority", func() bool { return op.Outcome == Committed })
		s.leader(lead.Index, 3, 4)
		s.agree(voter[0])
		s.crash(3, 4)
		s.Net.Repair()
		s.agree(voter[1])
		s.start(3, 4)
		s.same()
	})
}

func TestRemovalOfAFollower(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		lead := s.leader()
		gone := s.others(lead.Index)
		s.change(raft.Remove, gone[0])
		s.agree(lead.Index)
		s.crash(gone[0])
		s.agree(lead.Index)
		s.change(raft.Remove, gone[1])
		s.crash(gone[1])
		s.agree(lead.Index)
		if got := voterCount(lead); got != 1 {
			s.failf("%d voters", got)
		}
		err := s.Change(lead.Index, raft.Change{Kind: raft.Remove, ID: lead.ID})
		if !errors.Is(err, raft.ErrBadChange) {
			s.failf("removal of the last voter: %v", err)
		}
	})
}

func TestRemovalOfTheLeader(t *testing.T) {
	for _, voters := range []int{2, 3, 5} {
		for _, kind := range []raft.ChangeKind{raft.Remove, raft.Demote} {
			play(t, Options{Voters: voters}, func(s *scene) {
				old := s.leader()
				s.agree(old.Index)
				s.change(kind, old.Index)
				lead := s.leader(old.Index)
				if got := voterCount(lead); got != voters-1 {
					s.failf("%d voters", got)
				}
				s.agree(lead.Index)
				s.pass(20 * ElectionTicks)
				if s.Leader() != lead {
					s.failf("the one that left disturbs")
				}
			})
		}
	}
}

// A leader that removed itself may crash before anyone else has the entry. Its
// log is the longest then, and of two voters only it can win (§4.2.2).
func TestRemovedLeaderCrashesFirst(t *testing.T) {
	play(t, Options{Voters: 2}, func(s *scene) {
		old := s.leader()
		s.agree(old.Index)
		other := s.others(old.Index)[0]
		s.Net.Cut(old.Index, other)
		if err := s.Change(old.Index, raft.Change{Kind: raft.Remove, ID: old.ID}); err != nil {
			s.failf("%v", err)
		}
		s.pass(2)
		old.Crash()
		s.Net.Repair()
		old.Start()
		s.within(2*electionPatience, "the other takes over", func() bool {
			st := s.Nodes[other].Status()
			return st.Role == raft.Leader && st.Config.Voters() == 1 && st.Commit == st.Last
		})
		s.agree(other)
	})
}

// A change that never reached a majority is rolled back with its entry (§4.1).
func TestChangeIsRolledBack(t *testing.T) {
	play(t, Options{Voters: 3, Blank: 1}, func(s *scene) {
		old := s.leader()
		s.agree(old.Index)
		s.isolate(old.Index)
		if err := s.Change(old.Index, raft.Change{Kind: raft.AddLearner, ID: s.Nodes[3].ID}); err != nil {
			s.failf("%v", err)
		}
		if got := len(old.Status().Config.Members); got != 4 {
			s.failf("%d members: a change is in force as soon as it is appended", got)
		}
		err := s.Change(old.Index, raft.Change{Kind: raft.Remove, ID: s.Nodes[0].ID})
		if !errors.Is(err, raft.ErrChangePending) {
			s.failf("a second change while one is pending: %v", err)
		}
		s.leader(old.Index)
		s.Net.Repair()
		s.same()
		if got := len(old.Status().Config.Members); got != 3 {
			s.failf("%d members after the rollback", got)
		}
	})
}

// A new leader may not change anything before an entry of its own term is
// committed (raft-dev 2015).
func TestNoChangeBeforeOwnTermCommit(t *testing.T) {
	play(t, Options{Voters: 3, Blank: 1}, func(s *scene) {
		for _, n := range s.Nodes {
			n.Disk.MinDelay, n.Disk.MaxDelay = Tick, 2*Tick
		}
		s.within(electionPatience, "a leader", func() bool { return s.Leader() != nil })
		lead, change := s.Leader(), raft.Change{Kind: raft.AddLearner, ID: s.Nodes[3].ID}
		if err := s.Change(lead.Index, change); !errors.Is(err, raft.ErrChangePending) {
			s.failf("at once: %v", err)
		}
		s.within(electionPatience, "the change is taken", func() bool { return s.Change(lead.Index, change) == nil })
		if st := lead.Status(); s.check.committed.term(st.Commit) != st.Term {
			s.failf("taken with a commit index of an earlier term")
		}
		follower := s.others(lead.Index)[0]
		if err := s.Change(follower, change); !errors.Is(err, raft.ErrNotLeader) {
			s.failf("on a follower: %v", err)
		}
	})
}

// TestReplacementOfAVoter: the new device is a voter before the old one is none,
// so that at no moment the failure of any one device stops the cluster. The
// other way round two voters would be left, of which both are needed.
func TestReplacementOfAVoter(t *testing.T) {
	play(t, Options{Voters: 3, Blank: 1}, func(s *scene) {
		anyOneMayFail := func() {
			for i := range s.Nodes {
				s.crash(i)
				lead := s.leader(i)
				s.agree(lead.Index)
				s.start(i)
				s.leader()
			}
		}
		s.leader()
		s.change(raft.AddLearner, 3)
		anyOneMayFail()
		s.change(raft.Promote, 3)
		anyOneMayFail()
		old := s.leader() // the hardest one to replace
		s.change(raft.Remove, old.Index)
		s.within(electionPatience, "three voters are left, without the old one", func() bool {
			lead := s.Leader()
			return lead != nil && lead != old && voterCount(lead) == 3
		})
		for _, i := range s.others(old.Index) {
			s.crash(i)
			s.agree(s.leader(i, old.Index).Index)
			s.start(i)
			s.leader(old.Index)
		}
	})
}
