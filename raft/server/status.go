package server

import (
	"context"
	"fmt"
	"maps"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Status is a picture of the device.
type Status struct {
	raft.Status
	Applied raft.Index // by the App; hides raft.Status.Applied
	Drops   Drops
	// TooLarge counts the snapshots that were not taken because the App's
	// state has outgrown them: the log then grows to its limit.
	TooLarge uint64
	// Held is what members said that they hold, when they last wanted to lead.
	Held map[raft.NodeID]Holding
	// Known is what members said of themselves.
	Known      map[raft.NodeID]Acquaintance
	JoinReason string // why it is not admitted yet, where the cluster said so
	// Writing is how long the write to the log that is under way has lasted, 0
	// when there is none.
	Writing time.Duration
}

// Status returns a picture of the present state.
func (s *Server) Status(ctx context.Context) (Status, error) {
	var st Status
	err := s.do(ctx, func() {
		st = Status{Status: s.core.Status(), Applied: s.applied, Drops: s.drops, TooLarge: s.refused, JoinReason: s.join.reason, Writing: s.disk.writingFor(), Held: maps.Clone(s.held),
			Known: make(map[raft.NodeID]Acquaintance, len(s.hello.known))}
		for id, a := range s.hello.known {
			st.Known[id] = *a
		}
	})
	if err != nil {
		return Status{}, fmt.Errorf("status: %w", err)
	}
	return st, nil
}
