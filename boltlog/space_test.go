package boltlog

import (
	"crypto/sha256"
	"errors"
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// fullDisk is a disk on which files cannot grow while it is full.
type fullDisk struct {
	full  bool
	grows int // attempts
}

func (d *fullDisk) options(slots int) Options {
	opt := sized(slots)
	opt.tap = func(op operation, _ int64, _ int) error {
		if op != opGrow {
			return nil
		}
		if d.grows++; d.full {
			return syscall.ENOSPC
		}
		return nil
	}
	return opt
}

// room says that there is some, to l at once and not after a pause.
func (d *fullDisk) room(l *Log) {
	d.full = false
	l.disk.room.notBefore = time.Time{}
}

func contentOf(t *testing.T, dir string) [sha256.Size]byte {
	t.Helper()
	b, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	return sha256.Sum256(b)
}

// fill saves entries until the disk is full, and returns what was stored, and the
// save that did not fit.
func fill(t *testing.T, l *Log, model raft.Stored, data int) (raft.Stored, raft.Save) {
	t.Helper()
	for range 10_000 {
		next := raft.Index(1)
		if n := len(model.Entries); n > 0 {
			next = model.Entries[n-1].Index + 1
		} else if model.Snapshot != nil {
			next = model.Snapshot.Index + 1
		}
		s := raft.Save{State: model.State, Entries: commands(model.State.Term, next, next+2), First: 1}
		for i := range s.Entries {
			s.Entries[i].Data = make([]byte, data)
		}
		s.State.Commit = next + 2
		err := l.Save(s)
		if errors.Is(err, raft.ErrDiskFull) {
			return model, s
		}
		if err != nil {
			t.Fatal(err)
		}
		apply(&model, s)
	}
	t.Fatal("the disk is never full")
	return model, raft.Save{}
}

// TestDiskFullIsAMode: what does not fit changes nothing, however often it is
// tried; votes go on without end, over restarts too; what was acknowledged is
// there; and when there is room all goes on.
func TestDiskFullIsAMode(t *testing.T) {
	for _, data := range []int{10, 700, 5000, 50_000} {
		t.Run(fmt.Sprint(data), func(t *testing.T) {
			disk, dir := &fullDisk{}, t.TempDir()
			opt := disk.options(16)
			l, _, err := Open(dir, opt)
			if err != nil {
				t.Fatal(err)
			}
			if r := l.Room(); r.Short || r.Full || l.Short() {
				t.Errorf("at first: %+v", r)
			}
			disk.full = true
			model, more := fill(t, l, raft.Stored{State: raft.HardState{Term: 1}}, data)
			before := contentOf(t, dir)
			for range 3 {
				if err := l.Save(more); !errors.Is(err, raft.ErrDiskFull) || errors.Is(err, ErrFailed) {
					t.Fatalf("error %v", err)
				}
			}
			if contentOf(t, dir) != before {
				t.Error("a save that did not fit changed the file")
			}
			if r := l.Room(); !r.Short || !r.Full || !l.Short() {
				t.Errorf("when it is full: %+v", r)
			}
			for round := range 3 {
				for range 60 {
					model.State.Term++
					vote := raft.Save{State: model.State}
					vote.State.Commit += 3 // of entries that could not be stored
					save(t, l, vote)
				}
				if round == 1 {
					mustClose(t, l)
				} // else killed
				var got Opened
				l, got = again(t, l, dir, opt)
				if !reflect.DeepEqual(got.Stored, model) {
					t.Fatal(difference(got.Stored, model))
				}
			}
			model, more = fill(t, l, model, data) // the ring is empty again
			disk.room(l)
			if l.Short() {
				t.Errorf("when there is room: %+v", l.Room())
			}
			if r := l.Room(); r.FreeBytes < r.ReserveBytes {
				t.Errorf("the file grew, and yet: %+v", r)
			}
			save(t, l, more)
			apply(&model, more)
			if r := l.Room(); r.Full || r.Short {
				t.Errorf("after that: %+v", r)
			}
			l, got := again(t, l, dir, opt)
			if !reflect.DeepEqual(got.Stored, model) {
				t.Error(difference(got.Stored, model))
			}
			mustClose(t, l)
		})
	}
}

// again opens the database anew, as after a kill if l is not closed.
func again(t *testing.T, l *Log, dir string, opt Options) (*Log, Opened) {
	t.Helper()
	l.mu.Lock()
	if !l.closed { // without a farewell
		l.closed = true
		if err := errors.Join(l.db.Close(), l.lock.Close()); err != nil {
			t.Fatal(err)
		}
	}
	l.mu.Unlock()
	l, opened, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, opened
}

// TestASnapshotMakesRoom: on a full disk the log can still be shortened, and then
// takes entries again, without a byte more of the disk.
func TestASnapshotMakesRoom(t *testing.T) {
	disk, dir := &fullDisk{}, t.TempDir()
	opt := disk.options(16)
	l, _, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	model := raft.Stored{State: raft.HardState{Term: 1}}
	first := raft.Save{State: raft.HardState{Term: 1, Commit: 1}, Entries: commands(1, 1, 1)}
	save(t, l, first)
	apply(&model, first)
	snap := snapshotSave(model, 100_000) // from here on so much is kept for the next
	save(t, l, snap)
	apply(&model, snap)
	disk.full = true
	size := l.Stats().FileBytes
	for range 5 {
		model, _ = fill(t, l, model, 700)
		snap := snapshotSave(model, 110_000)
		save(t, l, snap)
		apply(&model, snap)
		if l.Short() {
			t.Errorf("after a snapshot: %+v", l.Room())
		}
	}
	if now := l.Stats().FileBytes; now != size {
		t.Errorf("%d bytes became %d", size, now)
	}
	l, got := again(t, l, dir, opt)
	if !reflect.DeepEqual(got.Stored, model) {
		t.Error(difference(got.Stored, model))
	}
	mustClose(t, l)
}

// snapshotSave is that of a snapshot of everything, of so many bytes.
func snapshotSave(model raft.Stored, size int) raft.Save {
	s := snapshotAt(model.State.Commit)
	s.Data = make([]byte, size)
	s.Sum, s.Term = crc32.Checksum(s.Data, castagnoli), model.State.Term
	return raft.Save{State: model.State, Snapshot: s, First: s.Index + 1}
}

// TestRandomSavesOnAFullDisk: whatever the free pages look like, hard states are
// stored, and what is refused is as if it had not been tried.
func TestRandomSavesOnAFullDisk(t *testing.T) {
	for seed := range uint64(4) {
		r := rand.New(rand.NewPCG(seed, 9))
		disk, dir := &fullDisk{}, t.TempDir()
		opt := disk.options(4 + r.IntN(12))
		l, _, err := Open(dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		var model raft.Stored
		refused := 0
		for i := range 400 {
			if i%50 == 0 {
				disk.full = i%100 == 0
				l.disk.room.notBefore = time.Time{}
			}
			s := randomSave(r, model)
			for k := range s.Entries {
				if r.IntN(10) == 0 && s.Entries[k].Kind == raft.EntryCommand {
					s.Entries[k].Data = make([]byte, r.IntN(20_000))
				}
			}
			switch err := l.Save(s); {
			case err == nil:
				apply(&model, s)
			case errors.Is(err, raft.ErrDiskFull) && disk.full:
				refused++
				alone := raft.Save{State: s.State}
				save(t, l, alone)
				alone.State.Commit = min(s.State.Commit, l.last)
				apply(&model, alone)
			default:
				t.Fatalf("seed %d, save %d: %v", seed, i, err)
			}
			if r.IntN(60) == 0 {
				var got Opened
				if l, got = again(t, l, dir, opt); !reflect.DeepEqual(got.Stored, model) {
					t.Fatalf("seed %d, save %d: %s", seed, i, difference(got.Stored, model))
				}
			}
		}
		mustClose(t, l)
		if seed == 0 && refused == 0 {
			t.Error("nothing was refused: is the disk ever full?")
		}
	}
}

// TestGrowthHasBlocks: the file never becomes larger than what has blocks, or a
// write could fail later that nobody can go on after.
func TestGrowthHasBlocks(t *testing.T) {
	disk, dir := &fullDisk{}, t.TempDir()
	l, _, err := Open(dir, disk.options(8))
	if err != nil {
		t.Fatal(err)
	}
	for i := range raft.Index(20) {
		large := commands(1, i+1, i+1)
		large[0].Data = make([]byte, 100_000)
		save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: large})
		info, err := os.Stat(filepath.Join(dir, databaseName))
		if err != nil {
			t.Fatal(err)
		}
		m, err := newestMeta(l.file)
		if err != nil {
			t.Fatal(err)
		}
		if blocks := info.Sys().(*syscall.Stat_t).Blocks * 512; blocks < info.Size() || int64(m.pages)*pageSize > info.Size() {
			t.Fatalf("after %d saves %d bytes, %d in blocks, %d pages in use", i+1, info.Size(), blocks, m.pages)
		}
	}
	if s := l.Stats(); s.Growths == 0 || int(s.Growths) != disk.grows {
		t.Errorf("%d times larger, %d attempts", s.Growths, disk.grows)
	}
	mustClose(t, l)
}

// TestUnfinishedGrowthIsCut: what a power cut left of an attempt to grow may be a
// hole, and is not taken for room.
func TestUnfinishedGrowthIsCut(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	mustClose(t, l)
	path := filepath.Join(dir, databaseName)
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(path, info.Size()+1<<20); err != nil {
		t.Fatal(err)
	}
	l, _ = open(t, dir)
	defer mustClose(t, l)
	if now, err := os.Stat(path); err != nil || now.Size() != info.Size() || l.Stats().FileBytes != uint64(info.Size()) {
		t.Errorf("%d bytes, %v; before %d", now.Size(), err, info.Size())
	}
}

// TestReadOnlyFileSystem is said, with what to do, and final.
func TestReadOnlyFileSystem(t *testing.T) {
	dir := t.TempDir()
	opt, ro := home, false
	opt.tap = func(operation, int64, int) error {
		if ro {
			return syscall.EROFS
		}
		return nil
	}
	l, _, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	ro = true
	err = l.Save(raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 1)})
	if !errors.Is(err, ErrReadOnly) || !errors.Is(err, ErrFailed) {
		t.Errorf("error %v", err)
	}
	ro = false
	if again := l.Save(raft.Save{State: raft.HardState{Term: 1}}); again != err {
		t.Errorf("then %v", again)
	}
	mustClose(t, l)
	ro = true
	refuses(t, dir, opt, ErrReadOnly)
}

// TestATransactionThatDoesNotFit is refused before any of it is written, and leaves
// what it found: that is what growing beforehand rests on.
func TestATransactionThatDoesNotFit(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 3)})
	before := contentOf(t, dir)
	for range 3 {
		_, err := l.disk.update(func(tx *bolt.Tx) error {
			return tx.Bucket(bucketChunks).Put([]byte("too large"), make([]byte, home.Preallocate))
		})
		if !errors.Is(err, errNoRoom) || contentOf(t, dir) != before {
			t.Fatalf("error %v; the file changed: %v", err, contentOf(t, dir) != before)
		}
	}
	var next raft.Index = 4
	for range 50 {
		save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, next, next+9)})
		next += 10
	}
	l, got := again(t, l, dir, home)
	if n := len(got.Stored.Entries); n != int(next)-1 {
		t.Errorf("%d entries are stored of %d", n, next-1)
	}
	mustClose(t, l)
}
