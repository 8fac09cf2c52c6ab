package seal

import (
	"encoding/binary"
	"math"
	"math/rand/v2"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func TestReplayAndReorder(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 1)
	packets := make([][]byte, WindowSize+1)
	for i := range packets {
		packets[i] = sealed(t, a, bob, "x")
	}
	wantOpen(t, b, packets[0], alice, "x")
	wantErr(t, b, packets[0], ErrReplay)
	wantOpen(t, b, packets[WindowSize], alice, "x") // counter 1025: 2 is the oldest in the window
	for _, i := range rand.Perm(WindowSize - 1) {
		wantOpen(t, b, packets[i+1], alice, "x")
	}
	for _, p := range packets {
		wantErr(t, b, p, ErrReplay)
	}
}

func TestTooLateIsRefused(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 1)
	first, second := sealed(t, a, bob, "1"), sealed(t, a, bob, "2")
	a.counter.Store(WindowSize)
	wantOpen(t, b, sealed(t, a, bob, "new"), alice, "new") // counter 1025
	wantErr(t, b, first, ErrReplay)
	wantOpen(t, b, second, alice, "2")
}

// The window is compared with a set that remembers everything.
func TestWindowAgainstModel(t *testing.T) {
	for seed := range uint64(20) {
		random := rand.New(rand.NewPCG(seed, 0))
		var w window
		taken := map[uint64]bool{}
		var newest uint64
		for range 20_000 {
			c := newest - min(newest, random.Uint64N(WindowSize+200))
			switch random.IntN(10) {
			case 0:
				c = newest + random.Uint64N(3*WindowSize)
			case 1, 2, 3:
				c = newest + random.Uint64N(3)
			}
			want := c != 0 && !taken[c] && (c > newest || newest-c < WindowSize)
			if got := w.take(c); got != want {
				t.Fatalf("seed %d: take(%d) with newest %d = %v", seed, c, newest, got)
			}
			if want {
				taken[c], newest = true, max(newest, c)
			}
		}
	}
	var w window
	for _, c := range []uint64{1, math.MaxUint64, math.MaxUint64 - WindowSize + 1} {
		if !w.take(c) || w.take(c) {
			t.Errorf("counter %d is not taken exactly once", c)
		}
	}
}

func TestRebootReplacesTheOldSession(t *testing.T) {
	k := NewKey()
	b := newSealer(t, k, "home", bob, 1)
	old := newSealer(t, k, "home", alice, 4)
	recorded, unheard := sealed(t, old, bob, "4"), sealed(t, old, bob, "4 later")
	wantOpen(t, b, recorded, alice, "4")
	rebooted := newSealer(t, k, "home", alice, 5)
	wantOpen(t, b, sealed(t, rebooted, bob, "5"), alice, "5")
	for _, p := range [][]byte{recorded, unheard, sealed(t, old, bob, "still there")} {
		wantErr(t, b, p, ErrOldBoot)
	}
}

// A forged boot number must not lock the true sender out.
func TestForgedHigherBootChangesNothing(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 4), newSealer(t, k, "home", bob, 1)
	wantOpen(t, b, sealed(t, a, bob, "x"), alice, "x")
	forged := sealed(t, a, bob, "y")
	binary.BigEndian.PutUint64(forged[offSession:], 1_000)
	wantErr(t, b, forged, ErrAuth)
	wantOpen(t, b, sealed(t, a, bob, "z"), alice, "z")
}

// Sessions of one boot number stand side by side, so that replaying recorded
// packets of one never makes those of another fresh again.
func TestSessionsOfOneBootDoNotResetEachOther(t *testing.T) {
	k := NewKey()
	b := newSealer(t, k, "home", bob, 1)
	var recorded [][]byte
	for range maxSessions {
		p := sealed(t, newSealer(t, k, "home", alice, 7), bob, "x")
		wantOpen(t, b, p, alice, "x")
		recorded = append(recorded, p)
	}
	for range 3 {
		for _, p := range recorded {
			wantErr(t, b, p, ErrReplay)
		}
	}
	wantErr(t, b, sealed(t, newSealer(t, k, "home", alice, 7), bob, "one too many"), ErrTooMany)
	next := newSealer(t, k, "home", alice, 8)
	wantOpen(t, b, sealed(t, next, bob, "8"), alice, "8")
	if n := len(b.senders[deviceID(mustID(t, alice))].sessions); n != 1 {
		t.Errorf("%d sessions are kept after a later boot", n)
	}
}

func TestSendersAreBounded(t *testing.T) {
	k := NewKey()
	b := newSealer(t, k, "home", bob, 1)
	var first *Sealer
	for i := range maxSenders {
		s := newSealer(t, k, "home", raft.NodeIDFrom([10]byte{1, byte(i >> 8), byte(i)}), 1)
		if first == nil {
			first = s
		}
		if _, _, err := b.Open(sealed(t, s, bob, "x")); err != nil {
			t.Fatal(err)
		}
	}
	wantErr(t, b, sealed(t, newSealer(t, k, "home", alice, 1), bob, "x"), ErrTooMany)
	if _, _, err := b.Open(sealed(t, first, bob, "x")); err != nil {
		t.Errorf("a known sender is refused: %v", err)
	}
	if len(b.senders) != maxSenders {
		t.Errorf("%d senders are remembered, the limit is %d", len(b.senders), maxSenders)
	}
}

func mustID(t *testing.T, id raft.NodeID) deviceID {
	t.Helper()
	d, err := toDeviceID(id)
	if err != nil {
		t.Fatal(err)
	}
	if toNodeID(d) != id {
		t.Fatalf("%q packs into %q", id, toNodeID(d))
	}
	return d
}
