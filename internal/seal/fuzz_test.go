package seal

import (
	"bytes"
	"net/netip"
	"testing"
)

// FuzzReceive gives a receiver that knows alice, and one that does not, a packet.
func FuzzReceive(f *testing.F) {
	k := countingKey()
	a := newSealer(f, k, "home", alice, 3)
	known, stranger := newSealer(f, k, "home", bob, 1), newSealer(f, k, "home", bob, 1)
	meet(f, known, a)
	genuine := sealed(f, a, bob, "genuine")
	f.Add([]byte(nil))
	f.Add(genuine)
	f.Add(genuine[:Overhead])
	f.Add(sealed(f, a, "", ""))
	f.Fuzz(func(t *testing.T, packet []byte) {
		in := known.Receive(bytes.Clone(packet), netip.AddrPort{})
		if in.Err == nil && (in.From != alice || len(in.Plain) != len(packet)-Overhead) {
			t.Fatalf("opened as %q from %q", in.Plain, in.From)
		}
		if in.Err == nil {
			wantErr(t, known, packet, ErrReplay)
		}
		in = stranger.Receive(bytes.Clone(packet), netip.AddrPort{})
		if in.Err == nil || len(in.Reply) > len(packet) || len(stranger.senders) != 0 || len(stranger.held) > maxHeldOfOne {
			t.Fatalf("%v, a reply of %d bytes, %d senders, %d kept", in.Err, len(in.Reply), len(stranger.senders), len(stranger.held))
		}
	})
}

// FuzzControl gives a receiver what only a holder of the key can send: any
// control packet, of a session that is proved and of one that is not.
func FuzzControl(f *testing.F) {
	k := countingKey()
	f.Add([]byte{controlChallenge, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 0}, true)
	f.Add([]byte{controlAnswer, 1, 2, 3, 4, 5, 6, 7, 8, 0, 0, 1, 0}, false)
	f.Add([]byte{controlReport, wantsReport, 1, 2, 3, 4, 5, 6, 7, 8}, true)
	f.Add([]byte{controlReport}, true)
	f.Add([]byte{}, false)
	f.Fuzz(func(t *testing.T, plain []byte, proved bool) {
		a, b := newSealer(t, k, "home", alice, 3), newSealer(t, k, "home", bob, 1)
		if proved {
			meet(t, b, a)
		}
		packet, err := a.seal(nil, versionControl, &(*a.keys.Load())[0], deviceID(mustID(t, bob)), plain)
		if err != nil {
			t.Fatal(err)
		}
		in := b.Receive(packet, netip.AddrPort{})
		if in.Plain != nil || len(in.Proved) > 0 || !proved && in.From != "" || len(in.Reply) > len(packet)+maxRing*len(KeyID{}) {
			t.Fatalf("%+v", in)
		}
		if has, _, _ := b.Keys(alice); len(has) > maxRing {
			t.Fatalf("%d keys", len(has))
		}
	})
}

func FuzzParseRing(f *testing.F) {
	f.Add(countingText)
	f.Add(countingText + "\n" + countingText)
	f.Add("er1-aaaa er1-")
	f.Fuzz(func(t *testing.T, text string) {
		r, err := parseRing(text)
		if err != nil {
			return
		}
		if back, err := parseRing(r.text()); err != nil || back.text() != r.text() {
			t.Fatalf("the ring's own text does not parse: %v", err)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(countingText)
	f.Add("er1-aaaa")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err != nil {
			return
		}
		if back, err := ParseKey(k.Text()); err != nil || !back.Equal(k) {
			t.Fatalf("the key's own text does not parse: %v", err)
		}
	})
}

func BenchmarkSealOpen200(b *testing.B) {
	k := countingKey()
	from, to := newSealer(b, k, "home", alice, 1), newSealer(b, k, "home", bob, 1)
	meet(b, to, from)
	plaintext, packet := make([]byte, 200), make([]byte, 0, 1200)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if packet, err = from.Seal(packet[:0], bob, plaintext); err != nil {
			b.Fatal(err)
		}
		if in := to.Receive(packet, netip.AddrPort{}); in.Err != nil {
			b.Fatal(in.Err)
		}
	}
}
