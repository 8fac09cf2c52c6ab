package boltlog

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"syscall"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// inspectDir inspects dir, and holds that its files stay as they are.
func inspectDir(t testing.TB, dir string) (Inspection, error) {
	t.Helper()
	read := func() []byte {
		b, err := os.ReadFile(filepath.Join(dir, databaseName))
		if err != nil && !errors.Is(err, fs.ErrNotExist) {
			t.Fatal(err)
		}
		return b
	}
	before := read()
	in, err := Inspect(context.Background(), dir)
	if !bytes.Equal(before, read()) {
		t.Error("Inspect changed the file")
	}
	return in, err
}

func TestInspectAgreesWithOpen(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	dir := t.TempDir()
	l, first := open(t, dir)
	var model raft.Stored
	for i := range 60 {
		s := randomSave(r, model)
		apply(&model, s)
		save(t, l, s)
		in, err := inspectDir(t, dir) // the log is open, and locked
		if err != nil || len(in.Notes) > 0 {
			t.Fatalf("save %d: %v, %q", i, err, in.Notes)
		}
		if !reflect.DeepEqual(in.Stored, model) || !reflect.DeepEqual(in.Identity, first.Identity) || in.Format != format {
			t.Fatalf("save %d: %+v; %s", i, in.Identity, difference(in.Stored, model))
		}
		if in.RingUsed != l.ring.next-firstSlot || in.RingSlots != l.ring.slots-firstSlot || in.Epoch != l.ring.epoch {
			t.Fatalf("save %d: the ring is %d of %d in epoch %d, want %d of %d in epoch %d", i,
				in.RingUsed, in.RingSlots, in.Epoch, l.ring.next-firstSlot, l.ring.slots-firstSlot, l.ring.epoch)
		}
	}
	mustClose(t, l)
	if in, err := inspectDir(t, dir); err != nil || !reflect.DeepEqual(in.Stored, model) {
		t.Errorf("stopped: %v; %s", err, difference(in.Stored, model))
	}
}

// TestInspectWhileSaving puts saves between the reads of a single look, many or
// few, and no transaction: the look sees a state that was there.
func TestInspectWhileSaving(t *testing.T) {
	opt := home
	opt.RingSize, opt.Preallocate = 256*sectorSize, 2<<20
	r := rand.New(rand.NewPCG(11, 12))
	for round := range 16 {
		size := 1 + round%2*2*sectorRoom // one sector, or three
		l, _, err := Open(t.TempDir(), opt)
		if err != nil {
			t.Fatal(err)
		}
		defer l.Close()
		add := func() {
			if i := l.last + 1; l.ring.holds(3 * sectorRoom) {
				save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: entriesOf(1, i, i, size)})
			}
		}
		add()
		from := fileOf(l)
		from.ReaderAt = beforeEach{l.file, func() {
			for range max(0, r.IntN(900)-860) {
				add()
			}
		}}
		in, err := look(from)
		if err != nil {
			t.Fatal(err)
		}
		n := raft.Index(len(in.Stored.Entries))
		if n < 1 || n > l.last || l.Stats().Seals != 1 {
			t.Fatalf("%d entries of %d; %d seals", n, l.last, l.Stats().Seals)
		}
		if want := entriesOf(1, 1, n, size); !reflect.DeepEqual(in.Stored.Entries, want) {
			t.Error("the entries are others")
		}
	}
}

// TestInspectWhileSealing puts a transaction before each read of a look, in
// turn: the look is of the state after it, or has to be repeated.
func TestInspectWhileSealing(t *testing.T) {
	l, _ := open(t, t.TempDir())
	changed, whole := 0, 0
	for at := 0; ; at++ {
		n := 0
		from := fileOf(l)
		from.ReaderAt = beforeEach{l.file, func() {
			if n++; n != at+1 {
				return
			}
			for seals := l.Stats().Seals; l.Stats().Seals < seals+3; { // so that pages are used again
				i := l.last + 1
				save(t, l, raft.Save{State: raft.HardState{Term: 1, Commit: i}, Entries: entriesOf(1, i, i, 900)})
			}
			s := raft.Save{State: raft.HardState{Term: 1, Commit: l.last}, First: l.last - 3, Snapshot: snapshotAt(l.last)}
			save(t, l, s)
		}}
		in, err := look(from)
		switch {
		case errors.Is(err, errChanged):
			changed++
		case err != nil:
			t.Fatalf("read %d: %v", at, err)
		default:
			whole++
			es := in.Stored.Entries
			if len(es) > 0 && !reflect.DeepEqual(es, entriesOf(1, es[0].Index, es[len(es)-1].Index, 900)) {
				t.Fatalf("read %d: the entries are others", at)
			}
		}
		if at > n {
			break
		}
	}
	if changed < 10 || whole == 0 {
		t.Errorf("%d looks had to be repeated, %d not", changed, whole)
	}
	// One that is never still ends, and says why.
	from, n := fileOf(l), 0
	from.ReaderAt = beforeEach{l.file, func() {
		if n++; n%4 != 0 { // a look has more reads than that
			return
		}
		save(t, l, raft.Save{State: raft.HardState{Term: 1, Commit: l.last}, First: l.last, Snapshot: snapshotAt(l.last)})
	}}
	if _, err := lookUntilStill(context.Background(), from); !errors.Is(err, ErrBusy) {
		t.Errorf("error %v", err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if _, err := lookUntilStill(ctx, from); !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
}

func snapshotAt(i raft.Index) *raft.Snapshot {
	s := &raft.Snapshot{
		Index: i, Term: 1, ConfigIndex: 1, Data: bytes.Repeat([]byte("s"), 5000),
		Config: &raft.Configuration{Members: []raft.Member{{ID: raft.NodeIDFrom([10]byte{1}), Name: "a", Role: raft.Voter}}},
	}
	s.Sum = crc32.Checksum(s.Data, castagnoli)
	return s
}

func fileOf(l *Log) file {
	return file{l.file, func() (int64, error) {
		info, err := l.file.Stat()
		return info.Size(), err
	}}
}

// beforeEach does something before each read.
type beforeEach struct {
	io.ReaderAt
	do func()
}

func (b beforeEach) ReadAt(p []byte, off int64) (int, error) {
	b.do()
	return b.ReaderAt.ReadAt(p, off)
}

// TestInspectBesideASaver is the same with a goroutine that saves.
func TestInspectBesideASaver(t *testing.T) {
	dir, opt := t.TempDir(), home
	opt.RingSize, opt.Preallocate = 64*sectorSize, 1<<20
	l, _, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	ctx, stop := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() {
		for i := raft.Index(1); ctx.Err() == nil; i++ {
			if err := l.Save(raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, i, i)}); err != nil {
				done <- err
				return
			}
		}
		done <- nil
	}()
	last, whole := 0, 0
	for range 20 {
		in, err := Inspect(context.Background(), dir)
		if errors.Is(err, ErrBusy) {
			continue
		}
		if err != nil {
			t.Error(err)
			break
		}
		whole++
		n := len(in.Stored.Entries)
		if n < last {
			t.Errorf("%d entries after %d", n, last)
		}
		if last = n; n > 0 && !reflect.DeepEqual(in.Stored.Entries, commands(1, 1, raft.Index(n))) {
			t.Error("the entries are others")
		}
	}
	stop()
	if err := <-done; err != nil || whole == 0 {
		t.Errorf("%v; %d whole looks", err, whole)
	}
}

func TestInspectTornSave(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 3)})
	at := l.ring.offset(l.ring.next)
	torn := copyDir(t, dir)
	f, err := os.OpenFile(filepath.Join(torn, databaseName), os.O_RDWR, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteAt(l.ring.sectors(raft.HardState{Term: 1}, nil, []byte("part"))[:512], at); err != nil {
		t.Fatal(err)
	}
	if _, err := f.WriteAt([]byte("!"), at+40); err != nil {
		t.Fatal(err)
	}
	in, err := inspectDir(t, torn)
	if err != nil || len(in.Stored.Entries) != 3 || len(in.Notes) != 1 || !strings.Contains(in.Notes[0], "Sector 2 of the ring") {
		t.Errorf("%v, %d entries, %q", err, len(in.Stored.Entries), in.Notes)
	}
	if _, err := f.WriteAt(bytes.Repeat([]byte("x"), pageSize), 0); err != nil {
		t.Fatal(err)
	}
	if in, err := inspectDir(t, torn); err != nil || len(in.Notes) != 2 || !strings.Contains(in.Notes[0], "Meta page 0") {
		t.Errorf("%v, %q", err, in.Notes)
	}
}

// TestInspectDamage holds that Inspect finds what Open finds, and no more, but
// for what was counted.
func TestInspectDamage(t *testing.T) {
	dir, _ := filled(t)
	whole, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(9, 9))
	found := 0
	for range 300 {
		at, noise := r.IntN(len(whole)), r.IntN(20) == 0
		if r.IntN(3) > 0 {
			at = at/pageSize*pageSize + r.IntN(200)
		}
		bit := byte(1) << r.IntN(8)
		to := harmed(t, dir, func(b []byte) []byte {
			if b[at] ^= bit; noise {
				for i := at; i < min(at+pageSize, len(b)); i++ {
					b[i] = byte(r.Uint32())
				}
			}
			return b
		})
		in, got := inspectDir(t, to)
		l, opened, want := Open(to, home)
		if want == nil {
			mustClose(t, l)
		}
		switch {
		case want != nil && (got == nil || errors.Is(got, ErrDamaged) != errors.Is(want, ErrDamaged)):
			t.Errorf("byte %d, bit %08b: Inspect says %v, Open %v", at, bit, got, want)
		case want == nil && got != nil && !strings.Contains(got.Error(), "the counts of what was written"):
			t.Errorf("byte %d, bit %08b: Inspect says %v, and Open nothing", at, bit, got)
		case want == nil && !reflect.DeepEqual(in.Stored, opened.Stored):
			t.Errorf("byte %d, bit %08b: %s", at, bit, difference(in.Stored, opened.Stored))
		}
		if got != nil {
			found++
		}
	}
	if found < 10 { // much of the file is free
		t.Errorf("only %d of 300 were found", found)
	}
}

func TestInspectRefuses(t *testing.T) {
	dir, _ := filled(t)
	path := func(dir string) string { return filepath.Join(dir, databaseName) }
	for name, c := range map[string]struct {
		spoil func(dir string) error
		want  error
	}{
		"nothing there": {func(dir string) error {
			return errors.Join(os.Remove(path(dir)), os.Remove(filepath.Join(dir, identityName)))
		}, fs.ErrNotExist},
		"lost":  {func(dir string) error { return os.Remove(path(dir)) }, ErrLostDatabase},
		"empty": {func(dir string) error { return os.Truncate(path(dir), 0) }, ErrLostDatabase},
		"short": {func(dir string) error { return os.Truncate(path(dir), 100) }, ErrDamaged},
		"vast":  {func(dir string) error { return os.Truncate(path(dir), 1<<40) }, ErrDamaged},
		"a pipe": {func(dir string) error {
			return errors.Join(os.Remove(path(dir)), syscall.Mkfifo(path(dir), 0o600))
		}, ErrDamaged},
		"another device": {func(dir string) error {
			return os.WriteFile(filepath.Join(dir, identityName), []byte(`{"version":1,"id":"aaaaaaaaaaaaaaaa"}`), 0o600)
		}, ErrOtherDevice},
		"a newer format": {func(dir string) error {
			return change(dir, func(b *bolt.Bucket) error { return b.Put(keyFormat, []byte{9, 0xff - 9}) })
		}, ErrVersion},
	} {
		to := copyDir(t, dir)
		if err := c.spoil(to); err != nil {
			t.Fatal(err)
		}
		if _, err := Inspect(context.Background(), to); !errors.Is(err, c.want) || !strings.Contains(err.Error(), to) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	to := copyDir(t, dir)
	if err := os.Remove(filepath.Join(to, identityName)); err != nil {
		t.Fatal(err)
	}
	if in, err := inspectDir(t, to); err != nil || len(in.Notes) != 1 || !strings.Contains(in.Notes[0], identityName) {
		t.Errorf("without its identity file: %v, %q", err, in.Notes)
	}
}

// change changes the bucket "state" of a closed database.
func change(dir string, f func(*bolt.Bucket) error) error {
	opt := boltOptions(nil)
	opt.OpenFile = nil
	db, err := bolt.Open(filepath.Join(dir, databaseName), 0o600, opt)
	if err != nil {
		return err
	}
	return errors.Join(db.Update(func(tx *bolt.Tx) error { return f(tx.Bucket(bucketState)) }), db.Close())
}

func TestCopierReadsBackwards(t *testing.T) {
	src := make([]byte, 5*pageSize)
	for i := range src {
		src[i] = byte(rand.Uint32())
	}
	var seen []string
	to, err := os.CreateTemp(t.TempDir(), "")
	if err != nil {
		t.Fatal(err)
	}
	defer to.Close()
	c := copier{from: recorder{bytes.NewReader(src), &seen}, to: to}
	b := make([]byte, 2*pageSize+300)
	if _, err := c.ReadAt(b, pageSize-100); err != nil || !bytes.Equal(b, src[pageSize-100:][:len(b)]) {
		t.Errorf("%v, or other bytes", err)
	}
	if got, want := strings.Join(seen, " "), "12288+200 8192+4096 4096+4096 3996+100"; got != want {
		t.Errorf("read %s, want %s", got, want)
	}
	copied := make([]byte, len(b))
	if _, err := to.ReadAt(copied, pageSize-100); err != nil || !bytes.Equal(b, copied) {
		t.Errorf("%v, or other bytes in the copy", err)
	}
}

type recorder struct {
	io.ReaderAt
	seen *[]string
}

func (r recorder) ReadAt(p []byte, off int64) (int, error) {
	*r.seen = append(*r.seen, fmt.Sprintf("%d+%d", off, len(p)))
	return r.ReaderAt.ReadAt(p, off)
}
