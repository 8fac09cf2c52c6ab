package boltlog

import (
	"errors"
	"fmt"
	"os"
	"sync"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// Log is an open database. Its methods may be called from any goroutine; saves
// happen one after the other.
type Log struct {
	mu       sync.Mutex
	db       *bolt.DB
	file     *os.File // the one db uses
	lock     *os.File // the directory, locked
	disk     *disk
	failed   error // set once, by the first failure
	panicked bool  // db is in an unknown state: not even Close may touch it
	closed   bool

	first, last raft.Index // of the log; last is first-1 where it is empty
	state       raft.HardState
	stored      ringState // of the newest transaction
	ring        ring
	tail        tail
	fresh       tail   // entries of the save under way
	cut         []byte // of the save under way, as a record
	spending    *spending
}

// Save makes s durable: the hard state, and the entries, which replace every
// stored one from s.Entries[0].Index on. When it returns nil all of it is on
// stable storage; when the power is cut meanwhile, all of it or nothing.
// Ordinarily that is one write of one sector into the ring, and one sync. Where
// the ring is full, and for a snapshot, it is a transaction; the entries that a
// snapshot makes needless go in the same one.
//
// With raft.ErrDiskFull nothing was written and nothing changed: the same may be
// saved later, together with more, or a hard state alone meanwhile, whose commit
// index is then lowered to what is stored. For that there is always room.
//
// Every other error wraps ErrFailed, is final, and is returned by every later Save
// too: a caller may promise nothing more. That holds for ErrGap and for what
// cannot be encoded too, where nothing was written: a later save must not seem
// to cover the one refused. After Close it is ErrClosed.
func (l *Log) Save(s raft.Save) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if l.failed != nil {
		return l.failed
	}
	l.spending.turn()
	err := l.save(&s)
	l.disk.room.full.Store(err != nil && errors.Is(err, raft.ErrDiskFull))
	switch {
	case errors.Is(err, raft.ErrDiskFull):
		return fmt.Errorf("save %d to %s: %w", s.Seq, l.db.Path(), err)
	case err != nil:
		err = readOnly(err)
		l.failed = fmt.Errorf("save %d to %s: %w: %w", s.Seq, l.db.Path(), ErrFailed, err)
		return l.failed
	}
	return nil
}

func (l *Log) save(s *raft.Save) error {
	if v := s.State.Vote; v != "" && !v.Valid() {
		return fmt.Errorf("%w: the vote %q is no ID", wire.ErrMalformed, v)
	}
	first, last, err := l.ends(s)
	if err != nil {
		return err
	}
	if len(s.Entries) == 0 && s.Snapshot == nil {
		s.State.Commit = min(s.State.Commit, last)
	}
	edit, err := l.editOf(s, last)
	if err != nil {
		return err
	}
	if s.Snapshot != nil || s.Founding != nil || !l.ring.holds(len(l.cut)+len(l.fresh.data)) {
		err = l.seal(sealing{state: s.State, first: first, last: last, reset: s.Reset, snapshot: s.Snapshot, founding: s.Founding, tail: l.tail.with(edit, &l.fresh),
			bound: len(s.Entries) > 0 && s.Snapshot == nil})
		if err == nil && s.Founding != nil {
			// With the transaction's meta page damaged, bbolt goes back by one. This
			// shows that one is missing, so that no promise is forgotten.
			l.disk.count.ringWrites.Add(1)
			err = l.ring.save(l.disk, s.State, nil, nil)
		}
	} else if len(s.Entries) > 0 && l.disk.room.free < l.disk.room.forHardState() {
		l.disk.room.short.Store(true)
		return fmt.Errorf("%w: what is left is for votes", raft.ErrDiskFull)
	} else if err = l.ring.save(l.disk, s.State, l.cut, l.fresh.data); err == nil {
		l.disk.count.ringWrites.Add(1)
		l.tail.take(edit, &l.fresh)
	}
	if err != nil {
		return err
	}
	l.first, l.last, l.state = first, last, s.State
	l.disk.count.saves.Add(1)
	l.disk.count.entryBytes.Add(uint64(l.fresh.stored))
	return nil
}

// editOf encodes a save's entries into fresh, and what becomes of the stored
// ones that are in no chunk into cut. Neither touches the tail: the save may fail.
func (l *Log) editOf(s *raft.Save, last raft.Index) (edit, error) {
	l.cut = l.cut[:0]
	var c edit
	switch {
	case len(s.Entries) > 0 && s.Reset:
		c.restart = s.Entries[0].Index
	case len(s.Entries) > 0 && s.Entries[0].Index <= l.last:
		c.cut = s.Entries[0].Index
		l.cut = appendCut(l.cut, c.cut)
	case s.Reset:
		c.restart = last + 1
	}
	l.fresh.restart(0)
	for _, e := range s.Entries {
		if err := l.fresh.add(e); err != nil {
			return c, err
		}
	}
	return c, nil
}

// ends returns the first and the last entry of the log with s saved. The error
// is ErrGap: the entries must be contiguous, and start within what is stored or
// directly behind it; and only what a snapshot stands for may be dropped.
func (l *Log) ends(s *raft.Save) (first, last raft.Index, err error) {
	first, last = l.first, l.last
	if s.Reset {
		if s.Snapshot == nil {
			return 0, 0, fmt.Errorf("%w: the log is dropped without a snapshot in its place", ErrGap)
		}
		first, last = 1, s.Snapshot.Index
	}
	for i, e := range s.Entries {
		switch {
		case i > 0 && e.Index != s.Entries[i-1].Index+1:
			return 0, 0, fmt.Errorf("%w: entry %d after entry %d", ErrGap, e.Index, s.Entries[i-1].Index)
		case i == 0 && (e.Index < first || e.Index-1 > last):
			return 0, 0, fmt.Errorf("%w: entry %d, where %d to %d are stored", ErrGap, e.Index, first, last)
		}
	}
	if n := len(s.Entries); n > 0 {
		last = s.Entries[n-1].Index
		if s.Reset {
			first = s.Entries[0].Index
		}
	} else if s.Reset {
		first = last + 1
	}
	if s.Snapshot == nil {
		return first, last, nil
	}
	if s.First > s.Snapshot.Index+1 {
		return 0, 0, fmt.Errorf("%w: entry %d is the first that is needed, with a snapshot at %d", ErrGap, s.First, s.Snapshot.Index)
	}
	if i := s.Snapshot.Index; i > last { // it stands for all of the log
		return i + 1, i, nil
	}
	return max(first, s.First), last, nil
}

// Close waits for a save under way, marks the end of what was saved, and lets go
// of the files. What was saved stays, whatever Close returns; a second Close does
// nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	err := l.farewell()
	if l.panicked {
		err = errors.Join(err, l.file.Close())
	} else {
		err = errors.Join(err, l.db.Close())
	}
	if err = errors.Join(err, l.lock.Close()); err != nil {
		return fmt.Errorf("close the log: %w", err)
	}
	return nil
}

// farewell writes the hard state once more, behind the last save. A last save
// that cannot be read is else taken for one that was cut off by a power cut, and
// one that went into a transaction is forgotten with that one's meta page: with
// something behind it, it is known to have been acknowledged.
func (l *Log) farewell() error {
	if l.failed != nil || l.disk.count.saves.Load() == 0 {
		return nil
	}
	if err := l.ring.save(l.disk, l.state, nil, nil); err != nil {
		return fmt.Errorf("%w: %w", ErrFailed, err)
	}
	return nil
}
