package server

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Found makes this blank device the first member of a new cluster.
func (s *Server) Found(ctx context.Context, cluster raft.ClusterID) error {
	var err error
	if e := s.do(ctx, func() { err = s.core.Found(cluster, clip(s.cfg.Name, raft.MaxNameLen)) }); e != nil {
		return fmt.Errorf("found a cluster: %w", e)
	}
	return err
}

// ChangeMember makes a membership change and returns when it is committed, on
// whichever device it is called. While an earlier change is not finished it
// tries again, and likewise while a learner that is to get a vote catches up.
// Errors are as with Propose, and besides raft.ErrBadChange, and
// raft.ErrChangePending or raft.ErrBehind when ctx ended first; then it was
// surely not made.
func (s *Server) ChangeMember(ctx context.Context, ch raft.Change) error {
	for {
		_, err := s.submit(ctx, "change the membership", func() (raft.ProposalID, error) { return s.core.RequestChange(ch) })
		if !errors.Is(err, raft.ErrChangePending) && !errors.Is(err, raft.ErrBehind) {
			return err
		}
		// Changes end within a round trip or so; the core's random source is
		// the loop's alone, and few callers need no jitter.
		again := time.NewTimer(time.Duration(s.cfg.Core.HeartbeatTicks) * s.cfg.Tick / 2)
		select {
		case <-again.C:
		case <-ctx.Done():
			again.Stop()
			return err
		}
	}
}

// leaderWaiter is a caller of Transfer, who waits for another leader than one.
type leaderWaiter struct {
	not  raft.NodeID
	done chan raft.NodeID
}

// Transfer asks the leader to hand over to a voter, "" for whom it chooses, and
// returns the new leader once one is known here. When ctx ends first the error
// is raft.ErrOutcomeUnknown: it may yet happen.
func (s *Server) Transfer(ctx context.Context, to raft.NodeID) (raft.NodeID, error) {
	f := &leaderWaiter{done: make(chan raft.NodeID, 1)}
	var err error
	doErr := s.do(ctx, func() {
		f.not = s.core.Leader()
		switch {
		case f.not != "" && f.not == to:
			f.done <- to
		case len(s.leaderWaiters) >= maxLeaderWaiters:
			err = fmt.Errorf("hand over leadership: %w", raft.ErrBusy)
		default:
			if err = s.core.RequestTransfer(to); err == nil {
				s.leaderWaiters = append(s.leaderWaiters, f)
			}
		}
	})
	if doErr != nil {
		return "", fmt.Errorf("hand over leadership: %w", orNoLeader(ctx, doErr))
	}
	if err != nil {
		return "", err
	}
	select {
	case id := <-f.done:
		return id, nil
	case <-ctx.Done():
	case <-s.stopped:
	}
	_ = s.do(context.Background(), func() {
		s.leaderWaiters = slices.DeleteFunc(s.leaderWaiters, func(x *leaderWaiter) bool { return x == f })
	})
	return "", fmt.Errorf("hand over leadership: no other leader is known yet: %w", raft.ErrOutcomeUnknown)
}

// tellLeaderWaiters ends the wait of those who see another leader now.
func (s *Server) tellLeaderWaiters() {
	leader := s.core.Leader()
	if leader == "" || len(s.leaderWaiters) == 0 {
		return
	}
	s.leaderWaiters = slices.DeleteFunc(s.leaderWaiters, func(f *leaderWaiter) bool {
		if f.not == leader {
			return false
		}
		f.done <- leader // has room for the only one
		return true
	})
}
