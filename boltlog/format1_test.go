package boltlog

import (
	"bytes"
	"compress/gzip"
	"hash/crc32"
	"io"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// format1Dir is a directory with a database that format 1's own code wrote.
func format1Dir(t testing.TB) string {
	t.Helper()
	f, err := os.Open("testdata/format1.db.gz")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	z, err := gzip.NewReader(f)
	if err != nil {
		t.Fatal(err)
	}
	b, err := io.ReadAll(z)
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, databaseName), b, 0o600); err != nil {
		t.Fatal(err)
	}
	return dir
}

// format1Stored is what is in it.
func format1Stored() raft.Stored {
	conf := &raft.Configuration{Members: []raft.Member{{ID: "aaaaaaaaaaaaaaaa", Name: "küche", Role: raft.Voter}}}
	data := make([]byte, 40000)
	for i := range data {
		data[i] = byte(i / 100)
	}
	return raft.Stored{
		State:    raft.HardState{Cluster: raft.ClusterID{1, 2, 3}, Term: 3, Vote: "bbbbbbbbbbbbbbbb", Commit: 50},
		Snapshot: &raft.Snapshot{Index: 20, Term: 2, Time: 7, ConfigIndex: 1, Config: conf, Data: data, Sum: crc32.Checksum(data, castagnoli)},
		Entries:  commands(2, 11, 60),
	}
}

func TestFormat1IsConverted(t *testing.T) {
	dir, want := format1Dir(t), format1Stored()
	const id = "seuxwsjy4fwsnq3m"
	l, got, ops := watched(t, dir, sized(20))
	if got.Identity.ID != id || got.Identity.Boot != 2 || !reflect.DeepEqual(got.Stored, want) {
		t.Errorf("%+v; %s", got.Identity, difference(got.Stored, want))
	}
	if commits := slices.DeleteFunc(slices.Clone(*ops), func(d done) bool { return d.op != opCommit }); len(commits) != 2 {
		t.Errorf("%d transactions: one should convert it, one open it", len(commits))
	}
	if s := l.Stats(); s.FileBytes < uint64(sized(20).Preallocate) || s.Growths > 1 {
		t.Errorf("%+v", s)
	}
	s := raft.Save{State: want.State, Entries: commands(3, 59, 70)}
	save(t, l, s)
	apply(&want, s)
	mustClose(t, l)
	l, got = open(t, dir)
	if got.Identity.ID != id || got.Identity.Boot != 3 || !reflect.DeepEqual(got.Stored, want) {
		t.Errorf("%+v; %s", got.Identity, difference(got.Stored, want))
	}
	mustClose(t, l)
}

// TestFormat1IsLeftAlone where it does not belong here, and where its conversion
// fails.
func TestFormat1IsLeftAlone(t *testing.T) {
	dir := format1Dir(t)
	refuses(t, dir, Options{ClusterName: "garage"}, ErrOtherCluster)
	before, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	opt := home
	opt.tap = func(op operation, _ int64, _ int) error {
		if op == opCommit {
			return io.ErrShortWrite
		}
		return nil
	}
	refuses(t, dir, opt, io.ErrShortWrite)
	after, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.HasPrefix(after, before) {
		t.Error("it was changed")
	}
	if _, got := open(t, dir); got.Identity.Boot != 2 || len(got.Stored.Entries) != 50 {
		t.Errorf("%+v", got.Identity)
	}
}
