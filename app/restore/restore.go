package restore

import (
	"crypto/sha256"

	"github.com/edgeraft/edgeraft/raft"
)

// Inner is the App that is wrapped. For an entry of this package it gets an
// EntryNoOp in its place, so that it knows the index.
type Inner interface {
	Apply(e raft.Entry) []byte
	Snapshot() []byte
	Restore(data []byte) error
	Due() (at raft.Time, command []byte)
	// Adopt puts the state that a Snapshot of another time, or of another
	// cluster (foreign), held in the place of this one: as of entry e, which was
	// applied. Taken is cluster time when that Snapshot was made. On an error,
	// which must not depend on anything but its arguments and the state, the
	// state is as before. It shares data's memory.
	Adopt(data []byte, taken raft.Time, foreign bool, e raft.Entry) error
}

// App is an App for raft/server whose state commands can replace. Its methods
// are for one goroutine.
type App struct {
	inner  Inner
	staged *staged
	last   done // the last restore that was carried out
}

// staged is a restore that is not complete.
type staged struct {
	plan    Plan
	data    []byte
	have    []byte // a bit for each piece
	missing int
	touched raft.Time // when it last got something
}

type done struct {
	id    ID
	index raft.Index // 0: there was none
}

// New wraps an App.
func New(inner Inner) *App { return &App{inner: inner} }

// Backup returns the state as a backup holds it: without what is staged. It is
// called as Apply is.
func (a *App) Backup() []byte { return a.inner.Snapshot() }

// Apply takes the next committed entry. What it returns is an encoded Outcome
// for a command of this package, and the inner App's result for everything else.
func (a *App) Apply(e raft.Entry) []byte {
	if s := a.staged; s != nil && e.Time > s.deadline() {
		a.staged = nil
	}
	if e.Kind != raft.EntryCommand || len(e.Data) == 0 || e.Data[0] != mark {
		return a.inner.Apply(e)
	}
	c, ok := decode(e.Data)
	at := e
	at.Kind, at.Data = raft.EntryNoOp, nil
	a.inner.Apply(at)
	if !ok {
		return Outcome{Verdict: Malformed}.encode()
	}
	return a.carryOut(c, at).encode()
}

func (a *App) carryOut(c command, e raft.Entry) Outcome {
	s := a.staged
	if s != nil && s.plan.ID != c.id && c.kind != kindBegin {
		s = nil
	}
	switch {
	case c.kind == kindAbandon:
		return Outcome{}
	case c.kind == kindBegin:
		return a.begin(c.plan, e)
	case c.kind == kindCommit && a.last.index != 0 && a.last.id == c.id:
		return Outcome{Index: a.last.index}
	case s == nil:
		return Outcome{Verdict: Gone}
	case c.kind == kindAbort:
		a.staged = nil
		return Outcome{}
	case c.kind == kindPiece:
		return s.take(c, e.Time)
	}
	return a.commit(c, e)
}

func (a *App) begin(p Plan, e raft.Entry) Outcome {
	if s := a.staged; s != nil {
		switch {
		case s.plan == p:
			return Outcome{} // repeated
		case s.plan.ID == p.ID:
			return Outcome{Verdict: Malformed}
		}
		return Outcome{Verdict: Busy, Number: uint64(s.deadline()-e.Time) + 1}
	}
	a.staged = newStaged(p, e.Time)
	return Outcome{}
}

func newStaged(p Plan, now raft.Time) *staged {
	n := p.Pieces()
	return &staged{plan: p, data: make([]byte, p.Size), have: make([]byte, (n+7)/8), missing: n, touched: now}
}

// deadline is the cluster time after which it is abandoned.
func (s *staged) deadline() raft.Time {
	const most = raft.Time(1) << 62 // so that the sum cannot overflow, whatever an entry says
	return min(s.touched, most) + AbandonAfter
}

func (s *staged) has(n int) bool { return s.have[n/8]&(1<<(n%8)) != 0 }

func (s *staged) take(c command, now raft.Time) Outcome {
	if c.number >= s.plan.Pieces() {
		return Outcome{Verdict: Malformed}
	}
	from, to := s.plan.piece(c.number)
	if len(c.data) != to-from {
		return Outcome{Verdict: Malformed}
	}
	s.touched = max(s.touched, now)
	if !s.has(c.number) {
		copy(s.data[from:], c.data)
		s.have[c.number/8] |= 1 << (c.number % 8)
		s.missing--
	}
	return Outcome{}
}

// commit replaces the state, if all that was announced is there.
func (a *App) commit(c command, e raft.Entry) Outcome {
	s := a.staged
	if s.missing > 0 {
		n := 0
		for s.has(n) {
			n++
		}
		return Outcome{Verdict: Incomplete, Number: uint64(n)}
	}
	a.staged = nil
	if sha256.Sum256(s.data) != c.sum {
		return Outcome{Verdict: Damaged}
	}
	if a.inner.Adopt(s.data, s.plan.Time, s.plan.Foreign, e) != nil {
		return Outcome{Verdict: Unreadable}
	}
	a.last = done{s.plan.ID, e.Index}
	return Outcome{Index: e.Index}
}

// Due is the inner App's, or when what is staged counts as abandoned.
func (a *App) Due() (raft.Time, []byte) {
	at, command := a.inner.Due()
	if s := a.staged; s != nil && (command == nil || s.deadline() < at) {
		return s.deadline(), abandon
	}
	return at, command
}
