package server

import (
	"context"
	"fmt"
	"slices"

	"github.com/edgeraft/edgeraft/raft"
)

// reader is a caller of Barrier.
type reader struct {
	done  chan error
	seq   uint64     // the core's number for its read; 0 before it was asked
	index raft.Index // to be applied first; 0 while unknown
	ready bool       // index is known
}

func (r *reader) end(err error) { r.done <- err } // has room for the only one

// Barrier returns nil once the App of this device has applied everything that
// was acknowledged anywhere before the call (thesis §6.4). When ctx ends first
// the error is raft.ErrNoLeader.
func (s *Server) Barrier(ctx context.Context) error {
	r := &reader{done: make(chan error, 1)}
	busy := false
	err := s.do(ctx, func() {
		if busy = len(s.readers) >= maxReaders; !busy {
			s.readers = append(s.readers, r)
		}
	})
	switch {
	case err != nil:
		return fmt.Errorf("read: %w", orNoLeader(ctx, err))
	case busy:
		return fmt.Errorf("read: %d are waiting: %w", maxReaders, raft.ErrBusy)
	}
	select {
	case err := <-r.done:
		return err
	case <-ctx.Done():
	}
	_ = s.do(context.Background(), func() {
		s.readers = slices.DeleteFunc(s.readers, func(x *reader) bool { return x == r })
	})
	select {
	case err := <-r.done:
		return err
	default:
		return fmt.Errorf("read: gave up waiting for a leader's word: %w", raft.ErrNoLeader)
	}
}

// startReads asks once for all who came since the last time.
func (s *Server) startReads() {
	var seq uint64
	for _, r := range s.readers {
		if r.seq == 0 {
			if seq == 0 {
				seq = s.core.Read()
			}
			r.seq = seq
		}
	}
}

func (s *Server) finishReads(done []raft.ReadDone) {
	for _, d := range done {
		for _, r := range s.readers {
			if !r.ready && r.seq != 0 && r.seq <= d.Seq {
				r.ready, r.index = true, d.Index
			}
		}
	}
	if len(done) > 0 {
		s.releaseReaders()
	}
}

// releaseReaders lets those go whose index is applied.
func (s *Server) releaseReaders() {
	s.readers = slices.DeleteFunc(s.readers, func(r *reader) bool {
		if !r.ready || r.index > s.applied {
			return false
		}
		r.end(nil)
		return true
	})
}
