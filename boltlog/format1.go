package boltlog

import (
	"encoding/binary"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// Format 1 had no ring and no chunks: bucket "entries" held each entry under its
// index, big-endian. It is read, and becomes the present one in one transaction.
const format1 = 1

var bucketEntries1 = []byte("entries")

func (c *content) readEntries1(b *bolt.Bucket) error {
	if b == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	return b.ForEach(func(key, value []byte) error {
		e, err := wire.DecodeEntry(value)
		if err != nil {
			return unreadable(fmt.Sprintf("the entry under key %x", key), err)
		}
		if len(key) != 8 || raft.Index(binary.BigEndian.Uint64(key)) != e.Index {
			return fmt.Errorf("%w: entry %d is stored under key %x", ErrDamaged, e.Index, key)
		}
		c.stored.Entries = append(c.stored.Entries, e)
		return nil
	})
}

// convert makes the present format of a database of format 1, which c holds.
func (l *Log) convert(c *content, opt Options) error {
	if err := zeros(l.file, int64(opt.Preallocate), l.disk.count); err != nil {
		return err
	}
	l.disk.count.fileBytes.Store(0) // growing it once is no growth
	if err := l.disk.measure(); err != nil {
		return err
	}
	if err := c.newRing(opt); err != nil {
		return err
	}
	c.ring.First, c.ring.Last = c.last()+1, c.last()
	if n := len(c.stored.Entries); n > 0 && c.stored.Entries[n-1].Index == c.last() {
		c.ring.First = c.stored.Entries[0].Index
	} else { // the snapshot stands for all of them
		c.stored.Entries = nil
	}
	l.ring.seed = ringSeed(c.ring.ID)
	t := tail{first: c.ring.First}
	for _, e := range c.stored.Entries {
		if err := t.add(e); err != nil {
			return err
		}
	}
	return guard("convert the database", func() error {
		l.disk.room.slots = opt.slots()
		if err := l.disk.countFree(); err != nil {
			return err
		}
		pages := opt.slots() + 16 + len(t.data)/pageSize + len(t.data)/(8*pageSize)
		written, err := l.disk.fitting(pages, 0, func(tx *bolt.Tx, by layout) error {
			if err := tx.DeleteBucket(bucketEntries1); err != nil {
				return err
			}
			if err := c.put(tx, opt.slots()); err != nil {
				return err
			}
			return l.putChunks(tx.Bucket(bucketChunks), &t, c.ring.First, by.chunk)
		})
		l.disk.count.otherBytes.Add(written)
		return err
	})
}
