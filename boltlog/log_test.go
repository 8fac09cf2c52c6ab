package boltlog

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// home has a small ring, so that it is sealed often, and a small file, so that
// it grows.
var home = Options{ClusterName: "home", RingSize: 8 * sectorSize, Preallocate: 320 << 10}

// open opens dir, or ends the test. The log is closed when the test ends.
func open(t testing.TB, dir string) (*Log, Opened) {
	t.Helper()
	l, opened, err := Open(dir, home)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l, opened
}

func save(t testing.TB, l *Log, s raft.Save) {
	t.Helper()
	if err := l.Save(s); err != nil {
		t.Fatal(err)
	}
}

func mustClose(t testing.TB, l *Log) {
	t.Helper()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
}

// commands makes entries from..to of one term, each with its own data.
func commands(term raft.Term, from, to raft.Index) []raft.Entry {
	var out []raft.Entry
	for i := from; i <= to; i++ {
		out = append(out, raft.Entry{
			Index: i, Term: term, Kind: raft.EntryCommand, ID: raft.ProposalID(i),
			Data: fmt.Appendf(nil, "command %d of term %d", i, term),
		})
	}
	return out
}

func TestNewDatabaseIsBlank(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "b")
	l, opened := open(t, dir)
	if !opened.Identity.ID.Valid() || opened.Identity.Boot != 1 || opened.Identity.Cluster != "home" {
		t.Errorf("identity %+v", opened.Identity)
	}
	if !reflect.DeepEqual(opened.Stored, raft.Stored{}) {
		t.Errorf("stored %+v", opened.Stored)
	}
	mustClose(t, l)
	for name, want := range map[string]os.FileMode{"": 0o700 | os.ModeDir, databaseName: 0o600, identityName: 0o600} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		if info.Mode() != want {
			t.Errorf("%q has mode %v, want %v", name, info.Mode(), want)
		}
	}
}

func TestSaveSurvivesReopening(t *testing.T) {
	dir := t.TempDir()
	l, first := open(t, dir)
	conf := &raft.Configuration{Members: []raft.Member{{ID: first.Identity.ID, Name: "küche", Role: raft.Voter}}}
	entries := append([]raft.Entry{
		{Index: 1, Term: 1, Kind: raft.EntryConfig, Config: conf},
		{Index: 2, Term: 1, Kind: raft.EntryNoOp},
	}, commands(1, 3, 200)...)
	state := raft.HardState{Cluster: raft.ClusterID{1, 2}, Term: 3, Vote: first.Identity.ID, Commit: 150}
	save(t, l, raft.Save{Seq: 1, State: raft.HardState{Term: 1}, Entries: entries[:100]})
	save(t, l, raft.Save{Seq: 2, State: state, Entries: entries[100:]})
	if got := l.Stats(); got.Saves != 2 || got.EntryBytes < 200*20 || got.EntryBytes > 200*80 {
		t.Errorf("stats %+v", got)
	}
	mustClose(t, l)

	_, second := open(t, dir)
	if second.Identity.ID != first.Identity.ID || second.Identity.Boot != 2 {
		t.Errorf("identity %+v, then %+v", first.Identity, second.Identity)
	}
	if want := (raft.Stored{State: state, Entries: entries}); !reflect.DeepEqual(second.Stored, want) {
		t.Error(difference(second.Stored, want))
	}
}

func TestSaveReplacesTheTail(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 100)})
	save(t, l, raft.Save{State: raft.HardState{Term: 2}, Entries: commands(2, 40, 42)})
	save(t, l, raft.Save{State: raft.HardState{Term: 2, Commit: 42}}) // no entries: nothing is replaced
	save(t, l, raft.Save{State: raft.HardState{Term: 3, Commit: 42}, Entries: commands(3, 43, 43)})
	mustClose(t, l)
	_, got := open(t, dir)
	want := append(append(commands(1, 1, 39), commands(2, 40, 42)...), commands(3, 43, 43)...)
	if !reflect.DeepEqual(got.Stored.Entries, want) {
		t.Error(difference(got.Stored, raft.Stored{State: got.Stored.State, Entries: want}))
	}
}

// TestRefusedSaveIsFinal: what is refused is not written, and no later save
// can seem to cover it.
func TestRefusedSaveIsFinal(t *testing.T) {
	state := raft.HardState{Term: 1}
	for _, c := range []struct {
		name string
		s    raft.Save
		want error
	}{
		{"a gap behind what is stored", raft.Save{State: state, Entries: commands(1, 12, 12)}, ErrGap},
		{"a gap between entries", raft.Save{State: state, Entries: append(commands(1, 11, 11), commands(1, 13, 13)...)}, ErrGap},
		{"index 0", raft.Save{State: state, Entries: commands(1, 0, 0)}, ErrGap},
		{"no such kind", raft.Save{State: state, Entries: []raft.Entry{{Index: 11, Term: 1}}}, wire.ErrMalformed},
		{"a vote for no ID", raft.Save{State: raft.HardState{Term: 1, Vote: "x"}}, wire.ErrMalformed},
	} {
		t.Run(c.name, func(t *testing.T) {
			dir := t.TempDir()
			l, _ := open(t, dir)
			save(t, l, raft.Save{State: state, Entries: commands(1, 1, 10)})
			if err := l.Save(c.s); !errors.Is(err, c.want) || !errors.Is(err, ErrFailed) {
				t.Fatalf("error %v", err)
			}
			if err := l.Save(raft.Save{State: raft.HardState{Term: 9}}); !errors.Is(err, ErrFailed) {
				t.Errorf("the next save: error %v", err)
			}
			mustClose(t, l)
			_, got := open(t, dir)
			if want := (raft.Stored{State: state, Entries: commands(1, 1, 10)}); !reflect.DeepEqual(got.Stored, want) {
				t.Error(difference(got.Stored, want))
			}
		})
	}
}

// TestFailedWriteLatches takes the file away under the log: the first error is
// final, and the file is not touched again even when it could be written.
func TestFailedWriteLatches(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 3)})
	if err := l.file.Close(); err != nil {
		t.Fatal(err)
	}
	first := l.Save(raft.Save{Seq: 7, State: raft.HardState{Term: 2}})
	if !errors.Is(first, ErrFailed) || !errors.Is(first, os.ErrClosed) {
		t.Fatalf("error %v", first)
	}
	if second := l.Save(raft.Save{Seq: 8, State: raft.HardState{Term: 3}}); second != first {
		t.Errorf("first %v, then %v", first, second)
	}
	if got := l.Stats().Saves; got != 1 {
		t.Errorf("%d saves are counted", got)
	}
	_ = l.Close()
	if _, got := open(t, dir); got.Stored.State.Term != 1 || len(got.Stored.Entries) != 3 {
		t.Errorf("stored %+v", got.Stored)
	}
}

// TestPanicInTheDatabaseIsAnError: bbolt panics over pages that changed under
// it. The process lives, the log is latched, and Close does not hang.
func TestPanicInTheDatabaseIsAnError(t *testing.T) {
	l, _ := open(t, t.TempDir())
	// A transaction on a bucket that is gone stands for the damaged page.
	err := l.db.Update(func(tx *bolt.Tx) error { return tx.DeleteBucket(bucketState) })
	if err != nil {
		t.Fatal(err)
	}
	large := commands(1, 1, 1)
	large[0].Data = make([]byte, home.RingSize) // no ring holds it: a transaction
	if err := l.Save(raft.Save{State: raft.HardState{Term: 1}, Entries: large}); !errors.Is(err, ErrFailed) || !errors.Is(err, errPanicked) {
		t.Fatalf("error %v", err)
	}
	if err := l.Save(raft.Save{}); !errors.Is(err, ErrFailed) {
		t.Errorf("the next save: error %v", err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

func TestSaveAfterClose(t *testing.T) {
	l, _ := open(t, t.TempDir())
	mustClose(t, l)
	mustClose(t, l)
	if err := l.Save(raft.Save{}); !errors.Is(err, ErrClosed) {
		t.Errorf("error %v", err)
	}
}
