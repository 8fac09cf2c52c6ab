package seal

import (
	"bytes"
	"encoding/hex"
	"errors"
	"net/netip"
	"sync"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	alice raft.NodeID = "aliceaaaaaaaaaaa"
	bob   raft.NodeID = "bobbbbbbbbbbbbbb"
	carol raft.NodeID = "carolcccccccccc2"
)

func newSealer(t testing.TB, k Key, cluster string, self raft.NodeID, boot uint64) *Sealer {
	t.Helper()
	s, err := New(k, cluster, self, boot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func sealed(t testing.TB, s *Sealer, to raft.NodeID, text string) []byte {
	t.Helper()
	p, err := s.Seal(nil, to, []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// open opens a copy, so that the packet can be used again.
func open(s *Sealer, packet []byte) (raft.NodeID, string, error) {
	in := s.Receive(bytes.Clone(packet), netip.AddrPort{})
	return in.From, string(in.Plain), in.Err
}

// meet lets the first of the two take packets of the second.
func meet(t testing.TB, by, of *Sealer) {
	t.Helper()
	challenged := by.Receive(sealed(t, of, "", "xxxxxxxxxxxxxxxxx"), netip.AddrPort{})
	if !errors.Is(challenged.Err, ErrUnproved) || challenged.Reply == nil {
		t.Fatalf("no challenge: %v", challenged.Err)
	}
	answered := of.Receive(challenged.Reply, netip.AddrPort{})
	if answered.Reply == nil {
		t.Fatalf("no answer: %v", answered.Err)
	}
	if proved := by.Receive(answered.Reply, netip.AddrPort{}); proved.Err != nil || proved.From == "" {
		t.Fatalf("not proved: %v", proved.Err)
	}
}

func wantOpen(t testing.TB, s *Sealer, packet []byte, wantFrom raft.NodeID, want string) {
	t.Helper()
	if from, text, err := open(s, packet); err != nil || from != wantFrom || text != want {
		t.Fatalf("Open = %q, %q, %v; want %q, %q", from, text, err, wantFrom, want)
	}
}

func wantErr(t testing.TB, s *Sealer, packet []byte, want error) {
	t.Helper()
	if from, text, err := open(s, packet); !errors.Is(err, want) || from != "" || text != "" {
		t.Fatalf("Open = %q, %q, %v; want %v", from, text, err, want)
	}
}

func TestSealAndOpen(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 9)
	meet(t, a, b)
	meet(t, b, a)
	for _, text := range []string{"", "x", "hello, bob"} {
		prefix := []byte("before")
		p, err := a.Seal(prefix, bob, []byte(text))
		if err != nil || !bytes.HasPrefix(p, prefix) {
			t.Fatalf("Seal: %v", err)
		}
		p = p[len(prefix):]
		if len(p) != len(text)+Overhead {
			t.Errorf("%d bytes sealed make %d; the overhead is not %d", len(text), len(p), Overhead)
		}
		wantOpen(t, b, p, alice, text)
	}
	wantOpen(t, b, sealed(t, a, "", "to anyone"), alice, "to anyone")
	wantOpen(t, a, sealed(t, b, alice, "back"), bob, "back")
}

// Packets of one release must be opened by the next: this one was recorded.
func TestOldPacketStillOpens(t *testing.T) {
	recorded, err := hex.DecodeString(recordedPacket)
	if err != nil {
		t.Fatal(err)
	}
	b := newSealer(t, countingKey(), "home", bob, 1)
	wantErr(t, b, recorded, ErrUnproved)
	b.mu.Lock()
	defer b.mu.Unlock()
	if len(b.held) != 1 || string(b.held[0].plain) != "version 1" {
		t.Errorf("it was opened as %v", b.held)
	}
}

func TestAnyFlippedBitIsRefused(t *testing.T) {
	k := NewKey()
	a := newSealer(t, k, "home", alice, 5)
	b := newSealer(t, k, "home", bob, 1)
	meet(t, b, a)
	p := sealed(t, a, bob, "text")
	for i := range len(p) * 8 {
		damaged := bytes.Clone(p)
		damaged[i/8] ^= 1 << (i % 8)
		if _, _, err := open(b, damaged); err == nil {
			t.Errorf("bit %d of byte %d may be flipped", i%8, i/8)
		}
		if _, _, err := open(b, p[:i/8]); err == nil {
			t.Errorf("the first %d bytes are taken", i/8)
		}
	}
	if len(b.senders) != 1 || len(b.held) != 0 {
		t.Errorf("forged packets left state of %d senders, and %d packets", len(b.senders), len(b.held))
	}
	wantOpen(t, b, p, alice, "text")
}

func TestOpenSaysWhyNot(t *testing.T) {
	k := countingKey()
	a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 1)
	p := sealed(t, a, bob, "text")

	otherVersion := bytes.Clone(p)
	otherVersion[0] = 3
	forged := bytes.Clone(p)
	forged[len(forged)-1]++
	sameID := NewKey() // another key whose ID happens to be alike
	for k.ID()[0] != sameID.ID()[0] {
		sameID = NewKey()
	}
	otherID := NewKey()
	for k.ID()[0] == otherID.ID()[0] {
		otherID = NewKey()
	}
	for name, c := range map[string]struct {
		packet []byte
		want   error
	}{
		"nothing":                {nil, ErrTooShort},
		"one byte too few":       {make([]byte, Overhead-1), ErrTooShort},
		"other version":          {otherVersion, ErrVersion},
		"other key":              {sealed(t, newSealer(t, otherID, "home", alice, 1), bob, ""), ErrWrongKey},
		"other key of like ID":   {sealed(t, newSealer(t, sameID, "home", alice, 1), bob, ""), ErrAuth},
		"other cluster name":     {sealed(t, newSealer(t, k, "work", alice, 1), bob, ""), ErrAuth},
		"forged":                 {forged, ErrAuth},
		"for someone else":       {sealed(t, a, carol, ""), ErrNotForUs},
		"our own":                {sealed(t, b, "", ""), ErrOwn},
		"our own, of other boot": {sealed(t, newSealer(t, k, "home", bob, 2), "", ""), ErrUnproved},
	} {
		if _, _, err := open(b, c.packet); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", name, err, c.want)
		}
	}
}

func TestNewRefuses(t *testing.T) {
	k := NewKey()
	for name, err := range map[string]error{
		"no key":      second(New(Key{}, "home", alice, 1)),
		"no name":     second(New(k, "", alice, 1)),
		"endless":     second(New(k, string(make([]byte, 256)), alice, 1)),
		"bad ID":      second(New(k, "home", "Alice", 1)),
		"reserved ID": second(New(k, "home", "aaaaaaaaaaaaaaaa", 1)),
	} {
		if err == nil {
			t.Errorf("%s: no error", name)
		}
	}
	s := newSealer(t, k, "home", alice, 1)
	if out, err := s.Seal([]byte("as it was"), "nobody", nil); !errors.Is(err, errBadID) || string(out) != "as it was" {
		t.Errorf("Seal to a bad ID: %q, %v", out, err)
	}
	s.counter.Store(maxCounter - 1)
	for range 3 {
		if out, err := s.Seal(nil, bob, nil); !errors.Is(err, ErrExhausted) || out != nil {
			t.Errorf("Seal beyond the last counter: %v", err)
		}
	}
}

func second(_ *Sealer, err error) error { return err }

func TestNoncesNeverRepeat(t *testing.T) {
	const goroutines, each = 8, 500
	k := NewKey()
	// Two runs with one boot number: a device restored from a copy.
	runs := []*Sealer{newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", alice, 1)}
	var (
		wg   sync.WaitGroup
		mu   sync.Mutex
		seen = map[string]bool{} // session and counter decide subkey and nonce
	)
	for g := range goroutines {
		wg.Go(func() {
			for range each {
				p, err := runs[g%2].Seal(nil, bob, nil)
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				seen[string(p[offSession:headerLen])] = true
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	if len(seen) != goroutines*each {
		t.Errorf("%d packets used %d nonces", goroutines*each, len(seen))
	}
	if bytes.Equal(sealed(t, runs[0], bob, "")[offNonce:headerLen], sealed(t, runs[0], bob, "")[offNonce:headerLen]) {
		t.Error("the nonce does not move with the counter")
	}
}

func TestConcurrentOpenTakesEachPacketOnce(t *testing.T) {
	k := NewKey()
	a, b := newSealer(t, k, "home", alice, 1), newSealer(t, k, "home", bob, 1)
	meet(t, b, a)
	var packets [][]byte
	for range 200 {
		packets = append(packets, sealed(t, a, bob, "x"))
	}
	var wg sync.WaitGroup
	taken := make([]int, 4)
	for g := range taken {
		wg.Go(func() {
			for _, p := range packets {
				if _, _, err := open(b, p); err == nil {
					taken[g]++
				} else if !errors.Is(err, ErrReplay) {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if sum := taken[0] + taken[1] + taken[2] + taken[3]; sum != len(packets) {
		t.Errorf("%d packets were taken %d times", len(packets), sum)
	}
}

// recordedPacket is "version 1" from alice to bob in cluster "home" with the
// counting key, as the first release sealed it.
const recordedPacket = "018202d022000000000000000b8210842108421084210000000000000003927e9b18c0d5a52e0000000000000001dc965032f0ed309a7d31a47293483ab51cbd7ba7436bafb0f6"
