package server

import (
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// restore puts the App into the state of a snapshot, which came from storage or
// from the leader.
func (s *Server) restore(snap *raft.Snapshot) {
	if snap == nil || s.failed != nil {
		return
	}
	if err := s.parts.App.Restore(snap.Data); err != nil {
		// Its checksum held, so another try would end alike.
		s.failed = fmt.Errorf("the snapshot at index %d cannot be restored; is another version of edgeraft needed?: %w", snap.Index, err)
		return
	}
	s.applied, s.sinceSnapshot = snap.Index, 0
	s.releaseReaders()
}

// shortShare is how much earlier snapshots are taken while the disk is short of
// room: they let the log shrink.
const shortShare = 8

// snapshot lets the App's state take the place of the log when enough of it was
// applied since the last time.
func (s *Server) snapshot() {
	enough := s.cfg.SnapshotBytes
	if s.core.Short() {
		enough /= shortShare
	}
	if s.sinceSnapshot < enough || s.failed != nil {
		return
	}
	s.sinceSnapshot = 0
	switch err := s.core.Snapshot(s.parts.App.Snapshot()); {
	case errors.Is(err, raft.ErrBusy):
		// The disk is behind with the last one: again in a while.
		s.sinceSnapshot = enough / 2
	case err != nil:
		// The state is larger than a snapshot may be: the log goes on, up to
		// its limit.
		s.refused++
	}
	s.drain()
}
