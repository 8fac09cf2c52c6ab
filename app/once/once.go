package once

import (
	"sync/atomic"

	"github.com/edgeraft/edgeraft/raft"
)

// Inner is the App that is wrapped: what raft/server wants of one. For an entry
// whose command must not be applied, it gets an EntryNoOp in its place, so that
// it knows the index.
type Inner interface {
	Apply(e raft.Entry) []byte
	Snapshot() []byte
	Restore(data []byte) error
	Due() (at raft.Time, command []byte)
}

// App is an App for raft/server whose commands can have idempotency keys. Its
// methods are for one goroutine, but for Stats.
type App struct {
	inner Inner
	table table
	keys  atomic.Int64
	bytes atomic.Int64
}

// New wraps an App.
func New(inner Inner) *App { return NewLimited(inner, Limits{}) }

// NewLimited is New with other limits, to test and to simulate what happens at
// them. Fields that are 0 are the constants of the format.
func NewLimited(inner Inner, l Limits) *App {
	orDefault(&l.Keys, MaxKeys)
	orDefault(&l.KeepAtLeast, KeepAtLeast)
	orDefault(&l.ResultBytes, MaxResultBytes)
	orDefault(&l.TableBytes, MaxTableBytes)
	return &App{inner: inner, table: newTable(l)}
}

func orDefault[T int | raft.Time](v *T, standard T) {
	if *v == 0 {
		*v = standard
	}
}

// Stats is the size of the table.
type Stats struct {
	Keys  int // against MaxKeys
	Bytes int // against MaxTableBytes
}

// Stats returns the size of the table. It may be called from any goroutine.
func (a *App) Stats() Stats {
	return Stats{Keys: int(a.keys.Load()), Bytes: int(a.bytes.Load())}
}

func (a *App) count() {
	a.keys.Store(int64(a.table.n))
	a.bytes.Store(int64(a.table.bytes))
}

// Apply takes the next committed entry. What it returns is an encoded Outcome
// for a command with a key, and the inner App's result for everything else.
func (a *App) Apply(e raft.Entry) []byte {
	if e.Kind != raft.EntryCommand || len(e.Data) == 0 || e.Data[0] != mark {
		return a.inner.Apply(e)
	}
	c, ok := decode(e.Data)
	o := Outcome{Refusal: Malformed}
	if ok {
		o = a.judge(c, e)
	}
	if o.Refusal != Accepted || o.Repeated {
		e.Kind, e.Data = raft.EntryNoOp, nil
		a.inner.Apply(e)
		return o.encode()
	}
	e.Data = c.inner
	o.Result = a.inner.Apply(e)
	r := record{key: c.key, index: e.Index, term: e.Term, time: e.Time, sum: c.sum, guarded: c.since != 0}
	if r.lost = len(o.Result) > a.table.limits.ResultBytes; !r.lost {
		r.result = a.table.textOf(o.Result)
	}
	a.table.remember(r)
	a.count()
	return o.encode()
}

// judge finds the outcome of a command with a key; if it is accepted and not
// repeated, it is still to be applied, and there is room to remember it.
func (a *App) judge(c command, e raft.Entry) Outcome {
	t := &a.table
	if r := t.find(c.key); r != nil {
		if r.sum != c.sum {
			return Outcome{Refusal: KeyReused, Index: r.index, Term: r.term}
		}
		return Outcome{Index: r.index, Term: r.term, Repeated: true, Result: []byte(r.result), ResultLost: r.lost}
	}
	switch {
	case c.since >= e.Index:
		return Outcome{Refusal: SinceAhead}
	case c.since != 0 && c.since < max(t.floor, t.barrier):
		return Outcome{Refusal: KeyForgotten, Index: max(t.floor, t.barrier)}
	}
	if wait, ok := t.makeRoom(e.Time); !ok {
		return Outcome{Refusal: TooManyKeys, RetryAfter: wait}
	}
	return Outcome{Index: e.Index, Term: e.Term}
}

// Due is the inner App's.
func (a *App) Due() (raft.Time, []byte) { return a.inner.Due() }
