package boltlog

import (
	"errors"
	"io"
	"os"
	"sync/atomic"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
)

// Stats counts what was done since Open began, opening included. Bytes are
// those handed to the device: of a ring write its whole sectors, of a bbolt
// transaction its pages and the meta page. The file system's journal is not in.
type Stats struct {
	Saves      uint64
	EntryBytes uint64 // of encoded entries, without the framing

	LogBytes      uint64 // of entries and hard states: ring and chunks
	SnapshotBytes uint64 // of the pages of stored snapshots
	OtherBytes    uint64 // of making, converting and opening the database
	Syncs         uint64 // fdatasync and fsync, those of bbolt included

	RingWrites uint64 // saves that went to the ring: one write and one sync each
	Seals      uint64 // transactions that emptied the ring, or found it empty

	FileBytes uint64 // size of the file now
	Growths   uint64 // how often it had to be made larger: it should have been preallocated so
}

// counters are Stats while they count.
type counters struct {
	saves, entryBytes, logBytes, snapshotBytes, otherBytes atomic.Uint64
	syncs, ringWrites, seals, fileBytes, growths           atomic.Uint64
	freeBytes                                              atomic.Uint64 // in the file
}

// Stats returns the counts. It never waits for a save.
func (l *Log) Stats() Stats {
	n := l.disk.count
	return Stats{
		Saves: n.saves.Load(), EntryBytes: n.entryBytes.Load(),
		LogBytes: n.logBytes.Load(), SnapshotBytes: n.snapshotBytes.Load(), OtherBytes: n.otherBytes.Load(),
		Syncs: n.syncs.Load(), RingWrites: n.ringWrites.Load(), Seals: n.seals.Load(),
		FileBytes: n.fileBytes.Load(), Growths: n.growths.Load(),
	}
}

// operation is something that is done to the database's file.
type operation string

const (
	opWrite  operation = "write"  // by the ring
	opSync   operation = "sync"   // by us
	opGrow   operation = "grow"   // zeros at the end, for the next sync
	opCommit operation = "commit" // of a bbolt transaction, with writes and syncs of its own
)

// disk is the database's file, the way this package writes it, which is beside
// bbolt and through the same descriptor.
type disk struct {
	file  *os.File
	db    *bolt.DB
	count *counters
	tap   tap
	room  room
}

// tap, when set, is asked before each operation, with its place and length if it
// is a write: tests watch, and make it fail.
type tap func(op operation, off int64, n int) error

func (t tap) asked(op operation, off int64, n int) error {
	if t == nil {
		return nil
	}
	return t(op, off, n)
}

// write writes b at off with one pwrite. Bytes are counted for kind.
func (d *disk) write(b []byte, off int64, kind *atomic.Uint64) error {
	if err := d.tap.asked(opWrite, off, len(b)); err != nil {
		return err
	}
	n, err := d.file.WriteAt(b, off)
	kind.Add(uint64(n))
	return err
}

// sync makes durable what was written, with one fdatasync.
func (d *disk) sync() error {
	if err := d.tap.asked(opSync, 0, 0); err != nil {
		return err
	}
	d.count.syncs.Add(1)
	return d.db.Sync()
}

// update runs one transaction and returns the bytes that it wrote. Where it does
// not fit into the file as it is the error is errNoRoom, and nothing changed.
func (d *disk) update(f func(*bolt.Tx) error) (uint64, error) {
	if err := d.tap.asked(opCommit, 0, 0); err != nil {
		return 0, err
	}
	var tx *bolt.Tx
	d.db.AllocSize, d.db.MaxSize = 0, int(d.count.fileBytes.Load())
	err := d.db.Update(func(t *bolt.Tx) error {
		tx = t
		return f(t)
	})
	if errors.Is(err, bolterrors.ErrMaxSizeReached) {
		return 0, errNoRoom
	}
	if err != nil {
		return 0, err
	}
	// Every page that was allocated was written, and then the meta page.
	d.count.syncs.Add(2)
	stats := tx.Stats()
	return uint64(stats.GetPageAlloc()) + pageSize, d.countFree()
}

// measure takes the size of the file.
func (d *disk) measure() error {
	info, err := d.file.Stat()
	if err != nil {
		return err
	}
	if size := uint64(info.Size()); size != d.count.fileBytes.Load() {
		if before := d.count.fileBytes.Swap(size); before != 0 {
			d.count.growths.Add(1)
		}
	}
	return nil
}

// zeros writes zeros from the end of f up to size, and makes them durable: a
// hole, or blocks that are only allocated, would cost a transaction of the file
// system's journal each when they are first written.
func zeros(f *os.File, size int64, n *counters) error {
	end, err := f.Seek(0, io.SeekEnd)
	if err != nil {
		return err
	}
	block := make([]byte, 64<<10)
	for end < size {
		part := block[:min(int64(len(block)), size-end)]
		if _, err := f.WriteAt(part, end); err != nil {
			return err
		}
		end += int64(len(part))
		n.otherBytes.Add(uint64(len(part)))
	}
	n.syncs.Add(1)
	return f.Sync()
}
