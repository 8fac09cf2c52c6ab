package boltlog

import (
	"errors"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// A snapshot whose data, or a piece of it, is damaged or missing is an error
// and never served.
func TestADamagedSnapshotIsRefused(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 1))
	snap := randomSnapshot(r, 10, 1)
	snap.Data = make([]byte, 3*snapshotPiece)
	for name, damage := range map[string]func(*bolt.Bucket) error{
		"a bit": func(b *bolt.Bucket) error {
			return b.Put(pieceKey(1), append([]byte{1}, snap.Data[:snapshotPiece-1]...))
		},
		"a missing piece": func(b *bolt.Bucket) error { return b.Delete(pieceKey(2)) },
		"a longer piece":  func(b *bolt.Bucket) error { return b.Put(pieceKey(2), make([]byte, snapshotPiece+1)) },
		"no head":         func(b *bolt.Bucket) error { return b.Delete(keyHead) },
		"a damaged head":  func(b *bolt.Bucket) error { return b.Put(keyHead, []byte("head")) },
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, _ := open(t, dir)
			s := *snap
			s.Sum = crc32.Checksum(s.Data, crc32.MakeTable(crc32.Castagnoli))
			save(t, l, raft.Save{State: raft.HardState{Term: 1, Commit: 10}, Snapshot: &s, Reset: true, First: 11})
			if err := l.db.Update(func(tx *bolt.Tx) error { return damage(tx.Bucket(bucketSnapshot)) }); err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			if _, _, err := Open(dir, home); !errors.Is(err, ErrDamaged) {
				t.Errorf("it opens with: %v, want ErrDamaged", err)
			}
		})
	}
}

func TestALogIsNotDroppedForNothing(t *testing.T) {
	l, _ := open(t, t.TempDir())
	if err := l.Save(raft.Save{Reset: true, First: 1}); !errors.Is(err, ErrGap) {
		t.Errorf("a reset without a snapshot: %v, want ErrGap", err)
	}
	l, _ = open(t, t.TempDir())
	s := randomSnapshot(rand.New(rand.NewPCG(1, 1)), 10, 1)
	err := l.Save(raft.Save{
		State: raft.HardState{Term: 1, Commit: 10}, Reset: true, Snapshot: s, First: 11,
		Entries: []raft.Entry{{Index: 12, Term: 1, Kind: raft.EntryNoOp}},
	})
	if !errors.Is(err, ErrGap) {
		t.Errorf("a gap behind the snapshot: %v, want ErrGap", err)
	}
}

// TestWhatASnapshotStandsFor may go, and nothing else; and what it stands for
// does not come back.
func TestWhatASnapshotStandsFor(t *testing.T) {
	state := raft.HardState{Term: 1, Commit: 10}
	start := func() (*Log, string) {
		dir := t.TempDir()
		l, _ := open(t, dir)
		s := randomSnapshot(rand.New(rand.NewPCG(1, 1)), 10, 1)
		save(t, l, raft.Save{State: state, Entries: commands(1, 1, 12)})
		save(t, l, raft.Save{State: state, Snapshot: s, First: 8})
		return l, dir
	}
	for name, s := range map[string]raft.Save{
		"an entry that is gone": {State: state, Entries: commands(1, 7, 7)},
		"more than it stands for": {
			State: state, First: 13, Snapshot: randomSnapshot(rand.New(rand.NewPCG(1, 2)), 11, 1),
		},
	} {
		l, _ := start()
		if err := l.Save(s); !errors.Is(err, ErrGap) {
			t.Errorf("%s: error %v", name, err)
		}
	}
	// One beyond the log stands for all of it.
	l, dir := start()
	state.Commit = 20
	save(t, l, raft.Save{State: state, First: 8, Snapshot: randomSnapshot(rand.New(rand.NewPCG(1, 3)), 20, 1)})
	save(t, l, raft.Save{State: state, Entries: commands(1, 21, 22)})
	mustClose(t, l)
	if _, got := open(t, dir); got.Stored.Snapshot.Index != 20 || len(got.Stored.Entries) != 2 || got.Stored.Entries[0].Index != 21 {
		t.Errorf("%d entries", len(got.Stored.Entries))
	}
}

// TestASnapshotFitsAlone: a long log may have to go before what waits fits in its
// place; a snapshot that is saved before that makes the room.
func TestASnapshotFitsAlone(t *testing.T) {
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
	snap := snapshotSave(model, 100_000)
	save(t, l, snap)
	apply(&model, snap)
	long := raft.Save{State: raft.HardState{Term: 1, Commit: 401}, Entries: entriesOf(1, 2, 401, 5000), First: 1}
	save(t, l, long)
	apply(&model, long)
	disk.full = true
	model, _ = fill(t, l, model, 700)
	next := model.Entries[len(model.Entries)-1].Index + 1
	more := raft.Save{State: model.State, Entries: entriesOf(1, next, next+400, 5000), First: 1}
	snap = snapshotSave(model, 100_000)
	both := snap
	both.Entries = more.Entries
	if err := l.Save(both); !errors.Is(err, raft.ErrDiskFull) {
		t.Errorf("beside the log that it replaces: %v", err)
	}
	for _, s := range []raft.Save{snap, more} {
		save(t, l, s)
		apply(&model, s)
	}
	l, got := again(t, l, dir, opt)
	if !reflect.DeepEqual(got.Stored, model) {
		t.Error(difference(got.Stored, model))
	}
	mustClose(t, l)
}
