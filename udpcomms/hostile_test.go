package udpcomms

import (
	"bytes"
	"encoding/binary"
	"errors"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

func TestBadDatagramsAreDroppedAndCounted(t *testing.T) {
	b := listen(t, bob)
	d := newDevice(t, alice)
	d.settle(b)
	good := message(t, note(alice, bob, 1))
	repeated := d.sealed(bob, good)
	d.write(b, repeated)

	flipped := d.sealed(bob, good)
	flipped[len(flipped)-1]++
	old := newSealer(t, testKey, alice, 0)
	oldPacket, _ := old.Seal(nil, bob, good)
	mine, _ := b.sealer.Seal(nil, "", good)
	version := d.sealed(bob, good)
	version[0] = 3
	large := make([]byte, 2000)
	for reason, datagrams := range map[string][][]byte{
		"too_short":  {nil, {0}, make([]byte, seal.Overhead-1)},
		"too_long":   {make([]byte, MaxDatagram+1), make([]byte, 9000)},
		"version":    {make([]byte, 100), version},
		"wrong_key":  {otherKey(t)},
		"auth":       {flipped, flipped[:len(flipped)-1]},
		"replay":     {repeated, repeated},
		"old_boot":   {oldPacket},
		"not_for_us": {d.sealed(carol, good), d.sealed(bob, message(t, note(alice, carol, 1)))},
		"own":        {mine},
		"malformed": {
			d.sealed(bob, nil), d.sealed(bob, []byte{0}), d.sealed(bob, []byte{kindMessage}), d.sealed(bob, []byte{kindFragment}),
			d.sealed(bob, []byte{kindMissing}), d.sealed(bob, []byte{kindWhereIs}), d.sealed(bob, []byte{kindAddresses}), d.sealed(bob, []byte{99}),
			d.sealed(bob, good[:len(good)-1]), d.sealed(bob, append(bytes.Clone(good), 0)),
		},
		"forged_sender":      {d.sealed(bob, message(t, note(carol, bob, 1)))},
		"duplicate_fragment": {d.sealed(bob, appendFragment(nil, 1, 0, large)), d.sealed(bob, appendFragment(nil, 1, 0, large))},
	} {
		before := b.Stats().Dropped
		for _, datagram := range datagrams {
			d.write(b, datagram)
		}
		d.settle(b)
		after := b.Stats().Dropped
		want := uint64(len(datagrams))
		if reason == "duplicate_fragment" {
			want--
		}
		if after[reason] != before[reason]+want {
			t.Errorf("%s: %d counted, want %d", reason, after[reason]-before[reason], want)
		}
		delete(after, reason)
		delete(before, reason)
		if !maps.Equal(after, before) {
			t.Errorf("%s: other counts changed from %v to %v", reason, before, after)
		}
	}
}

// otherKey is a packet sealed with a key that has another key ID.
func otherKey(t testing.TB) []byte {
	t.Helper()
	ours, _ := newSealer(t, testKey, alice, 1).Seal(nil, bob, nil)
	for {
		p, _ := newSealer(t, seal.NewKey(), alice, 1).Seal(nil, bob, nil)
		if p[1] != ours[1] {
			return p
		}
	}
}

func TestRandomDatagramsBreakNothing(t *testing.T) {
	b := listen(t, bob)
	d := newDevice(t, alice)
	random := rand.New(rand.NewPCG(1, 1))
	chacha := rand.NewChaCha8([32]byte{1})
	for i := range 2000 {
		junk := make([]byte, random.IntN(maxPlain+1))
		chacha.Read(junk)
		switch i % 3 {
		case 0: // as it is
			d.write(b, junk)
		case 1: // as a member says it
			if len(junk) > 0 {
				junk[0] %= 7
			}
			d.say(b, junk)
		case 2: // with a plausible header
			p := d.sealed(bob, junk)
			p[random.IntN(len(p))] ^= 1 << random.IntN(8)
			d.write(b, p)
		}
		if i%50 == 0 {
			d.settle(b)
		}
	}
	d.settle(b)
}

func TestStrangersAreToldOnceAndTakeNoMemory(t *testing.T) {
	var log lines
	b := listen(t, bob, withLogger(slog.New(slog.NewTextHandler(&log, nil))))
	d := newDevice(t, alice)
	d.settle(b)
	stranger := newDevice(t, carol)
	p := otherKey(t)
	const flood = 3000
	for i := range flood {
		binary.BigEndian.PutUint32(p[2:], uint32(i)) // another sender each time
		stranger.write(b, p)
		if i%100 == 99 {
			stranger.settle(b)
		}
	}
	stats := b.Stats()
	if stats.Dropped["wrong_key"] != flood {
		t.Errorf("%d of %d counted", stats.Dropped["wrong_key"], flood)
	}
	if s := stats.LastStranger; s.Addr != stranger.addr() || !errors.Is(s.Reason, seal.ErrWrongKey) || s.Ago < 0 || s.Ago > patience {
		t.Errorf("last stranger %+v", s)
	}
	if n := strings.Count(log.String(), "\n"); n != 1 || !strings.Contains(log.String(), stranger.addr().String()) {
		t.Errorf("%d log lines:\n%s", n, log.String())
	}
	if n := len(b.Peers()); n != 2 {
		t.Errorf("%d devices in the address book", n)
	}
}

func TestHintsAreBounded(t *testing.T) {
	a := listen(t, alice)
	b := newDevice(t, bob)
	b.settle(a)
	for i := range 1000 {
		id := raft.NodeIDFrom([10]byte{9, byte(i >> 8), byte(i)})
		for j := range byte(20) {
			a.Hint(id, []netip.AddrPort{netip.AddrPortFrom(netip.AddrFrom4([4]byte{127, 9, 9, j}), 9)})
		}
	}
	a.mu.Lock()
	for _, p := range a.peers {
		if len(p.hints) > maxHints {
			t.Errorf("%d hints of one device", len(p.hints))
		}
	}
	n := len(a.peers)
	a.mu.Unlock()
	if n != maxPeers {
		t.Errorf("%d devices in the address book, want %d", n, maxPeers)
	}
	// Inventions must not keep a true device out, nor push one out.
	c := newDevice(t, carol)
	c.settle(a)
	a.Send(note(alice, carol, 1))
	a.Send(note(alice, bob, 2))
	c.hear()
	b.hear()
}

func TestUnusableHintsAreIgnored(t *testing.T) {
	a := listen(t, alice)
	a.Hint(bob, append(addrs("0.0.0.0:1", "[::]:1", "224.0.0.251:5353", "[ff02::fb]:5353", "255.255.255.255:1", "1.2.3.4:0"), netip.AddrPort{}))
	a.Hint("bad", addrs("1.2.3.4:5"))
	a.Hint(alice, addrs("1.2.3.4:5"))
	a.Hint(carol, addrs("[::ffff:1.2.3.4]:5", "1.2.3.4:5"))
	a.mu.Lock()
	defer a.mu.Unlock()
	if len(a.peers) != 2 || len(a.peers[bob].hints) != 0 || len(a.peers[carol].hints) != 1 {
		t.Errorf("bob %+v, carol %+v, %d devices", a.peers[bob], a.peers[carol], len(a.peers))
	}
}

func TestLargeMessagesAreTakenOnlyWhileFewWait(t *testing.T) {
	b := listen(t, bob)
	d := newDevice(t, alice)
	whole, err := wire.AppendMessage(nil, large(alice, bob, 2*largeMessage, 1))
	if err != nil {
		t.Fatal(err)
	}
	for i := range uint64(maxReceivedLarge + 3) {
		for f := range fragmentCount(len(whole)) {
			d.say(b, appendFragment(nil, i, f, whole))
		}
	}
	d.say(b, appendWhereIs(nil, bob))
	d.hear()
	if n := b.Stats().Dropped["receive_full"]; n != 3 || len(b.received) != maxReceivedLarge {
		t.Errorf("%d dropped, %d wait", n, len(b.received))
	}
}

// Everything in memory that serves unfinished messages ends by itself, and then
// no timer runs.
func TestUnfinishedMessagesEnd(t *testing.T) {
	b := listen(t, bob)
	d := newDevice(t, alice)
	d.say(b, appendFragment(nil, 1, 0, make([]byte, 5000)))
	for range maxRequests {
		if _, plain := d.hear(); plain[0] != kindMissing {
			t.Fatalf("kind %d", plain[0])
		}
	}
	end := time.After(patience)
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for b.Stats().Dropped["incomplete"] == 0 {
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("never given up: %+v", b.Stats())
		}
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if !b.tendAt.IsZero() || b.reassembler.bytes != 0 {
		t.Errorf("due at %v, %d bytes", b.tendAt, b.reassembler.bytes)
	}
}
