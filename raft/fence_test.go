package raft

import "testing"

var testSuccessor = SuccessorID(testCluster, [16]byte{1})

// lonely is how long a device must be without a leader to count as lost.
func (s *single) lonely() {
	for range lostFor * s.cfg.ElectionTicks {
		s.Tick()
	}
}

// led lets it hear a leader for long.
func (s *single) led() {
	s.t.Helper()
	for range ledFor * s.cfg.ElectionTicks {
		s.must(idB, s.hard.Term, AppendRequest{PrevIndex: 1, PrevTerm: 1})
		s.Tick()
	}
}

// votesFor asks for a pre-vote and a vote, and reports whether it got them.
func (s *single) votesFor(id NodeID) (pre, vote bool) {
	s.t.Helper()
	s.sent = nil
	s.must(id, s.hard.Term, PreVoteRequest{LastIndex: 9, LastTerm: s.hard.Term})
	s.must(id, s.hard.Term+1, VoteRequest{LastIndex: 9, LastTerm: s.hard.Term})
	s.settle()
	for _, m := range s.sent {
		switch b := m.Body.(type) {
		case PreVoteResponse:
			pre = b.Granted
		case VoteResponse:
			vote = b.Granted
		}
	}
	return pre, vote
}

// A device that returns, and hears that its cluster was recovered without it,
// neither campaigns nor votes.
func TestFence(t *testing.T) {
	c := newSingle(t, voters(idA, idB, idC))
	c.HearOf(testSuccessor)
	if c.lonely(); c.role != Follower || c.hard.Term != 1 || !c.Status().Fenced {
		t.Errorf("it is a %v in term %d", c.role, c.hard.Term)
	}
	if pre, vote := c.votesFor(idB); pre || vote {
		t.Errorf("it votes: %v, %v", pre, vote)
	}
	// What a leader said before it was lost proves nothing.
	c.must(idB, 2, AppendRequest{PrevIndex: 1, PrevTerm: 1})
	if c.lonely(); !c.Status().Fenced || c.role != Follower {
		t.Error("it takes part again because of something that came late")
	}
	// A leader there is all the same: so others work without it, and it with them.
	c.led()
	if c.Status().Fenced {
		t.Error("it does not take part though the cluster works")
	}
}

// A candidate gives up.
func TestFenceOfACandidate(t *testing.T) {
	c := newSingle(t, voters(idA, idB, idC))
	if c.lonely(); c.role != PreCandidate {
		t.Fatalf("it is a %v", c.role)
	}
	c.HearOf(testSuccessor)
	if c.lonely(); c.role != Follower {
		t.Errorf("it is a %v", c.role)
	}
}

// A cluster that works is not stopped by whoever gave it up in error, nor by any
// other cluster; one that has not worked for long is.
func TestWhoIsNotFenced(t *testing.T) {
	c := newSingle(t, voters(idA, idB, idC))
	for _, other := range []ClusterID{{}, {1}, testCluster, SuccessorID(testSuccessor, [16]byte{2})} {
		c.HearOf(other)
	}
	if pre, vote := c.votesFor(idB); !pre || !vote {
		t.Errorf("it does not vote: %v, %v", pre, vote)
	}
	c.led()
	c.HearOf(testSuccessor) // it has a leader
	for c.hearsLeader() {
		c.Tick()
	}
	for range lostFor*c.cfg.ElectionTicks - 1 { // and had one a moment ago
		c.HearOf(testSuccessor)
		c.Tick()
	}
	if c.Status().Fenced {
		t.Error("it is fenced, though it had a leader")
	}
	c.Tick()
	if c.HearOf(testSuccessor); !c.Status().Fenced {
		t.Error("it is not fenced, though it has had no leader for long")
	}
}
