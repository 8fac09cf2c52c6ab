package raft

// VoterPolicy is how a leader gives and takes votes of its own accord.
type VoterPolicy struct {
	// MaxVoters is the most voters there are in the end; odd. While one takes the
	// place of another there may be one more.
	MaxVoters int
	// MaxSilent is how many ticks a learner may be silent and get a vote, and a
	// voter and count as alive.
	MaxSilent int
	// DeadAfter is after how many ticks of silence a voter counts as dead; 0:
	// never. A new leader counts from its election.
	DeadAfter int
}

// NextVoterChange is the change of votes that a leader should make next, if any.
// The number of voters is kept odd up to MaxVoters, except that two devices are
// both voters. A learner takes the place of a voter that is dead: it gets its
// vote first, and then the dead one loses its own, so that there are never fewer
// voters that live than before. The dead one stays a learner, so it is taken back
// when it returns. Of five voters of which two are dead and nobody can take their
// place, three are left, so that another may be lost. Nothing is done without a
// quorum that lives.
func NextVoterChange(st Status, p VoterPolicy) (Change, bool) {
	if st.Role != Leader || !st.CanChange {
		return Change{}, false
	}
	var fit []NodeID
	var dead NodeID // the one that is silent for the longest
	deaths, alive, silent := 0, 0, 0
	for _, m := range st.Config.Members {
		peer, ok := st.Peers[m.ID]
		heard := ok && peer.Silent <= p.MaxSilent
		switch {
		case m.Role == Learner && heard && peer.CaughtUp:
			fit = append(fit, m.ID)
		case m.Role == Voter && (m.ID == st.ID || heard):
			alive++
		case m.Role == Voter && ok && p.DeadAfter > 0 && peer.Silent >= p.DeadAfter:
			if deaths++; peer.Silent > silent {
				dead, silent = m.ID, peer.Silent
			}
		}
	}
	voters := st.Config.Voters()
	if alive < st.Config.Quorum() {
		return Change{}, false
	}
	promote := func() (Change, bool) { return Change{Kind: Promote, ID: fit[0]}, true }
	even := voters%2 == 0 && voters > 2
	switch {
	case dead != "" && (even || len(fit) == 0 && deaths > 1):
		return Change{Kind: StandDown, ID: dead}, true
	case dead != "" && len(fit) > 0:
		return promote()
	}
	need := 1
	if voters >= 3 && !even {
		need = 2 // an even number of voters tolerates no more failures
	}
	if voters+need > p.MaxVoters || len(fit) < need {
		return Change{}, false
	}
	return promote()
}
