package seal

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func mustRing(t testing.TB, keys ...Key) Ring {
	t.Helper()
	r, err := NewRing(keys...)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func setRing(t testing.TB, s *Sealer, keys ...Key) {
	t.Helper()
	if err := s.SetRing(mustRing(t, keys...)); err != nil {
		t.Fatal(err)
	}
}

// tell carries reports between all that run.
func tell(t testing.TB, all ...*Sealer) {
	t.Helper()
	for _, a := range all {
		for _, b := range all {
			for range 20 { // by one of the keys at a time
				p, err := a.Report(raft.NodeIDFrom(b.self), true)
				if a == b || err != nil {
					continue
				}
				shake(t, a, b, p, netip.AddrPort{})
			}
		}
	}
}

func TestRingFile(t *testing.T) {
	old, next := NewKey(), NewKey()
	path := filepath.Join(t.TempDir(), "cluster.key")
	if err := WriteKeyFile(path, old, false); err != nil {
		t.Fatal(err)
	}
	r, err := ReadRing(path) // the file of earlier versions
	if err != nil || len(r.Keys()) != 1 || !r.First().Equal(old) {
		t.Fatalf("%v", err)
	}
	if r, err = r.Add(next); err != nil {
		t.Fatal(err)
	}
	if err := WriteRing(path, r); err != nil {
		t.Fatal(err)
	}
	back, err := ReadRing(path)
	if err != nil || len(back.Keys()) != 2 || !back.First().Equal(next) || !back.Has(old) {
		t.Fatalf("%v", err)
	}
	if first, err := ReadKeyFile(path); err != nil || !first.Equal(next) {
		t.Errorf("the first: %v", err)
	}
	if info, err := os.Stat(path); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, %v", info.Mode(), err)
	}
	if err := os.Chmod(path, 0o640); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadRing(path); err == nil || !strings.Contains(err.Error(), "chmod 600") {
		t.Errorf("a ring that others can read: %v", err)
	}
}

func TestRingRefuses(t *testing.T) {
	a, b := NewKey(), NewKey()
	for name, keys := range map[string][]Key{
		"none": nil, "zero": {{}}, "twice": {a, b, a}, "too many": {NewKey(), NewKey(), NewKey(), NewKey(), NewKey()},
	} {
		if _, err := NewRing(keys...); !errors.Is(err, ErrRing) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if _, err := mustRing(t, a, b).Rotate(); !errors.Is(err, ErrRing) {
		t.Errorf("a rotation in a rotation: %v", err)
	}
	for range 300 { // keys whose packets look alike are not made
		r, err := mustRing(t, a).Rotate()
		if err != nil || r.First().ID()[0] == a.ID()[0] || !r.Has(a) {
			t.Fatal("the new key cannot be told from the old")
		}
	}
	if r, err := mustRing(t, a, b).Add(b); err != nil || !r.First().Equal(b) || len(r.Keys()) != 2 {
		t.Errorf("adding what is there: %v", err)
	}
}

// connected holds that packets between any two arrive, if not at once then when
// they are repeated.
func connected(t *testing.T, when string, all ...*Sealer) {
	t.Helper()
	for _, a := range all {
		for _, b := range all {
			if a == b {
				continue
			}
			arrived := false
			for range 40 {
				p := sealed(t, a, raft.NodeIDFrom(b.self), "a message that is repeated")
				arrived = len(shake(t, a, b, p, netip.AddrPort{})) > 0 || arrived
			}
			if !arrived {
				t.Fatalf("%s: %s does not reach %s", when, raft.NodeIDFrom(a.self), raft.NodeIDFrom(b.self))
			}
		}
	}
}

// A rotation in any order, with restarts in between: no two ever lose each other.
func TestRotation(t *testing.T) {
	old, next := NewKey(), NewKey()
	ids := []raft.NodeID{alice, bob, carol}
	all := make([]*Sealer, 3)
	rings := [][]Key{{old}, {old}, {old}}
	boot := uint64(1)
	start := func(i int) {
		boot++
		all[i] = newSealer(t, rings[i][0], "home", ids[i], boot)
		setRing(t, all[i], rings[i]...)
	}
	for i := range all {
		start(i)
	}
	connected(t, "at first", all...)
	for _, i := range []int{1, 2, 0} {
		rings[i] = []Key{next, old}
		setRing(t, all[i], rings[i]...)
		connected(t, "after one more got the new key, untold", all...)
		tell(t, all...)
		connected(t, "after it told", all...)
		start((i + 1) % 3)
		connected(t, "after a restart", all...)
	}
	tell(t, all...)
	for i, a := range all {
		for j, b := range all {
			if i == j {
				continue
			}
			if p := sealed(t, a, ids[j], "x"); p[1] != next.ID()[0] {
				t.Errorf("%s does not use the new key to %s", ids[i], ids[j])
			}
			if has, _, ok := b.Keys(ids[i]); !ok || len(has) != 2 || has[0] != next.ID() {
				t.Errorf("%s does not know what %s has: %v", ids[j], ids[i], has)
			}
		}
	}
	for _, i := range []int{2, 0, 1} {
		rings[i] = []Key{next}
		setRing(t, all[i], rings[i]...)
		for _, from := range all[i].senders {
			for _, x := range from.sessions {
				if x.cipher(old.ID()) != nil {
					t.Error("the cipher of a key that was dropped is kept")
				}
			}
		}
		connected(t, "after one more dropped the old key", all...)
		start(i)
		connected(t, "after its restart", all...)
	}
	thief := newSealer(t, old, "home", raft.NodeIDFrom([10]byte{9}), 1)
	wantErr(t, all[0], sealed(t, thief, "", "with the old key"), ErrWrongKey)
}

// What one device says of its keys does not outlive what it says later.
func TestReportsReplaceEachOther(t *testing.T) {
	old, next := NewKey(), NewKey()
	a, b := newSealer(t, old, "home", alice, 1), newSealer(t, old, "home", bob, 1)
	setRing(t, a, next, old)
	setRing(t, b, next, old)
	tell(t, a, b)
	setRing(t, a, old) // the rotation is called off there
	tell(t, a, b)
	connected(t, "after one went back", a, b)
	if p := sealed(t, b, alice, "x"); p[1] != old.ID()[0] {
		t.Error("b still uses the key that a gave up")
	}
}

// Nor does it outlive a restart, before which the key file may have been edited:
// the others do not wait for another report.
func TestReportsEndWithTheBoot(t *testing.T) {
	old, next := NewKey(), NewKey()
	a, b := newSealer(t, old, "home", alice, 1), newSealer(t, old, "home", bob, 1)
	setRing(t, a, next, old)
	setRing(t, b, next, old)
	tell(t, a, b)
	a = newSealer(t, old, "home", alice, 2)
	meet(t, b, a)
	connected(t, "after one came back with the old key", a, b)
}
