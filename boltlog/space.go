package boltlog

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"sync/atomic"
	"syscall"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// A disk that is full must be noticed before anything is written that counts:
// bbolt would enlarge the file with a hole, and a page that finds no block for
// itself later, in a write or a sync, is an error that nobody can go on after.
// So the file grows here only, by written and synced zeros, before the
// transaction that needs them; that can be taken back. bbolt is told that the
// file may not be larger than it is, and so refuses a transaction that does not
// fit before it writes any of it.
//
// What is free in the file is kept in reserve, in three parts:
//
//   - for hard states: all that is in the ring can still be sealed, and so votes
//     go on for ever. Nothing else takes it, and where it is not all there no entry
//     goes into the ring.
//   - for a snapshot, which lets the log shrink, beside the one it replaces. No
//     entry takes it.
//   - for entries that are under way, and those of Raft's own.
//
// When there is less, the log is short, and says so: no new commands should be
// taken. It is no more when the file could grow again.

// errNoRoom: a transaction does not fit into the file as it is. Nothing was
// written, and nothing changed.
var errNoRoom = errors.New("the file is too small")

// layout is in which pieces a transaction stores what is large. Smaller ones
// waste more, and find room among scattered free pages.
type layout struct {
	chunk int // most bytes of a chunk's pages
	piece int // of a snapshot
}

// layouts are tried in this order. With the last any page will do, but for an
// entry that is larger than one.
var layouts = []layout{
	{chunkSize, snapshotPiece},
	{chunkSize / 4, snapshotPiece / 4},
	{pageSize, pageSize/2 - 128}, // two to a leaf: bbolt puts no fewer
}

// room is what is known of the space in the file, in pages. It belongs to the
// storage goroutine, but for what is atomic.
type room struct {
	slots    int // of the ring: what a seal may have to store
	snapshot int // pages of the stored one
	free     int // in the file
	wanted   int // by a save that did not fit, 0 for none
	short    atomic.Bool
	full     atomic.Bool // the last save did not fit
	kept     atomic.Int64

	notBefore time.Time     // of the next attempt to grow
	pause     time.Duration // until then
}

// forHardState is what only hard states may use.
func (r *room) forHardState() int { return r.slots + r.slots/4 + 8 }

// forSnapshot is what entries leave for the next one.
func (r *room) forSnapshot() int { return r.snapshot + r.snapshot/4 }

// reserve is what should be free.
func (r *room) reserve() int { return r.forHardState() + r.forSnapshot() + underWay*r.slots }

// underWay is how many rings full of entries may be under way when the log becomes
// short; with the default 1 MiB.
const underWay = 4

// step is the least by which the file grows.
func (r *room) step() int { return 4 * r.slots }

// Room says how much space the log has.
type Room struct {
	FileBytes    uint64 // size of the database
	FreeBytes    uint64 // of it, about, and not in use
	ReserveBytes uint64 // of which so many are kept for what must always work
	// Short: the reserve is broken into, and the disk has no more: no further
	// command should be taken.
	Short bool
	// Full: what was to be saved last did not even fit into the reserve. It waits.
	Full bool
}

// Room returns how much space there is. It never waits for a save.
func (l *Log) Room() Room {
	r := &l.disk.room
	return Room{
		FileBytes: l.disk.count.fileBytes.Load(), FreeBytes: l.disk.count.freeBytes.Load(),
		ReserveBytes: uint64(r.kept.Load()), Short: r.short.Load(), Full: r.full.Load(),
	}
}

// How long an attempt to grow waits for the next one, after it failed although
// there seemed to be room, as with a quota.
const (
	firstPause = time.Second
	mostPause  = time.Minute
)

// Short reports whether the log has less room than it keeps in reserve, after an
// attempt to mend that: to be asked now and then while it has. It writes only
// where the file system says that there is room.
func (l *Log) Short() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	r := &l.disk.room
	if l.closed || l.failed != nil || !r.short.Load() && !r.full.Load() {
		return r.short.Load()
	}
	if err := l.disk.provide(r.wanted + r.reserve()); err != nil {
		if !errors.Is(err, raft.ErrDiskFull) {
			l.failed = fmt.Errorf("enlarge %s: %w: %w", l.db.Path(), ErrFailed, readOnly(err))
		}
		return true
	}
	r.wanted = 0
	r.full.Store(false)
	r.short.Store(false)
	return false
}

// provide sees that so many pages are free in the file, and enlarges it if need
// be. The error is raft.ErrDiskFull where the disk has no more; any other is
// final.
func (d *disk) provide(pages int) error {
	r := &d.room
	missing := pages - r.free
	if missing <= 0 {
		return nil
	}
	err := d.grow(max(missing, r.step()))
	if errors.Is(err, raft.ErrDiskFull) && missing < r.step() {
		err = d.grow(missing)
	}
	return err
}

// grow enlarges the file by so many pages. It is not an error that counts when
// there is no room: nothing but zeros was written, and they are taken away again.
func (d *disk) grow(pages int) error {
	size := int64(d.count.fileBytes.Load())
	end := size + int64(pages)*pageSize
	if end > MaxFileSize {
		return fmt.Errorf("%w: it would have %d bytes, and the most is %d", raft.ErrDiskFull, end, MaxFileSize)
	}
	if err := d.seemsFree(end - size); err != nil {
		return err
	}
	err := d.appendZeros(size, end)
	if noSpace(err) {
		d.room.pause = min(max(2*d.room.pause, firstPause), mostPause)
		d.room.notBefore = time.Now().Add(d.room.pause)
		if cut := d.file.Truncate(size); cut != nil {
			return errors.Join(err, cut)
		}
		return fmt.Errorf("%w: %w", raft.ErrDiskFull, err)
	}
	if err != nil {
		return err
	}
	d.room.pause, d.room.notBefore = 0, time.Time{}
	d.room.free += pages
	d.count.freeBytes.Store(uint64(d.room.free) * pageSize)
	return d.measure()
}

// seemsFree asks the file system whether it has so many bytes, so that it is not
// tried in vain, at the card's expense.
func (d *disk) seemsFree(bytes int64) error {
	if wait := time.Until(d.room.notBefore); wait > 0 {
		return fmt.Errorf("%w: so it was a moment ago", raft.ErrDiskFull)
	}
	if free, err := freeBytes(filepath.Dir(d.db.Path())); err == nil && free < uint64(bytes) {
		return fmt.Errorf("%w: %d bytes are wanted and %d are free", raft.ErrDiskFull, bytes, free)
	}
	return nil
}

// freeBytes is what the file system of dir says that it has left.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	if st.Blocks == 0 {
		return 0, errors.New("the file system does not tell")
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil
}

// appendZeros writes zeros from the end of the file up to another, and makes
// them durable.
func (d *disk) appendZeros(from, to int64) error {
	if err := d.tap.asked(opGrow, from, int(to-from)); err != nil {
		return err
	}
	if end, err := d.file.Seek(0, io.SeekEnd); err != nil || end != from {
		return errors.Join(err, fmt.Errorf("the file ends at byte %d instead of %d", end, from))
	}
	if err := d.tap.asked(opSync, 0, 0); err != nil {
		return err
	}
	return zeros(d.file, to, d.count)
}

// noSpace reports whether a write, or a sync, found no room.
func noSpace(err error) bool {
	return errors.Is(err, syscall.ENOSPC) || errors.Is(err, syscall.EDQUOT) || errors.Is(err, syscall.EFBIG)
}

// readOnly adds to an error of the disk what there is to do about it, if that is
// that it takes no writes.
func readOnly(err error) error {
	if errors.Is(err, syscall.EROFS) {
		return fmt.Errorf("%w: %w", ErrReadOnly, err)
	}
	return err
}

// explained likewise, where nothing has been promised yet: then a full disk is no
// failure.
func explained(err error) error {
	switch err = readOnly(err); {
	case noSpace(err) && !errors.Is(err, raft.ErrDiskFull):
		return fmt.Errorf("%w: %w", raft.ErrDiskFull, err)
	}
	return err
}

// fitting runs a transaction that needs about so many pages, enlarging the file
// where it must. f may be run several times, with smaller and smaller pieces.
// When the disk has no room the error is raft.ErrDiskFull, and nothing changed;
// any other is final. At least so many pages are left free.
func (d *disk) fitting(pages, leave int, f func(*bolt.Tx, layout) error) (uint64, error) {
	r := &d.room
	full := d.provide(pages + r.reserve())
	switch {
	case full != nil && !errors.Is(full, raft.ErrDiskFull):
		return 0, full
	case full != nil && r.free < pages+leave:
		return 0, full
	}
	for i := 0; ; {
		written, err := d.update(func(tx *bolt.Tx) error { return f(tx, layouts[i]) })
		if !errors.Is(err, errNoRoom) {
			return written, err
		}
		// It lacks a large enough run of free pages: at the end there is one.
		switch err := d.grow(pages + r.step()); {
		case err == nil:
		case !errors.Is(err, raft.ErrDiskFull):
			return 0, err
		case i == len(layouts)-1:
			return 0, err
		default:
			i++
		}
	}
}

// countFree takes what is free in the file, after a transaction.
func (d *disk) countFree() error {
	m, err := newestMeta(d.file)
	if err != nil {
		return err
	}
	if size := d.count.fileBytes.Load(); m.pages*pageSize > size {
		return fmt.Errorf("%w: a transaction took %d pages of a file of %d bytes", ErrDamaged, m.pages, size)
	}
	s := d.db.Stats()
	// The last page cannot be used: bbolt wants one more than it takes.
	end := max(int(d.count.fileBytes.Load()/pageSize)-1, int(m.pages))
	r := &d.room
	r.free = s.FreePageN + s.PendingPageN + end - int(m.pages)
	d.count.freeBytes.Store(uint64(r.free) * pageSize)
	r.kept.Store(int64(r.reserve()) * pageSize)
	r.short.Store(r.free < r.reserve())
	return nil
}

// begin takes stock when a database was read. What lies behind all that is known
// to have blocks is of an attempt to grow that did not come to its end, and may
// be a hole.
func (d *disk) begin(c *content, slots int) error {
	d.room.slots = slots
	if s := c.stored.Snapshot; s != nil {
		d.room.snapshot = snapshotPages(len(s.Data))
	}
	m, err := newestMeta(d.file)
	if err != nil {
		return err
	}
	known := max(c.ring.FileBytes, m.pages*pageSize)
	if size := d.count.fileBytes.Load(); size > known {
		if err := d.file.Truncate(int64(known)); err != nil {
			return err
		}
		d.count.fileBytes.Store(known)
	}
	return d.countFree()
}
