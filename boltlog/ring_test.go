package boltlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// done is an operation that was seen by a tap.
type done struct {
	op  operation
	off int64
	n   int
}

// watched opens dir and returns where all operations are listed.
func watched(t testing.TB, dir string, opt Options) (*Log, Opened, *[]done) {
	t.Helper()
	list := new([]done)
	opt.tap = func(op operation, off int64, n int) error {
		*list = append(*list, done{op, off, n})
		return nil
	}
	l, opened, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, opened, list
}

// sized is home with a ring of so many slots.
func sized(slots int) Options {
	return Options{ClusterName: "home", RingSize: slots * sectorSize, Preallocate: 6*slots*sectorSize + 192<<10}
}

// TestASaveIsOneWriteAndOneSync: the promise that all of this is for.
func TestASaveIsOneWriteAndOneSync(t *testing.T) {
	l, _, ops := watched(t, t.TempDir(), sized(64))
	for _, c := range []struct {
		name    string
		s       raft.Save
		sectors int
	}{
		{"an entry", raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 1)}, 1},
		{"a vote alone", raft.Save{State: raft.HardState{Term: 2, Vote: "aaaaaaaaaaaaaaaa"}}, 1},
		{"16 entries", raft.Save{State: raft.HardState{Term: 2}, Entries: commands(2, 2, 17)}, 1},
		{"a conflict", raft.Save{State: raft.HardState{Term: 3}, Entries: commands(3, 9, 9)}, 1},
		{"more than a sector", raft.Save{State: raft.HardState{Term: 3}, Entries: commands(3, 10, 260)}, 3},
	} {
		before := l.Stats()
		*ops = (*ops)[:0]
		off := l.ring.offset(l.ring.next)
		save(t, l, c.s)
		want := []done{{opWrite, off, c.sectors * sectorSize}, {opSync, 0, 0}}
		if !reflect.DeepEqual(*ops, want) || off%pageSize != 0 {
			t.Errorf("%s: %v, want %v", c.name, *ops, want)
		}
		after := l.Stats()
		if n := after.LogBytes - before.LogBytes; n != uint64(c.sectors*sectorSize) {
			t.Errorf("%s: %d bytes are counted", c.name, n)
		}
		if after.Syncs-before.Syncs != 1 || after.RingWrites-before.RingWrites != 1 || after.Seals != before.Seals {
			t.Errorf("%s: %+v, then %+v", c.name, before, after)
		}
	}
}

// TestNoSectorIsWrittenTwice until a transaction has put its content elsewhere:
// what is being written when the power is cut can become anything.
func TestNoSectorIsWrittenTwice(t *testing.T) {
	l, _, ops := watched(t, t.TempDir(), home)
	*ops = (*ops)[:0]
	var next raft.Index = 1
	for i := range 200 {
		n := raft.Index(1 + i%70)
		save(t, l, raft.Save{State: raft.HardState{Term: 1, Commit: next - 1}, Entries: commands(1, next, next+n-1)})
		next += n
	}
	mustClose(t, l)
	written := make(map[int64]bool)
	commits := 0
	from, to := l.ring.offset(firstSlot), l.ring.offset(l.ring.slots)
	for i, d := range *ops {
		switch d.op {
		case opCommit:
			commits++
			clear(written)
		case opWrite:
			if i+1 == len(*ops) || (*ops)[i+1].op != opSync {
				t.Fatalf("operation %d is not followed by a sync", i)
			}
			for off := d.off; off < d.off+int64(d.n); off += sectorSize {
				if written[off] || off < from || off >= to {
					t.Fatalf("operation %d writes at %d, again or outside", i, off)
				}
				written[off] = true
			}
		}
	}
	if commits < 20 {
		t.Errorf("only %d transactions: does the ring ever fill?", commits)
	}
}

// TestOpenSyncsFirst: before anything is written, what a crash left in the page
// cache must be durable, and before the first save a new epoch.
func TestOpenSyncsFirst(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 1)})
	epoch := l.ring.epoch
	mustClose(t, l)
	l, _, ops := watched(t, dir, home)
	if want := []done{{opSync, 0, 0}, {opWrite, l.ring.offset(bootSlot), sectorSize}, {opCommit, 0, 0}}; !reflect.DeepEqual(*ops, want) {
		t.Errorf("%v, want %v", *ops, want)
	}
	if l.ring.epoch != epoch+1 || l.Stats().Seals != 1 {
		t.Errorf("epoch %d, then %d", epoch, l.ring.epoch)
	}
}

// TestARingThatMovedIsFatal: bbolt moves a value when its bucket is written to.
func TestARingThatMovedIsFatal(t *testing.T) {
	for name, move := range map[string]func(*bolt.Bucket) error{
		"the same value": func(b *bolt.Bucket) error {
			return b.Put(keyRing, append([]byte(nil), b.Get(keyRing)...))
		},
		"a sequence": func(b *bolt.Bucket) error { _, err := b.NextSequence(); return err },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, _ := open(t, dir)
			if err := l.db.Update(func(tx *bolt.Tx) error { return move(tx.Bucket(bucketRing)) }); err != nil {
				t.Fatal(err)
			}
			s := raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 1)}
			s.Entries[0].Data = make([]byte, home.RingSize)
			if err := l.Save(s); !errors.Is(err, ErrFailed) || !errors.Is(err, ErrDamaged) {
				t.Fatalf("error %v", err)
			}
			if err := l.Save(raft.Save{}); !errors.Is(err, ErrFailed) {
				t.Errorf("the next save: %v", err)
			}
		})
	}
}

// TestARingInAnotherPlaceIsRefused: the head must be where the sectors' place is
// computed from, and be this ring's.
func TestARingInAnotherPlaceIsRefused(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	head := l.ring.offset(0) - pageSize + valueStart
	mustClose(t, l)
	for name, at := range map[string]int64{"magic": head, "ID": head + int64(len(ringMagic)), "rest": head + ringHead - 1} {
		t.Run(name, func(t *testing.T) {
			to := harmed(t, dir, func(b []byte) []byte { b[at] ^= 1; return b })
			if name == "rest" { // zeros that say nothing
				open(t, to)
				return
			}
			refuses(t, to, home, ErrDamaged)
		})
	}
	for name, change := range map[string]func(*bolt.Bucket) error{
		"a second key": func(b *bolt.Bucket) error { return b.Put([]byte("s"), []byte("value")) },
		"no value":     func(b *bolt.Bucket) error { return b.Delete(keyRing) },
		"a short one":  func(b *bolt.Bucket) error { return b.Put(keyRing, make([]byte, ringHead+5)) },
		"a small one":  func(b *bolt.Bucket) error { return b.Put(keyRing, make([]byte, ringHead+sectorSize)) },
		"a sequence":   func(b *bolt.Bucket) error { return b.SetSequence(7) },
	} {
		t.Run(name, func(t *testing.T) {
			to := copyDir(t, dir)
			l, _ := open(t, to)
			if err := l.db.Update(func(tx *bolt.Tx) error { return change(tx.Bucket(bucketRing)) }); err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			refuses(t, to, home, ErrDamaged)
		})
	}
}

// TestTheRootStaysInOnePage with names and numbers as long as they can be, and
// sealing notices when it does not.
func TestTheRootStaysInOnePage(t *testing.T) {
	opt := sized(8)
	for range maxClusterName - len(opt.ClusterName) {
		opt.ClusterName += "x"
	}
	l, _, err := Open(t.TempDir(), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const huge = 1<<64 - 1000
	state := raft.HardState{Cluster: raft.ClusterID{1}, Term: huge, Vote: "aaaaaaaaaaaaaaaa"}
	var next raft.Index = 1
	for range 30 {
		save(t, l, raft.Save{State: state, Entries: commands(huge, next, next+499)})
		next += 500
	}
	err = l.db.Update(func(tx *bolt.Tx) error {
		for i := range 5 {
			b, err := tx.CreateBucket(fmt.Appendf(nil, "other %d", i))
			if err != nil {
				return err
			}
			if err := b.Put([]byte("x"), make([]byte, 950)); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	if err := l.Save(raft.Save{State: state, Entries: commands(huge, next, next+4000)}); !errors.Is(err, ErrFailed) {
		t.Errorf("error %v", err)
	}
}

// TestTheFileIsPreallocated with blocks that were written, in pages of the one
// size, and does not grow for an ordinary log.
func TestTheFileIsPreallocated(t *testing.T) {
	dir := t.TempDir()
	l, _, err := Open(dir, Options{ClusterName: "home"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	var next raft.Index = 1
	for range 200 {
		save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, next, next+199)})
		next += 200
	}
	info, err := os.Stat(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	stats := l.Stats()
	if info.Size() != DefaultPreallocation || stats.FileBytes != DefaultPreallocation || stats.Growths != 0 {
		t.Errorf("%d bytes; %+v", info.Size(), stats)
	}
	if allocated := info.Sys().(*syscall.Stat_t).Blocks * 512; allocated < DefaultPreallocation {
		t.Errorf("only %d bytes have blocks", allocated)
	}
	if m, err := newestMeta(l.file); err != nil || m.pageSize != 4096 || l.db.MaxSize != DefaultPreallocation || l.db.AllocSize != 0 {
		t.Errorf("pages of %d, bbolt may use %d bytes, and take %d more, %v", m.pageSize, l.db.MaxSize, l.db.AllocSize, err)
	}
	if o := boltOptions(nil); o.PageSize != 4096 || o.MaxSize != MaxFileSize || !o.NoFreelistSync || o.NoSync || o.NoGrowSync {
		t.Errorf("%+v", o)
	}
	if l.ring.slots*sectorSize != DefaultRingSize {
		t.Errorf("a ring of %d slots", l.ring.slots)
	}
}

// TestTheDatabaseGetsItsNameLast: until all of it is there it has another one.
func TestTheDatabaseGetsItsNameLast(t *testing.T) {
	dir := t.TempDir()
	path, commits := filepath.Join(dir, databaseName), 0
	opt := home
	opt.tap = func(op operation, _ int64, _ int) error {
		if commits++; op != opCommit || commits > 1 {
			return nil
		}
		if _, err := os.Stat(path); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("there is one before its first transaction: %v", err)
		}
		if info, err := os.Stat(path + newSuffix); err != nil || info.Size() != int64(opt.Preallocate) {
			t.Errorf("the one under construction: %v, %v", info, err)
		}
		return syscall.ENOSPC
	}
	refuses(t, dir, opt, syscall.ENOSPC)
	if names, err := os.ReadDir(dir); err != nil || len(names) != 0 {
		t.Errorf("what failed is still there: %v, %v", names, err)
	}
	open(t, dir)
}

// TestGrowthIsCounted, since it should not happen.
func TestGrowthIsCounted(t *testing.T) {
	l, _ := open(t, t.TempDir())
	large := commands(1, 1, 1)
	large[0].Data = make([]byte, 1<<20)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: large})
	if s := l.Stats(); s.Growths != 1 || s.FileBytes <= uint64(home.Preallocate) {
		t.Errorf("%+v", s)
	}
}

// TestTheFileKeepsItsRing whatever the options say later.
func TestTheFileKeepsItsRing(t *testing.T) {
	dir := t.TempDir()
	l, _, _ := watched(t, dir, sized(5))
	mustClose(t, l)
	l, _, _ = watched(t, dir, sized(50))
	if l.ring.slots != 5 {
		t.Errorf("%d slots", l.ring.slots)
	}
}

// TestASaveAllocatesLittle: its buffers are used again. What is left is the
// encoder's.
func TestASaveAllocatesLittle(t *testing.T) {
	l, _, err := Open(t.TempDir(), Options{ClusterName: "home"})
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	const runs = 40 // and no transaction among them
	entries := commands(1, 1, runs+1)
	i := 0
	n := testing.AllocsPerRun(runs, func() {
		save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: entries[i : i+1]})
		i++
	})
	if n > 8 {
		t.Errorf("%v allocations in a save of one entry", n)
	}
}
