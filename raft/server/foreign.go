package server

import "github.com/edgeraft/edgeraft/raft"

// Holding is how far a member's log reached when it last wanted to lead.
type Holding struct {
	Index raft.Index
	Term  raft.Term
}

// noteHolding remembers what a member says of its log. Where nobody leads all
// voters say so again and again; whoever recovers a cluster compares it.
func (s *Server) noteHolding(m raft.Message) {
	var h Holding
	switch b := m.Body.(type) {
	case raft.PreVoteRequest:
		h = Holding{b.LastIndex, b.LastTerm}
	case raft.VoteRequest:
		h = Holding{b.LastIndex, b.LastTerm}
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

// foreign paces the answers to devices of other clusters, to each by itself.
type foreign struct {
	now  uint64 // ticks
	told map[raft.NodeID]uint64
}

func (f *foreign) tick() { f.now++ }

// due reports whether a device is to be told now, and notes that it is. How many
// are remembered is bounded: only who has the cluster's key comes this far.
func (f *foreign) due(id raft.NodeID, pause uint64) bool {
	if last, ok := f.told[id]; ok && f.now-last < pause {
		return false
	}
	if f.told == nil || len(f.told) >= raft.MaxMembers {
		f.told = make(map[raft.NodeID]uint64)
	}
	f.told[id] = f.now
	return true
}

// foreignPause is in heartbeat intervals.
const foreignPause = 4

func (s *Server) isForeign(cluster raft.ClusterID) bool {
	own := s.core.State().Cluster
	return !cluster.IsZero() && !own.IsZero() && cluster != own
}

// dropForeign notes what came from a device of another cluster.
func (s *Server) dropForeign(m raft.Message) {
	s.drops.Foreign++
	s.drops.LastForeign, s.drops.LastForeignFrom = m.Cluster, m.From
}

// answerForeign lets a device of another cluster of this name and key know that
// there is this one, now and then: nobody might speak to it otherwise, such as
// when this one was recovered while it was gone. Two clusters of one name are for
// people to sort out, on whichever side they look.
func (s *Server) answerForeign(m raft.Message) {
	if !s.isForeign(m.Cluster) || !s.foreign.due(m.From, uint64(foreignPause*s.cfg.Core.HeartbeatTicks)) {
		return
	}
	s.parts.Comms.Send(raft.Message{
		Cluster: s.core.State().Cluster, From: s.cfg.Core.ID, To: m.From,
		Body: raft.JoinAnswer{Reason: "this is another cluster of your cluster's name and key"},
	})
}
