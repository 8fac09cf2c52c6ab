package boltlog

import (
	"errors"
	"hash/crc32"
	"math/rand/v2"
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
