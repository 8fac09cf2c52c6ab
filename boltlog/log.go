package boltlog

import (
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"os"
	"sync"
	"sync/atomic"

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
	last     raft.Index
	failed   error // set once, by the first failure
	panicked bool  // db is in an unknown state: not even Close may touch it
	closed   bool

	saves      atomic.Uint64
	entryBytes atomic.Uint64
}

// Stats counts what was saved since Open.
type Stats struct {
	Saves      uint64
	EntryBytes uint64 // of encoded entries, keys not counted
}

// Stats returns the counts. It never waits for a save.
func (l *Log) Stats() Stats {
	return Stats{Saves: l.saves.Load(), EntryBytes: l.entryBytes.Load()}
}

// Save makes s durable in one transaction: the hard state, and the entries,
// which replace every stored one from s.Entries[0].Index on. When it returns
// nil all of it is on stable storage. A snapshot goes in the same transaction,
// and so do the entries it makes needless. Every error wraps ErrFailed, is final,
// and is returned by every later Save too: a caller may promise nothing more.
// That holds for ErrGap and for what cannot be encoded too, where nothing was
// written: a later save must not seem to cover the one refused. After Close it
// is ErrClosed.
func (l *Log) Save(s raft.Save) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return ErrClosed
	}
	if l.failed != nil {
		return l.failed
	}
	if err := l.save(s); err != nil {
		l.failed = fmt.Errorf("save %d to %s: %w: %w", s.Seq, l.db.Path(), ErrFailed, err)
		return l.failed
	}
	return nil
}

func (l *Log) save(s raft.Save) error {
	before := l.last
	if s.Reset {
		if s.Snapshot == nil || s.First != s.Snapshot.Index+1 {
			return fmt.Errorf("%w: the log is dropped without a snapshot in its place", ErrGap)
		}
		before = s.Snapshot.Index
	}
	if err := checkEntries(before, s.Entries); err != nil {
		return err
	}
	hard, err := wire.AppendHardState(nil, s.State)
	if err != nil {
		return err
	}
	// Encoded before the transaction, and not in a shared buffer: bbolt refers
	// to values until the commit.
	values := make([][]byte, len(s.Entries))
	size := 0
	for i, e := range s.Entries {
		if values[i], err = wire.AppendEntry(nil, e); err != nil {
			return err
		}
		size += len(values[i])
	}
	err = guard("commit", func() error {
		return l.db.Update(func(tx *bolt.Tx) error {
			if err := tx.Bucket(bucketState).Put(keyHard, hard); err != nil {
				return err
			}
			return l.change(tx, s, values)
		})
	})
	if err != nil {
		l.panicked = errors.Is(err, errPanicked)
		return err
	}
	l.last = before
	if n := len(s.Entries); n > 0 {
		l.last = s.Entries[n-1].Index
	}
	l.saves.Add(1)
	l.entryBytes.Add(uint64(size))
	return nil
}

// checkEntries holds that the entries are contiguous and start within what is
// stored, up to last, or directly behind it.
func checkEntries(last raft.Index, entries []raft.Entry) error {
	for i, e := range entries {
		if i == 0 && (e.Index == 0 || e.Index-1 > last) {
			return fmt.Errorf("%w: entry %d after entry %d", ErrGap, e.Index, last)
		}
		if i > 0 && e.Index != entries[i-1].Index+1 {
			return fmt.Errorf("%w: entry %d after entry %d", ErrGap, e.Index, entries[i-1].Index)
		}
	}
	return nil
}

// change makes the log and the snapshot what s says.
func (l *Log) change(tx *bolt.Tx, s raft.Save, values [][]byte) error {
	if s.Reset {
		if err := emptyEntries(tx); err != nil {
			return err
		}
	}
	if err := l.replace(tx, s.Entries, values); err != nil {
		return err
	}
	if s.Snapshot == nil {
		return nil
	}
	// Entries only ever become needless by a snapshot.
	if err := putSnapshot(tx, s.Snapshot); err != nil {
		return err
	}
	return dropBefore(tx, s.First)
}

// replace writes the entries and deletes every stored one behind them.
func (l *Log) replace(tx *bolt.Tx, entries []raft.Entry, values [][]byte) error {
	if len(entries) == 0 {
		return nil
	}
	b := tx.Bucket(bucketEntries)
	b.FillPercent = 1 // keys only grow: a page that is split stays as it is
	for i, e := range entries {
		if err := b.Put(entryKey(e.Index), values[i]); err != nil {
			return err
		}
	}
	end := entries[len(entries)-1].Index
	for i := end; i < l.last && i < math.MaxUint64; i++ {
		if err := b.Delete(entryKey(i + 1)); err != nil {
			return err
		}
	}
	return nil
}

// Close waits for a save under way and lets go of the files. What was saved
// stays; a second Close does nothing.
func (l *Log) Close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.closed {
		return nil
	}
	l.closed = true
	var err error
	if l.panicked {
		err = l.file.Close()
	} else {
		err = l.db.Close()
	}
	if err = errors.Join(err, l.lock.Close()); err != nil {
		return fmt.Errorf("close the log: %w", err)
	}
	return nil
}

// entryKey keeps the entries in the order of their indexes.
func entryKey(i raft.Index) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(i))
}
