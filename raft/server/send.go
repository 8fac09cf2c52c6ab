package server

import (
	"context"

	"github.com/edgeraft/edgeraft/raft"
)

// send hands on what the core wants said.
func (s *Server) send(ms []raft.Message) {
	s.sayWall(ms)
	if b, ok := s.parts.Comms.(BatchComms); ok {
		if len(ms) > 0 {
			b.SendBatch(ms)
		}
		return
	}
	for _, m := range ms {
		s.parts.Comms.Send(m)
	}
}

// LeaderSuspected hints that a device is gone, which matters if it leads: then
// this one need not wait for the whole election timeout before it asks whether it
// could lead. The hint may be wrong (raft.Core.SuspectLeader).
func (s *Server) LeaderSuspected(ctx context.Context, id raft.NodeID) error {
	return s.do(ctx, func() { s.core.SuspectLeader(id) })
}
