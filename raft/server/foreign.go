package server

import "github.com/edgeraft/edgeraft/raft"

// Holding is how far a member's log reached when it last wanted to lead.
type Holding = raft.Holding

// noteHolding remembers what a member says of its log. Where nobody leads all
// voters say so again and again; whoever recovers a cluster compares it.
func (s *Server) noteHolding(m raft.Message) {
	var h Holding
	switch b := m.Body.(type) {
	case raft.PreVoteRequest:
		h = Holding{Index: b.LastIndex, Term: b.LastTerm}
	case raft.VoteRequest:
		h = Holding{Index: b.LastIndex, Term: b.LastTerm}
	default:
		return
	}
	if _, member := s.core.Config().Member(m.From); !member || m.Cluster != s.core.State().Cluster {
		return
	}
	if s.held == nil || len(s.held) > raft.MaxMembers { // some were removed since
		s.held = make(map[raft.NodeID]Holding)
	}
	s.held[m.From] = h
}

// answered is when devices of other clusters were told of this one, by this
// device's clock.
type answered map[raft.NodeID]uint64

// foreignPause is in heartbeat intervals.
const foreignPause = 4

// answerForeign lets a device of another cluster of this name and key know that
// there is this one, now and then: nobody might speak to it otherwise, such as
// when this one was recovered while it was gone. Two clusters of one name are for
// people to sort out, on whichever side they look. How many are remembered is
// bounded; only who has the key comes this far.
func (s *Server) answerForeign(m raft.Message) {
	if m.Cluster.IsZero() || s.core.State().Cluster.IsZero() {
		return
	}
	now := uint64(s.clock.now())
	pause := uint64(foreignPause*s.cfg.Core.HeartbeatTicks) * uint64(max(s.cfg.Tick.Milliseconds(), 1))
	if last, ok := s.answered[m.From]; ok && now-last < pause {
		return
	}
	if s.answered == nil || len(s.answered) >= raft.MaxMembers {
		s.answered = answered{}
	}
	s.answered[m.From] = now
	s.say(m.From, raft.JoinAnswer{})
}
