package boltlog

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func TestStartOverAndKeepCopy(t *testing.T) {
	dir, opt := t.TempDir(), Options{ClusterName: "default"}
	l, first, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	save := raft.Save{Seq: 1, State: raft.HardState{Term: 3}, Entries: []raft.Entry{{Index: 1, Term: 3, Kind: raft.EntryCommand, Data: []byte("x")}}, First: 1}
	if err := l.Save(save); err != nil {
		t.Fatal(err)
	}
	if _, err := KeepCopy(dir, opt); err == nil {
		t.Error("an open database was copied")
	}
	if err := StartOver(dir, opt); err == nil {
		t.Error("an open database was put aside")
	}
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	want, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	for range 2 { // the second time there is a copy already
		kept, err := KeepCopy(dir, opt)
		if err != nil {
			t.Fatal(err)
		}
		if got, err := os.ReadFile(kept); err != nil || !bytes.Equal(got, want) {
			t.Errorf("the copy has %d bytes of %d: %v", len(got), len(want), err)
		}
	}
	if _, err := os.Stat(filepath.Join(dir, KeptName+olderSuffix)); err != nil {
		t.Error(err)
	}
	if err := StartOver(dir, opt); err != nil {
		t.Fatal(err)
	}
	if left, err := os.ReadFile(filepath.Join(dir, LeftName)); err != nil || !bytes.Equal(left, want) {
		t.Errorf("what is left has %d bytes of %d: %v", len(left), len(want), err)
	}
	l, again, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if again.Identity.ID == first.Identity.ID || !slices.Equal(again.Identity.Replaces, []raft.NodeID{first.Identity.ID}) || len(again.Stored.Entries) > 0 {
		t.Errorf("it came back as %+v", again)
	}
	if err := l.Save(save); err != nil {
		t.Error(err)
	}
}
