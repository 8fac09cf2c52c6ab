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
	founding    *raft.Founding
}

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
	var written uint64
	err = guard("commit", func() (err error) {
		written, err = l.disk.update(func(tx *bolt.Tx) error {
			if err := l.sealEntries(tx, s); err != nil {
				return err
			}
			if s.snapshot != nil {
				if err := putSnapshot(tx, s.snapshot); err != nil {
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
			return errors.Join(tx.Bucket(bucketState).Put(keyHard, hard), state.put(tx), l.spending.put(tx, s.least(&l.tail)))
		})
		if err == nil {
			err = l.checkSealed(s, written)
		}
		return err
	})
	if err != nil {
		l.panicked = errors.Is(err, errPanicked)
		return err
	}
	l.stored = state
	l.disk.count.seals.Add(1)
	l.ring.restart(state.Epoch)
	l.tail.restart(s.last + 1)
	return nil
}

func (l *Log) sealEntries(tx *bolt.Tx, s sealing) error {
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
	if len(l.tail.ends) > 0 {
		cut = l.tail.first
	}
	if err := dropChunks(chunks, cut, s.first, s.last); err != nil {
		return err
	}
	return l.putChunks(chunks, &l.tail, s.first)
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
