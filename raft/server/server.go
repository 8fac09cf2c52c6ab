package server

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Server is one device of the cluster. Its methods may be called from any
// goroutine, while Run runs.
type Server struct {
	cfg   Config
	parts Parts
	core  *raft.Core // the loop's alone

	requests chan func()
	stopped  chan struct{} // closed when the loop has ended
	disk     *disk
	changes  *changes

	waiters map[raft.ProposalID]*waiter
	readers []*reader
	// leaderWaiters wait for a change of leader.
	leaderWaiters []*leaderWaiter
	applied       raft.Index
	// sinceSnapshot is the size of what was applied since the last one.
	sinceSnapshot int
	refused       uint64 // snapshots that were too large to be taken
	failed        error  // why this device must not go on, nil while it may
	join          joiner
	hello         hello
	drops         Drops
	answered      answered
	held          map[raft.NodeID]Holding
	clock         clock
	wallSaid      time.Time // when the others were told of the wall clock, last
	due           due
}

// Drops counts messages that were received and not taken, since the start.
type Drops struct {
	Foreign    uint64 // of another cluster
	Unexpected uint64 // that no correct member would send
	// LastForeign is the cluster, and its member, of the newest foreign one.
	LastForeign     raft.ClusterID
	LastForeignFrom raft.NodeID
	foreignAt       time.Time
}

// ForeignAgo is how long ago the newest foreign message came, if one did.
func (d *Drops) ForeignAgo() (ago time.Duration, ok bool) {
	return time.Since(d.foreignAt), d.Foreign > 0
}

// New makes a Server from its parts and what the log held when it was opened.
func New(cfg Config, parts Parts, stored raft.Stored) (*Server, error) {
	if cfg.Tick <= 0 {
		return nil, errors.New("make a server: the length of a tick must be positive")
	}
	if parts.Comms == nil || parts.Log == nil || parts.App == nil {
		return nil, errors.New("make a server: comms, log and app are all needed")
	}
	if cfg.SnapshotBytes <= 0 {
		cfg.SnapshotBytes = DefaultSnapshotBytes
	}
	core, err := raft.New(cfg.Core, stored)
	if err != nil {
		return nil, fmt.Errorf("make a server: %w", err)
	}
	s := &Server{
		cfg: cfg, parts: parts, core: core,
		requests: make(chan func(), maxRequests),
		stopped:  make(chan struct{}),
		disk:     newDisk(parts.Log, window{fixed: min(cfg.CommitWindow, MaxCommitWindow), adaptive: cfg.AdaptiveWindow}, stored.State),
		changes:  newChanges(parts.Monitor),
		waiters:  map[raft.ProposalID]*waiter{},
	}
	s.clock.began = time.Now()
	return s, nil
}

// Run runs the device until ctx ends or its storage fails, and returns nil or
// the failure. It can be called once.
func (s *Server) Run(ctx context.Context) error {
	defer s.end()
	go s.disk.run()
	go s.changes.run()
	s.clock.start(s.cfg.Tick)
	s.join.schedule(0)
	s.beginProbation()
	s.settle()
	if s.failed != nil {
		return s.failed
	}
	timer := newAlarm()
	defer timer.stop()
	if err := s.loop(ctx, timer, func() bool { return true }); err != nil {
		return err
	}
	return s.handOver(timer)
}

// loop runs until ctx ends or goOn says no, or with an error until storage
// fails.
func (s *Server) loop(ctx context.Context, timer *alarm, goOn func() bool) error {
	for goOn() {
		timer.set(s.sleep())
		if err := s.wait(ctx, timer); err != nil {
			if ctx.Err() != nil {
				return nil
			}
			return err
		}
		s.tick()
		s.settle()
		if s.failed != nil {
			return s.failed
		}
	}
	return nil
}

// handOver lets another device lead before this one stops, so that the cluster
// need not wait for an election timeout (§3.10). It takes a few round trips, or
// as long as the core tries: about the election timeout.
func (s *Server) handOver(timer *alarm) error {
	if s.core.Transfer("") != nil {
		return nil // not the leader, or nobody could take over
	}
	s.settle()
	patience := time.Duration(2*s.cfg.Core.ElectionTicks) * s.cfg.Tick
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	return s.loop(ctx, timer, s.core.Transferring)
}

// end releases everyone who still waits. What was proposed may yet be
// committed by the others.
func (s *Server) end() {
	s.disk.stop()
	s.changes.stop()
	defer close(s.stopped)
	for id, w := range s.waiters {
		if s.core.Cancel(id) {
			w.end(outcome{err: fmt.Errorf("propose: the agent stops: %w", raft.ErrOutcomeUnknown)})
		} else {
			w.end(outcome{err: fmt.Errorf("propose: %w", raft.ErrStopped)})
		}
	}
	for _, r := range s.readers {
		r.end(fmt.Errorf("read: %w", raft.ErrStopped))
	}
}

// wait blocks until there is an input, and takes in a bounded number of those
// that are there, so that they share a save and a message.
func (s *Server) wait(ctx context.Context, timer *alarm) error {
	received := s.parts.Comms.Received()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case m := <-received:
		s.catchUp()
		s.receive(m)
	case f := <-s.requests:
		s.request(f)
	case r := <-s.disk.results:
		if err := s.saved(r); err != nil {
			return err
		}
	case <-timer.C:
		timer.rang()
	}
	for range maxBatch {
		select {
		case m := <-received:
			s.receive(m)
		case f := <-s.requests:
			s.request(f)
		case r := <-s.disk.results:
			if err := s.saved(r); err != nil {
				return err
			}
		default:
			return nil
		}
	}
	return nil
}

func (s *Server) saved(r result) error {
	if r.err != nil {
		return fmt.Errorf("the log could not be written, so this device must not go on until it has been restarted: %w", r.err)
	}
	if r.state != 0 {
		s.core.SavedState(r.state)
	}
	if r.seq != 0 {
		s.core.Saved(r.seq)
	}
	s.core.SetShort(r.short)
	return nil
}

func (s *Server) request(f func()) {
	s.core.SetNow(s.clock.now())
	f()
}

func (s *Server) receive(m raft.Message) {
	s.core.SetNow(s.clock.now())
	s.heard(m)
	switch b := m.Body.(type) {
	case raft.Join:
		s.receiveJoin(m, b)
		return
	case raft.JoinAnswer:
		s.receiveJoinAnswer(m, b)
		return
	}
	if s.hello.probation > 0 {
		return // lost, as far as the sender knows
	}
	s.noteHolding(m)
	switch err := s.core.Step(m); {
	case err == nil:
	case errors.Is(err, raft.ErrForeign):
		s.foreign(m)
		s.answerForeign(m)
	default:
		s.drops.Unexpected++
	}
}

// catchUp passes on the time that was slept before a message came, so that the
// answer is by the clock: has the leader been silent for long? Ticks that would
// do something wait until the messages that are there have been seen.
func (s *Server) catchUp() {
	for range s.clock.calm(s.core.TicksUntilWork() - 1) {
		s.core.Tick()
		s.join.tick()
		s.tickHello()
	}
}

// tick passes the time on to the core and to what else waits for it.
func (s *Server) tick() {
	s.core.SetNow(s.clock.now())
	for range s.clock.elapsed(s.cfg.Core.HeartbeatTicks) {
		s.core.Tick()
		s.join.tick()
		s.tickHello()
	}
	s.proposeMembership()
	s.askToJoin()
	s.tellStranger()
}

// sleep is how long nothing needs to be done.
func (s *Server) sleep() time.Duration {
	ticks := s.core.TicksUntilWork()
	if j := s.join.ticksUntilWork(); j > 0 {
		ticks = min(ticks, j)
	}
	if h := s.ticksUntilHello(); h > 0 {
		ticks = min(ticks, h)
	}
	ticks = min(ticks, s.ticksUntilDue())
	return s.clock.plan(ticks)
}

// settle carries out all that the core wants done.
func (s *Server) settle() {
	s.startReads()
	s.drain()
	s.snapshot()
	s.proposeDue()
	s.due.offset.Store(int64(s.core.ClusterTime()) - int64(s.clock.now()))
	s.tellLeaderWaiters()
	s.changes.look(s.core, s.drops.LastForeign, s.drops.LastForeignFrom)
}

// drain carries out what the core wants done until there is nothing left.
func (s *Server) drain() {
	for {
		rd := s.core.Ready()
		if rd.Empty() {
			return
		}
		if rd.Save != nil {
			s.disk.put(*rd.Save)
		}
		s.send(rd.Messages)
		s.restore(rd.Restore)
		s.apply(rd.Committed)
		s.finishReads(rd.Reads)
		for _, f := range rd.Failed {
			s.due.ended(f.ID)
			s.finish(f.ID, outcome{err: f.Err})
		}
	}
}

func (s *Server) apply(es []raft.Entry) {
	if s.failed != nil {
		return
	}
	for _, e := range es {
		s.sinceSnapshot += e.Size()
		result := s.parts.App.Apply(e)
		s.applied = e.Index
		if e.ID != 0 {
			s.due.ended(e.ID)
			s.finish(e.ID, outcome{applied: Applied{Index: e.Index, Term: e.Term, Result: result}})
		}
	}
	if len(es) > 0 {
		s.releaseReaders()
	}
}

// do runs f in the loop and returns nil when it has run. On an error it has not
// run and never will; ctx only bounds the wait for a place in the queue.
func (s *Server) do(ctx context.Context, f func()) error {
	ran := make(chan struct{})
	select {
	case s.requests <- func() { f(); close(ran) }:
	case <-ctx.Done():
		return ctx.Err()
	case <-s.stopped:
		return raft.ErrStopped
	}
	select {
	case <-ran:
		return nil
	case <-s.stopped:
	}
	select {
	case <-ran: // it ran as the loop's last act
		return nil
	default:
		return raft.ErrStopped
	}
}
