package server

import (
	"math"
	"sync/atomic"

	"github.com/edgeraft/edgeraft/raft"
)

// dueEvery is the least time between two commands for what falls due, in
// milliseconds: what falls due within it shares an entry, and a write.
const dueEvery = 250

// due is what a leader knows of its command for what fell due.
type due struct {
	id        raft.ProposalID // under way, 0 if none is
	notBefore raft.Time       // by the device's own clock
	// offset is what cluster time is ahead of the device's own clock, for
	// those outside of the loop.
	offset atomic.Int64
}

// ended notes that a proposal was applied, or failed.
func (d *due) ended(id raft.ProposalID) {
	if id == d.id {
		d.id = 0
	}
}

// proposeDue has a leader propose what falls due by cluster time. A command
// that fails, or is lost with the leadership, is made anew.
func (s *Server) proposeDue() {
	wait, command := s.untilDue()
	if command == nil || wait > 0 {
		return
	}
	s.due.notBefore = s.clock.now() + dueEvery
	id, err := s.core.Propose(command)
	if err != nil {
		return // no room for it now
	}
	s.due.id = id
	s.drain()
}

// untilDue is in how many milliseconds to propose which command; none while
// this device does not lead.
func (s *Server) untilDue() (wait raft.Time, command []byte) {
	if s.core.Role() != raft.Leader || s.due.id != 0 || s.failed != nil {
		return 0, nil
	}
	at, command := s.parts.App.Due()
	// An entry must bear a later time than that, not the same: both are
	// rounded down.
	if now := s.core.ClusterTime(); now <= at {
		wait = at - now + 1
	}
	if now := s.clock.now(); now < s.due.notBefore {
		wait = max(wait, s.due.notBefore-now)
	}
	return wait, command
}

// ticksUntilDue is in how many ticks proposeDue will have something to do.
func (s *Server) ticksUntilDue() int {
	wait, command := s.untilDue()
	if command == nil {
		return math.MaxInt
	}
	return ticksFor(wait, max(raft.Time(s.cfg.Tick.Milliseconds()), 1))
}

// ticksFor is how many ticks take so long or longer, however long that is: were
// it none although there is nothing to do yet, the loop would not sleep at all.
func ticksFor(wait, tick raft.Time) int {
	n := wait / tick
	if wait%tick != 0 {
		n++
	}
	return int(min(n, math.MaxInt32))
}

// ClusterTime is what this device believes cluster time to be. It may be called
// from any goroutine.
func (s *Server) ClusterTime() raft.Time {
	return raft.Time(max(s.due.offset.Load()+int64(s.clock.now()), 0))
}
