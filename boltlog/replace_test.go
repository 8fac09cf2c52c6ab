package boltlog

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// TestReplace: a damaged device becomes another one, which knows who it was; and
// what was left is kept, also of the time before.
func TestReplace(t *testing.T) {
	dir := t.TempDir()
	l, first := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, 1, 9)})
	mustClose(t, l)
	path := filepath.Join(dir, databaseName)
	var was []raft.NodeID
	last := first.Identity
	for round := range 3 {
		garbage := bytes.Repeat([]byte{byte(round + 1)}, 1<<16)
		if err := os.WriteFile(path, garbage, 0o600); err != nil {
			t.Fatal(err)
		}
		refuses(t, dir, home, ErrDamaged)
		if err := Replace(dir, home); err != nil {
			t.Fatal(err)
		}
		l, opened := open(t, dir)
		was = append(was, last.ID)
		id := opened.Identity
		if id.ID == last.ID || id.Boot != 1 || !slices.Equal(id.Replaces, was) || len(opened.Stored.Entries) != 0 || opened.Stored.State != (raft.HardState{}) {
			t.Errorf("round %d: %+v", round, opened)
		}
		if kept, err := os.ReadFile(filepath.Join(dir, DamagedName)); err != nil || !bytes.Equal(kept, garbage) {
			t.Errorf("round %d: what was left is not kept: %v", round, err)
		}
		mustClose(t, l)
		last = id
	}
	if kept, err := os.ReadFile(filepath.Join(dir, DamagedOlderName)); err != nil || kept[0] != 2 {
		t.Errorf("the one before is not kept: %v", err)
	}
	_, opened, err := reopen(t, dir)
	if err != nil || !slices.Equal(opened.Identity.Replaces, was) {
		t.Errorf("later: %+v, %v", opened.Identity, err)
	}
}

func reopen(t *testing.T, dir string) (*Log, Opened, error) {
	l, opened, err := Open(dir, home)
	if err == nil {
		t.Cleanup(func() { _ = l.Close() })
	}
	return l, opened, err
}

// TestReplaceThatWasInterrupted: wherever the power goes, the device is as it
// was, or without a database, which Replace mends, or replaced.
func TestReplaceThatWasInterrupted(t *testing.T) {
	whole := t.TempDir()
	l, first := open(t, whole)
	mustClose(t, l)
	database, identity := filepath.Join(whole, databaseName), filepath.Join(whole, identityName)
	if err := os.Remove(database); err != nil { // after putting it aside
		t.Fatal(err)
	}
	refuses(t, whole, home, ErrLostDatabase)
	if err := Replace(whole, home); err != nil {
		t.Fatal(err)
	}
	if err := os.Remove(database); err != nil { // after the identity, before the database
		t.Fatal(err)
	}
	refuses(t, whole, home, ErrLostDatabase)
	if err := Replace(whole, home); err != nil {
		t.Fatal(err)
	}
	_, opened, err := reopen(t, whole)
	if err != nil || len(opened.Identity.Replaces) != 2 || opened.Identity.Replaces[0] != first.Identity.ID {
		t.Errorf("%+v, %v", opened.Identity, err)
	}
	if b, err := os.ReadFile(identity); err != nil || !bytes.Contains(b, []byte(first.Identity.ID)) {
		t.Errorf("the identity file is %s, %v", b, err)
	}
}

// TestReplaceRemembersFew identities, and only such as are some.
func TestReplaceRemembersFew(t *testing.T) {
	dir := t.TempDir()
	l, _ := open(t, dir)
	mustClose(t, l)
	for range maxReplaces + 3 {
		if err := os.Remove(filepath.Join(dir, databaseName)); err != nil {
			t.Fatal(err)
		}
		if err := Replace(dir, home); err != nil {
			t.Fatal(err)
		}
	}
	l, opened, err := reopen(t, dir)
	if err != nil || len(opened.Identity.Replaces) != maxReplaces {
		t.Fatalf("%+v, %v", opened.Identity, err)
	}
	if err := Replace(dir, home); !errors.Is(err, ErrInUse) {
		t.Errorf("replaced under a running agent: %v", err)
	}
	mustClose(t, l)
}

// TestReplaceThatFailsHalfway: where the new identity cannot be made durable, no
// database gets its name either. Both would be of different devices, and nothing
// would mend that.
func TestReplaceThatFailsHalfway(t *testing.T) {
	dir := t.TempDir()
	l, first := open(t, dir)
	mustClose(t, l)
	if err := os.WriteFile(filepath.Join(dir, databaseName), make([]byte, 1<<16), 0o600); err != nil {
		t.Fatal(err)
	}
	pending := filepath.Join(dir, identityName+newSuffix)
	if err := os.Symlink("/dev/null", pending); err != nil { // takes writes, and no sync
		t.Fatal(err)
	}
	if err := Replace(dir, home); err == nil {
		t.Fatal("replaced, with an identity that could not be made durable")
	}
	refuses(t, dir, home, ErrLostDatabase)
	if err := os.Remove(pending); err != nil {
		t.Fatal(err)
	}
	if err := Replace(dir, home); err != nil {
		t.Fatal(err)
	}
	_, opened, err := reopen(t, dir)
	if err != nil || !slices.Equal(opened.Identity.Replaces, []raft.NodeID{first.Identity.ID}) {
		t.Errorf("%+v, %v", opened.Identity, err)
	}
}
