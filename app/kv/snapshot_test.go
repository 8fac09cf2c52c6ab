package kv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand"
	"slices"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func applied(t testing.TB, commands ...[]byte) *Store {
	t.Helper()
	s := New(Options{})
	for i, c := range commands {
		s.Apply(raft.Entry{Index: raft.Index(i + 1), Term: 1, Kind: raft.EntryCommand, Data: c})
	}
	return s
}

func mustPut(t testing.TB, key string, value []byte) []byte {
	t.Helper()
	c, err := Put(key, value, nil)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// Any state comes back from its snapshot, into whatever state there was, and
// goes on as if it had never been one.
func TestSnapshotRoundTrip(t *testing.T) {
	r := rand.New(rand.NewSource(1))
	for range 50 {
		var commands [][]byte
		for range r.Intn(3000) {
			commands = append(commands, mustPut(t, fmt.Sprint("key/", r.Intn(1000)), make([]byte, r.Intn(100))))
		}
		want := applied(t, commands...)
		var told raft.Index
		got := New(Options{Restored: func(i raft.Index) { told = i }})
		got.Apply(raft.Entry{Index: 1, Kind: raft.EntryCommand, Data: mustPut(t, "gone", []byte("x"))})
		if err := got.Restore(want.Snapshot()); err != nil {
			t.Fatal(err)
		}
		if told != want.Applied() {
			t.Fatalf("it told of index %d, want %d", told, want.Applied())
		}
		next := raft.Entry{Index: want.Applied() + 1, Kind: raft.EntryCommand, Data: mustPut(t, "next", []byte("y"))}
		want.Apply(next)
		got.Apply(next)
		if !bytes.Equal(got.Snapshot(), want.Snapshot()) || got.Stats() != want.Stats() {
			t.Fatal("the restored state differs")
		}
		a, b := got.List(ListQuery{}), want.List(ListQuery{})
		if !slices.EqualFunc(a.Items, b.Items, func(x, y Item) bool { return x.Key == y.Key && x.Index == y.Index }) {
			t.Fatal("the restored keys differ")
		}
	}
}

// Devices in the field have such bytes, and send them to newer ones.
func TestSnapshotFormat(t *testing.T) {
	const (
		// version, applied, keys; for each: key, index, (deadline,) value
		version1 = "01" + "03" + "02" + "026161" + "01" + "036f6e65" + "026262" + "03" + "00"
		version2 = "02" + "03" + "02" + "026161" + "01" + "00" + "036f6e65" + "026262" + "03" + "cf0f" + "00"
	)
	expiring, err := PutTTL("bb", nil, 999, nil)
	if err != nil {
		t.Fatal(err)
	}
	s := New(Options{})
	for i, c := range [][]byte{mustPut(t, "aa", []byte("one")), mustPut(t, "bb", []byte("two")), expiring} {
		s.Apply(raft.Entry{Index: raft.Index(i + 1), Time: 1000, Kind: raft.EntryCommand, Data: c})
	}
	if got := hex.EncodeToString(s.Snapshot()); got != version2 {
		t.Errorf("the snapshot is %s, want %s", got, version2)
	}
	for digits, deadline := range map[string]raft.Time{version1: 0, version2: 1999} {
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		back := New(Options{})
		if err := back.Restore(b); err != nil {
			t.Fatal(err)
		}
		a, _ := back.Lookup("aa")
		bb, _ := back.Lookup("bb")
		if string(a.Value) != "one" || a.Index != 1 || a.Deadline != 0 || bb.Index != 3 || bb.Deadline != deadline || back.Applied() != 3 {
			t.Errorf("%s: %+v, %+v, applied %d", digits, a, bb, back.Applied())
		}
		if at, _ := back.Due(); at != deadline {
			t.Errorf("%s: due at %d, want %d", digits, at, deadline)
		}
	}
}

func FuzzRestore(f *testing.F) {
	f.Add(applied(f, mustPut(f, "a", []byte("1")), mustPut(f, "b", nil)).Snapshot())
	f.Add([]byte{1, 5, 255, 255, 255, 255, 15})
	f.Add([]byte{1, 1, 1, 1, 'a', 2, 0})
	f.Add([]byte{1, 1, 1, 1, 'a', 1, 0})
	f.Add([]byte{2, 1, 1, 1, 'a', 1, 9, 0})
	f.Add([]byte{3})
	f.Fuzz(func(t *testing.T, data []byte) {
		s := applied(t, mustPut(t, "before", []byte("x")))
		before := s.Snapshot()
		if err := s.Restore(data); err != nil {
			if !errors.Is(err, ErrBadSnapshot) || !bytes.Equal(s.Snapshot(), before) {
				t.Fatalf("refused with %v, the state changed: %v", err, !bytes.Equal(s.Snapshot(), before))
			}
			return
		}
		again := New(Options{})
		if err := again.Restore(s.Snapshot()); err != nil || !bytes.Equal(again.Snapshot(), s.Snapshot()) {
			t.Fatalf("what was restored does not restore again: %v", err)
		}
	})
}
