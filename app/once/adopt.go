package once

import (
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// adopter is an inner App whose state can be replaced: see Adopt.
type adopter interface {
	Adopt(data []byte, taken raft.Time, foreign bool, e raft.Entry) error
}

// ErrCannotAdopt: the inner App cannot take over the state of another time.
var ErrCannotAdopt = errors.New("this state machine cannot be restored from a backup")

// Adopt puts the inner App's state of a Snapshot of another time, or of another
// cluster (foreign), in the place of this one, by entry e, which was applied.
// Taken is cluster time when it was made.
//
// The table is not what it was then. What was done in this cluster was done,
// before e, and to repeat it after e must not do it again. But of another cluster
// the keys come in, as if used at e: their changes come with the state. Keys that
// are known here already, and the oldest where there is no room for all, are left
// out. A since below e may from now on be one of the other cluster, and says
// nothing of a key that is not known.
//
// On an error the state is as before. It is called as Apply is, and shares
// data's memory.
func (a *App) Adopt(data []byte, taken raft.Time, foreign bool, e raft.Entry) error {
	inner, ok := a.inner.(adopter)
	if !ok {
		return ErrCannotAdopt
	}
	read := newTable(a.table.limits)
	if len(data) > 0 && data[0] == mark {
		var err error
		if data, err = read.decode(data[1:]); err != nil {
			return err
		}
	}
	if err := inner.Adopt(data, taken, foreign, e); err != nil {
		return fmt.Errorf("adopt the state: %w", err)
	}
	if foreign {
		a.table.adopt(&read, e)
		a.count()
	}
	return nil
}

// adopt adds the keys of another cluster's table.
func (t *table) adopt(from *table, e raft.Entry) {
	t.barrier = e.Index
	keys, bytes, first := t.n, t.bytes, uint32(from.n)
	for first > 0 {
		r := from.at(from.first + first - 1)
		if t.find(r.key) == nil {
			keys, bytes = keys+1, bytes+r.cost()
		}
		if keys > t.limits.Keys || bytes > t.limits.TableBytes {
			break
		}
		first--
	}
	for i := first; i < uint32(from.n); i++ {
		r := *from.at(from.first + i)
		if t.find(r.key) == nil {
			r.index, r.term, r.time = e.Index, e.Term, e.Time
			t.remember(r)
		}
	}
}
