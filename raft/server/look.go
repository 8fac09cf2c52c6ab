package server

import (
	"context"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// At is where an App's state stands in the log.
type At struct {
	Cluster raft.ClusterID
	Index   raft.Index // the last entry that is applied; 0 for none
	Term    raft.Term  // of that
	Time    raft.Time  // likewise
}

// Look runs f between two entries, on the goroutine on which the App is called,
// so that it can take a picture of the App's state. It must be as quick as
// App.Snapshot, since heartbeats wait for it. On an error f was not run.
func (s *Server) Look(ctx context.Context, f func(At)) error {
	err := s.do(ctx, func() {
		at := At{Cluster: s.core.State().Cluster}
		at.Index, at.Term, at.Time = s.core.AppliedEntry()
		f(at)
	})
	if err != nil {
		return fmt.Errorf("look at the state: %w", err)
	}
	return nil
}
