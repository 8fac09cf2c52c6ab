package seal

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/rand/v2"
	"net/netip"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

func TestReplayAndReorder(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 1)
	meet(t, b, a)
	packets := make([][]byte, WindowSize+1)
	for i := range packets {
		packets[i] = sealed(t, a, bob, "x")
	}
	wantOpen(t, b, packets[0], alice, "x")
	wantErr(t, b, packets[0], ErrReplay)
	wantOpen(t, b, packets[WindowSize], alice, "x") // the second is the oldest in the window
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
	meet(t, b, a)
	first, second := sealed(t, a, bob, "1"), sealed(t, a, bob, "2")
	a.counter.Add(WindowSize - 2)
	wantOpen(t, b, sealed(t, a, bob, "new"), alice, "new")
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
	meet(t, b, old)
	recorded, unheard := sealed(t, old, bob, "4"), sealed(t, old, bob, "4 later")
	wantOpen(t, b, recorded, alice, "4")
	rebooted := newSealer(t, k, "home", alice, 5)
	meet(t, b, rebooted)
	wantOpen(t, b, sealed(t, rebooted, bob, "5"), alice, "5")
	for _, p := range [][]byte{recorded, unheard, sealed(t, old, bob, "still there")} {
		wantErr(t, b, p, ErrOldBoot)
	}
}

// A forged boot number must not lock the true sender out.
func TestForgedHigherBootChangesNothing(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 4), newSealer(t, k, "home", bob, 1)
	meet(t, b, a)
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
	var recorded, answers [][]byte
	for i := range maxSessions + 2 {
		a := newSealer(t, k, "home", alice, 7)
		challenge := b.Receive(sealed(t, a, bob, "long enough for a challenge"), netip.AddrPort{})
		answers = append(answers, a.Receive(challenge.Reply, netip.AddrPort{}).Reply)
		if in := b.Receive(bytes.Clone(answers[i]), netip.AddrPort{}); in.From != alice {
			t.Fatal(in.Err)
		}
		p := sealed(t, a, bob, "x")
		wantOpen(t, b, p, alice, "x")
		recorded = append(recorded, p)
		for j, p := range recorded {
			want := ErrReplay
			if i-j >= maxSessions {
				want = ErrUnproved // forgotten, but not fresh for that
			}
			wantErr(t, b, p, want)
		}
	}
	wantErr(t, b, answers[0], ErrUnproved) // to a nonce of before it was forgotten
	next := newSealer(t, k, "home", alice, 8)
	meet(t, b, next)
	wantOpen(t, b, sealed(t, next, bob, "8"), alice, "8")
	if n := len(b.senders[mustID(t, alice)].sessions); n != 1 {
		t.Errorf("%d sessions are kept after a later boot", n)
	}
}

// A new sender takes the place of the one not heard for longest, none of whose
// recorded packets and answers becomes fresh by that.
func TestSendersAreBounded(t *testing.T) {
	k := NewKey()
	b := newSealer(t, k, "home", bob, 1)
	nth := func(i int) *Sealer {
		return newSealer(t, k, "home", raft.NodeIDFrom([10]byte{1, byte(i >> 8), byte(i)}), 1)
	}
	first, second := nth(0), nth(1)
	meet(t, b, first)
	meet(t, second, b) // before it sends anything
	challenge := b.Receive(sealed(t, second, bob, "a packet that is long enough"), netip.AddrPort{})
	answer := second.Receive(challenge.Reply, netip.AddrPort{}).Reply
	recorded := sealed(t, second, bob, "recorded")
	if in := b.Receive(bytes.Clone(answer), netip.AddrPort{}); in.Err != nil {
		t.Fatal(in.Err)
	}
	for i := 2; i <= maxSenders; i++ {
		if _, _, err := open(b, sealed(t, first, bob, "x")); err != nil {
			t.Fatalf("a sender that is heard was forgotten: %v", err)
		}
		meet(t, b, nth(i))
	}
	wantErr(t, b, answer, ErrUnproved)
	wantErr(t, b, recorded, ErrUnproved)
	for _, p := range shake(t, second, b, sealed(t, second, bob, "of now, and long enough"), netip.AddrPort{}) {
		if string(p.Plain) == "recorded" {
			t.Error("what was kept of a recording is taken")
		}
	}
	wantErr(t, b, recorded, ErrReplay)
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
