package seal

import (
	"bytes"
	"errors"
	"net/netip"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

var (
	here  = netip.MustParseAddrPort("10.0.0.1:7521")
	there = netip.MustParseAddrPort("10.0.0.2:7521")
)

// pass lets time go by, in a bubble of synctest.
func pass(d time.Duration) { <-time.After(d) }

// shake carries replies between two sealers until there are none, and returns
// what b was given.
func shake(t testing.TB, a, b *Sealer, toB []byte, via netip.AddrPort) []Packet {
	t.Helper()
	in := b.Receive(bytes.Clone(toB), via)
	var got []Packet
	for range 10 {
		got = append(got, in.Proved...)
		if in.From != "" && in.Plain != nil {
			got = append(got, Packet{From: in.From, Plain: in.Plain})
		}
		if in.Reply == nil {
			return got
		}
		back := a.Receive(in.Reply, via)
		if back.Reply == nil {
			return got
		}
		in = b.Receive(back.Reply, via)
	}
	t.Fatal("the handshake does not end")
	return nil
}

// The first packet after a start is kept, and given to the caller one round trip
// later, with where it came from.
func TestFirstPacketWaitsForTheProof(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKey()
		a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 1)
		pass(time.Second) // it must have run for longer than the round trip
		got := shake(t, a, b, sealed(t, a, bob, "the very first of all"), here)
		if len(got) != 1 || got[0].From != alice || got[0].Via != here || string(got[0].Plain) != "the very first of all" {
			t.Fatalf("got %v", got)
		}
		if in := b.Receive(sealed(t, a, bob, "second"), here); in.Reply != nil || string(in.Plain) != "second" {
			t.Errorf("the second is not taken at once: %+v", in)
		}
	})
}

// A receiver that restarted takes nothing that was recorded before, whether the
// sender is gone, or has restarted, or goes on.
func TestNothingRecordedIsTakenAfterARestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKey()
		gone, rebooted := newSealer(t, k, "home", carol, 5), newSealer(t, k, "home", alice, 5)
		old := newSealer(t, k, "home", bob, 1)
		meet(t, old, gone)
		meet(t, old, rebooted)
		var recorded [][]byte
		record := func(from *Sealer, n int) {
			for range n {
				p := sealed(t, from, bob, "recorded, and long enough for a reply")
				recorded = append(recorded, p)
				pass(10 * time.Millisecond)
			}
		}
		record(gone, 20)
		record(rebooted, 20)
		alive := newSealer(t, k, "home", alice, 6)
		challenge := old.Receive(sealed(t, alive, bob, "enough for a challenge"), here).Reply
		answer := alive.Receive(challenge, here).Reply
		recorded = append(recorded, answer)
		record(alive, 20)

		b := newSealer(t, k, "home", bob, 2)
		replay := func(when string, want ...error) {
			t.Helper()
			for i, p := range recorded {
				in := b.Receive(bytes.Clone(p), there)
				ok := false
				for _, w := range want {
					ok = ok || errors.Is(in.Err, w)
				}
				if !ok || in.From != "" || len(in.Proved) > 0 {
					t.Fatalf("%s, packet %d: %+v", when, i, in)
				}
				if len(in.Reply) > len(p) {
					t.Fatalf("%s: a packet of %d bytes caused one of %d", when, len(p), len(in.Reply))
				}
			}
		}
		replay("before anybody is heard", ErrUnproved)
		pass(time.Second)
		if got := shake(t, alive, b, sealed(t, alive, bob, "here I am, packet of now"), here); len(got) != 1 {
			t.Fatalf("the true sender is heard with %d packets", len(got))
		}
		replay("after the true sender is heard", ErrUnproved, ErrReplay, ErrOldBoot)
	})
}

// Of what was kept, only that is taken which was sent since the receiver's start:
// the sender says so, to the mark.
func TestKeptPacketsFromBeforeAreDropped(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKey()
		a := newSealer(t, k, "home", alice, 1)
		before := sealed(t, a, bob, "sent before the start of the receiver")
		pass(time.Second)
		b := newSealer(t, k, "home", bob, 1)
		pass(time.Second)
		after := sealed(t, a, bob, "sent after it")
		pass(time.Second)
		b.Receive(before, there)
		b.Receive(after, here)
		got := shake(t, a, b, sealed(t, a, bob, "sent now, and long enough"), here)
		if len(got) != 2 || string(got[0].Plain) != "sent after it" || got[0].Via != here {
			t.Errorf("got %q", got)
		}
	})
}

// What a challenge says of its age holds also where the other's memory of its
// packets does not reach back so far.
func TestFloorIsNeverTooLow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		a := newSealer(t, NewKey(), "home", alice, 1)
		type sent struct {
			at      time.Time
			counter uint64
		}
		var all []sent
		for i := range 3000 {
			sealed(t, a, bob, "")
			all = append(all, sent{time.Now(), a.counter.Load()})
			pass(time.Duration(1+i*7%13) * time.Millisecond)
		}
		for age := time.Duration(0); age < 12*time.Second; age += 37 * time.Millisecond {
			floor := a.marks.floor(age, a.counter.Load())
			for _, p := range all {
				if p.counter > floor && time.Since(p.at) > age {
					t.Fatalf("age %v: floor %d, but packet %d is %v old", age, floor, p.counter, time.Since(p.at))
				}
			}
			if newest := a.counter.Load(); age > time.Second && newest-floor < 50 {
				t.Fatalf("age %v: floor %d of %d vouches for hardly anything", age, floor, newest)
			}
		}
	})
}

// Whoever floods a receiver with recordings fills a bounded memory, and keeps
// nobody from proving.
func TestFloodOfRecordingsIsBounded(t *testing.T) {
	k := NewKey()
	b := newSealer(t, k, "home", bob, 1)
	for i := range 500 {
		s := newSealer(t, k, "home", raft.NodeIDFrom([10]byte{1, byte(i >> 8), byte(i)}), 1)
		for range 30 {
			b.Receive(sealed(t, s, bob, "recorded, and long enough for a reply"), there)
		}
	}
	if len(b.held) > maxHeld || len(b.senders) != 0 {
		t.Errorf("%d packets are kept, %d senders", len(b.held), len(b.senders))
	}
	a, older := newSealer(t, k, "home", alice, 9), newSealer(t, k, "home", alice, 8)
	first := sealed(t, a, bob, "the first, which must not be lost")
	c := b.Receive(bytes.Clone(first), here)
	for range 100 {
		b.Receive(sealed(t, older, bob, "recorded of an earlier boot"), there)
	}
	in := b.Receive(a.Receive(c.Reply, here).Reply, here)
	if len(in.Proved) != 1 || string(in.Proved[0].Plain) != "the first, which must not be lost" {
		t.Errorf("%+v", in)
	}
}

// Another agent with our ID is told from our own packets of an earlier run.
func TestTwin(t *testing.T) {
	k := NewKey()
	past, b, twin := newSealer(t, k, "home", bob, 1), newSealer(t, k, "home", bob, 2), newSealer(t, k, "home", bob, 2)
	wantErr(t, b, sealed(t, b, "", "our own"), ErrOwn)
	wantErr(t, b, sealed(t, past, "", "recorded of an earlier run"), ErrUnproved)
	c := b.Receive(sealed(t, twin, "", "another agent is talking"), here)
	answer := twin.Receive(c.Reply, here)
	if in := b.Receive(answer.Reply, here); !errors.Is(in.Err, ErrTwin) || in.From != "" {
		t.Errorf("%+v", in)
	}
	wantErr(t, b, sealed(t, twin, "", "more of it"), ErrTwin)
}

// A device on an old copy of its database is told so, and one that is spoken to
// with recordings of its past is not misled.
func TestOutdatedDevicesAreTold(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		k := NewKey()
		a, old, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 2), newSealer(t, k, "home", bob, 3)
		pass(time.Second)
		recorded := sealed(t, old, alice, "recorded of boot 2")
		if got := shake(t, b, a, sealed(t, b, alice, "a packet of boot 3"), here); len(got) != 1 {
			t.Fatalf("got %v", got)
		}
		forged := bytes.Clone(recorded)
		forged[len(forged)-1]++
		if in := a.Receive(forged, there); in.Reply != nil || !errors.Is(in.Err, ErrOldBoot) {
			t.Errorf("a forged packet is answered: %+v", in)
		}
		pass(time.Second)
		in := a.Receive(bytes.Clone(recorded), there)
		if in.Reply == nil || !errors.Is(in.Err, ErrOldBoot) {
			t.Fatalf("not told: %+v", in)
		}
		if len(in.Reply) > len(recorded) {
			t.Errorf("the answer to %d bytes has %d", len(recorded), len(in.Reply))
		}
		if again := a.Receive(bytes.Clone(recorded), there); again.Reply != nil {
			t.Error("told twice in a moment")
		}
		b.Receive(bytes.Clone(in.Reply), there)
		select {
		case <-b.Superseded():
			t.Error("the newest boot believes that there is a later one")
		default:
		}
		if got := old.Receive(in.Reply, there); !errors.Is(got.Err, ErrTwin) {
			t.Errorf("%+v", got)
		}
		select {
		case <-old.Superseded():
		default:
			t.Error("the old boot does not know")
		}
	})
}

// Sessions, and with them the pairs of subkey and nonce, differ from boot to boot
// where the random source always gives the same, and within one boot number
// where the database was set back. No clock has a part in it.
func TestSessionsNeverRepeat(t *testing.T) {
	k := NewKey()
	var weak [8]byte
	seen := map[string]bool{}
	nonces := map[[nonceLen]byte]bool{}
	for boot := range uint64(100) {
		s, err := newWith(weak, k, "home", alice, boot)
		if err != nil {
			t.Fatal(err)
		}
		for range 3 {
			seen[string(sealed(t, s, bob, "")[offSession:headerLen])] = true
		}
		e := epoch{} // as a start with the same random numbers makes it
		e.draw(s.session, [16]byte{})
		nonces[e.nonce] = true
	}
	for range 100 { // restored again and again
		seen[string(sealed(t, newSealer(t, k, "home", alice, 7), bob, "")[offSession:headerLen])] = true
	}
	if len(seen) != 400 || len(nonces) != 100 {
		t.Errorf("%d of 400 nonces, %d of 100 challenges", len(seen), len(nonces))
	}
}

// A challenge's nonce must differ where random numbers and boot repeat each
// other's failure, too: within one run it counts.
func TestEpochsDiffer(t *testing.T) {
	s := newSealer(t, NewKey(), "home", alice, 1)
	before := s.epoch.nonce
	s.epoch.begin(s.session)
	if before == s.epoch.nonce {
		t.Error("an epoch's nonce came again")
	}
}
