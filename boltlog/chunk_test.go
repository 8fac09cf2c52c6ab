package boltlog

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"hash/crc32"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

var update = flag.Bool("update", false, "write the golden files anew")

// golden compares b, without the zeros at its end, with a file of testdata.
func golden(t *testing.T, name string, b []byte) {
	t.Helper()
	path := filepath.Join("testdata", name)
	got := []byte(hex.Dump(bytes.TrimRight(b, "\x00")))
	if *update {
		if err := os.WriteFile(path, got, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s is not what is stored by this version:\n%s", name, got)
	}
}

// TestGoldenBytes: what is stored now must be readable for ever. A change of it
// is a new version, beside the old one.
func TestGoldenBytes(t *testing.T) {
	m := newImage(t, 4)
	entries := commands(2, 1, 2)
	entries[1].Time = 1234
	var tl tail
	tl.restart(1)
	for _, e := range entries {
		if err := tl.add(e); err != nil {
			t.Fatal(err)
		}
	}
	state := raft.HardState{Cluster: raft.ClusterID{1, 2, 3}, Term: 2, Vote: "aaaaaaaaaaaaaaaa", Commit: 1}
	m.put(state, appendCut(nil, 1), tl.data)
	golden(t, "sector1.hex", m.slot(1))
	golden(t, "chunk1.hex", encodeChunk(nil, imageEpoch, 1, 2, tl.data, m.ring.seed))
	if s, ok := decodeSector(m.slot(1), m.ring.seed); !ok || s.state != state || s.epoch != imageEpoch || s.slot != 1 || s.start != 0 {
		t.Errorf("the sector is %+v", s)
	}
	got, err := decodeChunk(encodeChunk(nil, imageEpoch, 1, 2, tl.data, m.ring.seed), 1, m.ring.seed)
	if err != nil || !reflect.DeepEqual(got, entries) {
		t.Errorf("the chunk has %+v, %v", got, err)
	}
	golden(t, "ring1.hex", ringValue([]byte("sixteen ID bytes"), 4))
}

// TestChunksFillPages: a chunk takes no more than the pages that its value
// fills, and is never so small that bbolt puts it into its parent's page.
func TestChunksFillPages(t *testing.T) {
	l, _ := open(t, t.TempDir())
	var next raft.Index = 1
	for _, n := range []raft.Index{1, 100, 3000, 2} {
		s := raft.Save{State: raft.HardState{Term: 1, Commit: 1}, Entries: commands(1, next, next+n-1)}
		save(t, l, s)
		next += n
		if err := l.seal(sealing{state: s.State, first: 1, last: l.last, tail: &l.tail}); err != nil {
			t.Fatal(err)
		}
	}
	err := l.db.View(func(tx *bolt.Tx) error {
		b := tx.Bucket(bucketChunks)
		starts, err := chunkStarts(b)
		if err != nil {
			return err
		}
		if len(starts) < 5 {
			t.Errorf("%d chunks", len(starts))
		}
		for _, i := range starts {
			chunk := b.Bucket(chunkKey(i))
			size := len(chunk.Get(keyChunk))
			if chunk.RootPage() == 0 || (valueStart+size)%pageSize != 0 || valueStart+size > chunkSize {
				t.Errorf("chunk %d: %d bytes, page %d", i, size, chunk.RootPage())
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// chunks returns where the chunks in l start.
func chunks(t *testing.T, l *Log) (starts []raft.Index) {
	t.Helper()
	err := l.db.View(func(tx *bolt.Tx) (err error) {
		starts, err = chunkStarts(tx.Bucket(bucketChunks))
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return starts
}

// TestChunksAreReplacedAndDropped follows the chunks through conflicts with
// sealed entries, and truncations.
func TestChunksAreReplacedAndDropped(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	var model raft.Stored
	step := func(s raft.Save, want ...raft.Index) {
		t.Helper()
		save(t, l, s)
		apply(&model, s)
		if s.Snapshot == nil {
			if err := l.seal(sealing{state: s.State, first: l.first, last: l.last, tail: &l.tail}); err != nil {
				t.Fatal(err)
			}
		}
		if got := chunks(t, l); !reflect.DeepEqual(got, want) {
			t.Errorf("chunks %v, want %v", got, want)
		}
		_, got := open(t, copyDir(t, dir))
		if !reflect.DeepEqual(got.Stored, model) {
			t.Error(difference(got.Stored, model))
		}
	}
	state := func(term raft.Term) raft.HardState { return raft.HardState{Term: term, Commit: 5} }
	snap := func(i, first raft.Index, term raft.Term) raft.Save {
		s := raft.Save{State: state(term), First: first}
		s.State.Commit = i
		s.Snapshot = &raft.Snapshot{Index: i, Term: 1, ConfigIndex: 1, Data: []byte("x"), Sum: crc32.Checksum([]byte("x"), castagnoli), Config: &raft.Configuration{
			Members: []raft.Member{{ID: "aaaaaaaaaaaaaaaa", Name: "a", Role: raft.Voter}},
		}}
		return s
	}
	step(raft.Save{State: state(1), Entries: commands(1, 1, 50)}, 1)
	step(raft.Save{State: state(1), Entries: commands(1, 51, 100)}, 1, 51)
	step(raft.Save{State: state(1), Entries: commands(1, 101, 110)}, 1, 51, 101)
	step(raft.Save{State: state(2), Entries: commands(2, 40, 45)}, 1, 40) // into the middle of a chunk
	step(raft.Save{State: state(3), Entries: commands(3, 40, 41)}, 1, 40) // a chunk anew
	step(raft.Save{State: state(3), Entries: commands(3, 42, 60)}, 1, 40, 42)
	step(snap(20, 21, 3), 1, 40, 42)
	step(snap(39, 40, 3), 40, 42)
	step(raft.Save{State: state(4), Entries: commands(4, 50, 70)}, 40, 42, 50)
	both := snap(45, 46, 4)
	both.Entries = commands(4, 71, 80)
	step(both, 42, 50, 71)
	step(snap(80, 81, 4)) // all
	step(raft.Save{State: state(4), Entries: commands(4, 81, 81)}, 81)
}

// TestChunksAreChecked: what a chunk says of itself, and that they follow on
// each other up to the last sealed entry.
func TestChunksAreChecked(t *testing.T) {
	value := func(b *bolt.Bucket, i raft.Index, change func([]byte)) error {
		chunk := b.Bucket(chunkKey(i))
		v := bytes.Clone(chunk.Get(keyChunk))
		change(v)
		return chunk.Put(keyChunk, v)
	}
	flip := func(at int) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error { return value(b, 11, func(v []byte) { v[at] ^= 1 }) }
	}
	resealed := func(seed uint32, change func([]byte)) func(*bolt.Bucket) error {
		return func(b *bolt.Bucket) error {
			return value(b, 11, func(v []byte) {
				change(v)
				order.PutUint32(v, crc32.Update(seed, castagnoli, v[4:chunkHead]))
			})
		}
	}
	dir := t.TempDir()
	l, _ := open(t, dir)
	for i := raft.Index(1); i < 40; i += 10 {
		s := raft.Save{State: raft.HardState{Term: 2}, Entries: commands(2, i, i+9)}
		save(t, l, s)
		if err := l.seal(sealing{state: s.State, first: 1, last: l.last, tail: &l.tail}); err != nil {
			t.Fatal(err)
		}
	}
	seed := l.ring.seed
	mustClose(t, l)
	for name, c := range map[string]struct {
		change func(*bolt.Bucket) error
		want   error
	}{
		"checksum":          {flip(0), ErrDamaged},
		"first index":       {flip(16), ErrDamaged},
		"number":            {flip(24), ErrDamaged},
		"length":            {flip(28), ErrDamaged},
		"a record's length": {flip(chunkHead), ErrDamaged},
		"a record":          {flip(chunkHead + 9), ErrDamaged},
		"a newer version":   {resealed(seed, func(v []byte) { v[4] = 2 }), ErrVersion},
		"another ring's":    {resealed(seed+1, func([]byte) {}), ErrDamaged},
		"fewer entries":     {resealed(seed, func(v []byte) { v[24]-- }), ErrDamaged},
		"too many bytes":    {resealed(seed, func(v []byte) { v[31] = 1 }), ErrDamaged},
		"none":              {resealed(seed, func(v []byte) { clear(v[24:32]) }), ErrDamaged},
		"one missing":       {func(b *bolt.Bucket) error { return b.DeleteBucket(chunkKey(11)) }, ErrDamaged},
		"the first missing": {func(b *bolt.Bucket) error { return b.DeleteBucket(chunkKey(1)) }, ErrDamaged},
		"the last missing":  {func(b *bolt.Bucket) error { return b.DeleteBucket(chunkKey(31)) }, ErrDamaged},
		"a value missing":   {func(b *bolt.Bucket) error { return b.Bucket(chunkKey(11)).Delete(keyChunk) }, ErrDamaged},
		"a bucket in it": {func(b *bolt.Bucket) error {
			_, err := b.Bucket(chunkKey(11)).CreateBucket([]byte("sub"))
			return err
		}, ErrDamaged},
		"under another name": {func(b *bolt.Bucket) error {
			v := bytes.Clone(b.Bucket(chunkKey(11)).Get(keyChunk))
			other, err := b.CreateBucket(chunkKey(12))
			if err != nil {
				return err
			}
			return other.Put(keyChunk, v)
		}, ErrDamaged},
	} {
		t.Run(name, func(t *testing.T) {
			to := copyDir(t, dir)
			l, _ := open(t, to)
			if err := l.db.Update(func(tx *bolt.Tx) error { return c.change(tx.Bucket(bucketChunks)) }); err != nil {
				t.Fatal(err)
			}
			mustClose(t, l)
			refuses(t, to, home, c.want)
		})
	}
}

// TestTermsAreChecked over chunks and ring.
func TestTermsAreChecked(t *testing.T) {
	for name, s := range map[string][2]raft.Save{
		"falling": {
			{State: raft.HardState{Term: 3}, Entries: commands(2, 1, 5)},
			{State: raft.HardState{Term: 3}, Entries: commands(1, 6, 6)},
		},
		"above the device's": {
			{State: raft.HardState{Term: 3}, Entries: commands(2, 1, 5)},
			{State: raft.HardState{Term: 3}, Entries: commands(4, 6, 6)},
		},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			l, _ := open(t, dir)
			save(t, l, s[0])
			save(t, l, s[1])
			mustClose(t, l)
			if _, _, err := Open(dir, home); !errors.Is(err, ErrDamaged) {
				t.Errorf("error %v", err)
			}
		})
	}
}
