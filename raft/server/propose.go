package server

import (
	"context"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Applied is what became of a committed command.
type Applied struct {
	Index  raft.Index
	Term   raft.Term
	Result []byte // what App.Apply returned
}

type outcome struct {
	applied Applied
	err     error
}

// waiter is a caller of Propose.
type waiter struct{ done chan outcome }

func (w *waiter) end(o outcome) { w.done <- o } // has room for the only one

// Propose commits a command, on whichever device it is called, and returns
// what the App of this device made of it. While there is no leader it waits
// for one. When ctx ends first, the error is raft.ErrOutcomeUnknown if the
// command may yet take effect, and raft.ErrNoLeader if it surely will not. The
// command must not be changed afterwards.
func (s *Server) Propose(ctx context.Context, command []byte) (Applied, error) {
	return s.submit(ctx, "propose", func() (raft.ProposalID, error) { return s.core.Propose(command) })
}

// submit has the core take something and waits until it is applied. Doing says
// what it is, for errors.
func (s *Server) submit(ctx context.Context, doing string, take func() (raft.ProposalID, error)) (Applied, error) {
	w := &waiter{done: make(chan outcome, 1)}
	var id raft.ProposalID
	var err error
	doErr := s.do(ctx, func() {
		if id, err = take(); err == nil {
			s.waiters[id] = w
		}
	})
	if doErr != nil {
		return Applied{}, fmt.Errorf("%s: %w", doing, orNoLeader(ctx, doErr))
	}
	if err != nil {
		return Applied{}, err
	}
	select {
	case o := <-w.done:
		return o.applied, o.err
	case <-ctx.Done():
	}
	return s.cancel(id, w, doing)
}

func (s *Server) cancel(id raft.ProposalID, w *waiter, doing string) (Applied, error) {
	mayTakeEffect := true
	_ = s.do(context.Background(), func() {
		if s.waiters[id] == w {
			delete(s.waiters, id)
			mayTakeEffect = s.core.Cancel(id)
		}
	})
	select {
	case o := <-w.done: // it was just in time after all
		return o.applied, o.err
	default:
	}
	if mayTakeEffect {
		return Applied{}, fmt.Errorf("%s: gave up waiting for the commit: %w", doing, raft.ErrOutcomeUnknown)
	}
	return Applied{}, fmt.Errorf("%s: gave up waiting for a leader: %w", doing, raft.ErrNoLeader)
}

func (s *Server) finish(id raft.ProposalID, o outcome) {
	if w := s.waiters[id]; w != nil {
		delete(s.waiters, id)
		w.end(o)
	}
}

// orNoLeader turns the end of a caller's patience into the error that says
// what it waited for in vain.
func orNoLeader(ctx context.Context, err error) error {
	if ctx.Err() != nil {
		return raft.ErrNoLeader
	}
	return err
}
