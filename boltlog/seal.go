package boltlog

import (
	"errors"
	"fmt"
	"math"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// sealing is what a transaction does beside putting the tail into chunks and
// ending the epoch.
type sealing struct {
	state       raft.HardState
	first, last raft.Index // of the log, from here on
	reset       bool       // what is stored of the log goes
	snapshot    *raft.Snapshot
	boot        *device // counts a boot
	tail        *tail   // of the log, that is in no chunk yet
	bound       bool    // it must leave room for snapshots
	founding    *raft.Founding
}

// leave is how many pages must be free afterwards, apart from those that the
// transaction itself frees.
func (l *Log) leave(s sealing) (int, error) {
	r := &l.disk.room
	switch {
	case s.snapshot != nil:
		freed := 0
		err := l.db.View(func(tx *bolt.Tx) (err error) {
			freed, err = chunkPages(tx.Bucket(bucketChunks), s.first)
			return err
		})
		return r.forHardState() - r.snapshot - freed, err
	case s.bound:
		return r.forHardState() + r.forSnapshot(), nil
	}
	return 0, nil
}

// pages is about how many it takes, with those of the directory and the root.
func (s *sealing) pages() int {
	const others = 8
	start, _ := s.tail.from(s.first)
	n := len(s.tail.data) - start
	n = others + n/pageSize + n/(8*pageSize)
	if s.snapshot != nil {
		n += snapshotPages(len(s.snapshot.Data))
	}
	return n
}

// snapshotPages is about how many pages a snapshot of so many bytes takes.
func snapshotPages(n int) int { return 2 + n/pageSize + n/(32*pageSize) }

// seal empties the ring into chunks, in one transaction. When it returns nil
// all is durable, and the ring may be written from its first slot again: the old
// sectors are of an epoch that has ended.
func (l *Log) seal(s sealing) error {
	if l.ring.epoch == math.MaxUint64 {
		return fmt.Errorf("%w: its epochs are at their end", ErrDamaged)
	}
	hard, err := wire.AppendHardState(nil, s.state)
	if err != nil {
		return err
	}
	state := l.stored
	state.Epoch, state.First, state.Last = l.ring.epoch+1, s.first, s.last
	leave, err := l.leave(s)
	if err != nil {
		return err
	}
	var written uint64
	before := l.disk.room.snapshot
	if s.snapshot != nil { // the next one will be about as large
		l.disk.room.snapshot = snapshotPages(len(s.snapshot.Data))
	}
	err = guard("commit", func() (err error) {
		written, err = l.disk.fitting(s.pages(), leave, func(tx *bolt.Tx, by layout) error {
			state.FileBytes = l.disk.count.fileBytes.Load()
			if err := l.sealEntries(tx, s, by.chunk); err != nil {
				return err
			}
			if s.snapshot != nil {
				if err := putSnapshot(tx, s.snapshot, by.piece); err != nil {
					return err
				}
			}
			if s.founding != nil {
				if err := putFounding(tx, *s.founding); err != nil {
					return err
				}
			}
			if s.boot != nil {
				if err := s.boot.put(tx); err != nil {
					return err
				}
			}
			return errors.Join(tx.Bucket(bucketState).Put(keyHard, hard), state.put(tx), l.spending.put(tx, s.least(s.tail)))
		})
		if err == nil {
			err = l.checkSealed(s, written)
		}
		return err
	})
	if err != nil {
		l.panicked, l.disk.room.snapshot = errors.Is(err, errPanicked), before
		if errors.Is(err, raft.ErrDiskFull) {
			l.disk.room.wanted = s.pages()
			l.disk.room.short.Store(true)
		}
		return err
	}
	l.disk.room.wanted = 0
	l.stored = state
	l.disk.count.seals.Add(1)
	l.ring.restart(state.Epoch)
	l.tail.restart(s.last + 1)
	return nil
}

func (l *Log) sealEntries(tx *bolt.Tx, s sealing, size int) error {
	if s.reset {
		if err := tx.DeleteBucket(bucketChunks); err != nil {
			return err
		}
		if _, err := tx.CreateBucket(bucketChunks); err != nil {
			return err
		}
	}
	chunks := tx.Bucket(bucketChunks)
	cut := raft.Index(math.MaxUint64)
	if len(s.tail.ends) > 0 {
		cut = s.tail.first
	}
	if err := dropChunks(chunks, cut, s.first, s.last); err != nil {
		return err
	}
	return l.putChunks(chunks, s.tail, s.first, size)
}

// checkSealed holds, after a commit, what the ring and the cost of a commit rest
// on, and counts what was written.
func (l *Log) checkSealed(s sealing, written uint64) error {
	m, err := newestMeta(l.file)
	if err != nil {
		return err
	}
	var header [headerLen]byte
	if _, err := l.file.ReadAt(header[:], int64(m.root)*pageSize); err != nil {
		return err
	}
	if kind, overflow := order.Uint16(header[8:]), order.Uint32(header[12:]); kind != leafPage || overflow != 0 {
		return fmt.Errorf("%w: the root is no longer one page", ErrDamaged)
	}
	return l.db.View(func(tx *bolt.Tx) error {
		if page := int(tx.Bucket(bucketRing).RootPage()); page != l.ring.page {
			return fmt.Errorf("%w: the ring moved from page %d to page %d", ErrDamaged, l.ring.page, page)
		}
		kind := &l.disk.count.logBytes
		if s.boot != nil {
			kind = &l.disk.count.otherBytes
		}
		if s.snapshot != nil {
			b := tx.Bucket(bucketSnapshot).Stats()
			pages := uint64(b.LeafPageN + b.LeafOverflowN + b.BranchPageN + b.BranchOverflowN)
			l.disk.count.snapshotBytes.Add(pages * pageSize)
			written -= min(written, pages*pageSize)
		}
		kind.Add(written)
		return nil
	})
}
