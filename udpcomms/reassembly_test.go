package udpcomms

import (
	"bytes"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// start is a time to begin tests at.
var start = time.Date(1970, 1, 1, 0, 0, 0, 0, time.UTC)

// pieces cuts random bytes into fragments.
func pieces(t *testing.T, seed uint64, message uint64, total int) ([]byte, []fragment) {
	t.Helper()
	whole := make([]byte, total)
	chacha := rand.NewChaCha8([32]byte{byte(seed)})
	chacha.Read(whole)
	var list []fragment
	for i := range fragmentCount(total) {
		f, err := parseFragment(appendFragment(nil, message, i, whole))
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, f)
	}
	return whole, list
}

func wantEmpty(t *testing.T, r *reassembler) {
	t.Helper()
	sum := r.bytes
	for _, in := range r.senders {
		sum += in.bytes + len(in.building)
	}
	if sum != 0 {
		t.Errorf("something is left: %+v", r.senders)
	}
	if asks, abandoned, next := r.tick(start.Add(time.Hour)); len(asks) != 0 || abandoned != 0 || !next.IsZero() {
		t.Errorf("something is still due: %v, %d, %v", asks, abandoned, next)
	}
}

func TestReassemblyInAnyOrderWithRepeats(t *testing.T) {
	for seed := range uint64(10) {
		random := rand.New(rand.NewPCG(seed, 1))
		whole, list := pieces(t, seed, 9, maxPlain+random.IntN(200_000))
		var r reassembler
		var got []byte
		for _, i := range append(random.Perm(len(list)), random.Perm(len(list))...) {
			done, reason := r.add(alice, list[i], start)
			if done != nil {
				if got != nil {
					t.Fatal("the message is complete twice")
				}
				got = done
			} else if got != nil && reason != dropDuplicateFragment {
				t.Errorf("a fragment after the end: %v", reason)
			}
		}
		if !bytes.Equal(got, whole) {
			t.Errorf("seed %d: not what was cut", seed)
		}
		wantEmpty(t, &r)
	}
}

func TestReassemblyKeepsSendersAndMessagesApart(t *testing.T) {
	var r reassembler
	wholeA, fromA := pieces(t, 1, 5, 3000)
	wholeB, fromB := pieces(t, 2, 5, 3000)
	wholeC, second := pieces(t, 3, 6, 3000)
	for i := range fromA {
		a, _ := r.add(alice, fromA[i], start)
		b, _ := r.add(bob, fromB[i], start)
		c, _ := r.add(alice, second[i], start)
		if last := i == len(fromA)-1; last && !(bytes.Equal(a, wholeA) && bytes.Equal(b, wholeB) && bytes.Equal(c, wholeC)) {
			t.Error("messages are mixed up")
		}
	}
	wantEmpty(t, &r)
}

func TestReassemblyRefusesAnotherLength(t *testing.T) {
	var r reassembler
	_, list := pieces(t, 1, 5, 3000)
	_, longer := pieces(t, 1, 5, 4000)
	r.add(alice, list[0], start)
	if whole, reason := r.add(alice, longer[3], start); whole != nil || reason != dropMalformed {
		t.Errorf("reason %v", reason)
	}
}

func TestMissingIsAskedForUntilGivenUp(t *testing.T) {
	var r reassembler
	_, list := pieces(t, 1, 5, 5*fragmentData)
	r.add(alice, list[0], start)
	r.add(alice, list[3], start)
	if asks, _, next := r.tick(start.Add(askAfter - 1)); len(asks) != 0 || !next.Equal(start.Add(askAfter)) {
		t.Fatalf("too early: %v, next %v", asks, next)
	}
	now, requests, gaveUp := start, 0, 0
	for next := start.Add(askAfter); !next.IsZero(); {
		if next.Before(now) || next.Sub(now) > 2*askAtMost {
			t.Fatalf("after %v comes %v", now, next)
		}
		now = next
		var asks []ask
		var abandoned int
		asks, abandoned, next = r.tick(now)
		for _, a := range asks {
			requests++
			if a.to != alice || a.message != 5 || len(a.runs) != 2 || a.runs[0] != (run{1, 2}) || a.runs[1] != (run{4, 1}) {
				t.Fatalf("request %+v", a)
			}
		}
		gaveUp += abandoned
	}
	if requests != maxRequests || gaveUp != 1 {
		t.Errorf("%d requests, given up %d times", requests, gaveUp)
	}
	if now.Sub(start) > retainFor {
		t.Errorf("given up after %v, when the sender has long forgotten it", now.Sub(start))
	}
	if _, reason := r.add(alice, list[1], now); reason != dropDuplicateFragment {
		t.Errorf("a late fragment begins it again: %v", reason)
	}
	wantEmpty(t, &r)
}

// A sender that trickles fragments cannot keep a message open for ever.
func TestReassemblyHasAnEnd(t *testing.T) {
	var r reassembler
	_, list := pieces(t, 1, 5, wire.MaxMessage)
	now, gaveUp := start, 0
	for i := 0; gaveUp == 0 && i < len(list)-1; i++ {
		r.add(alice, list[i], now)
		now = now.Add(askAfter / 2)
		_, gaveUp, _ = r.tick(now)
	}
	if took := now.Sub(start); gaveUp != 1 || took > assemblyAtMost+askAfter {
		t.Errorf("given up %d times after %v", gaveUp, took)
	}
	wantEmpty(t, &r)
}

func TestReassemblyIsBounded(t *testing.T) {
	var r reassembler
	begin := func(from raft.NodeID, message uint64, total int) drop {
		_, reason := r.add(from, fragment{message: message, total: total, data: make([]byte, fragmentData)}, start)
		if r.bytes > maxAllAssemblyBytes || len(r.senders) > maxPeers {
			t.Fatalf("%d bytes, %d senders", r.bytes, len(r.senders))
		}
		return reason
	}
	for i := range uint64(50) {
		want := noDrop
		if i >= maxAssemblies {
			want = dropIncomplete
		}
		if reason := begin(alice, i, 2000); reason != want {
			t.Fatalf("message %d: reason %v, want %v", i, reason, want)
		}
	}
	if in := r.senders[alice]; len(in.building) != maxAssemblies || len(in.done) != rememberDone {
		t.Errorf("%d messages, %d remembered", len(in.building), len(in.done))
	}
	for i := range uint64(3) {
		begin(bob, i, wire.MaxMessage)
	}
	if in := r.senders[bob]; in.bytes != maxAssemblyBytes {
		t.Errorf("one sender has %d bytes", in.bytes)
	}
	refused := 0
	for i := range 2 * maxPeers {
		if begin(raft.NodeIDFrom([10]byte{1, byte(i >> 8), byte(i)}), 1, wire.MaxMessage) == dropAssemblyFull {
			refused++
		}
	}
	if refused < 2*maxPeers-2 {
		t.Errorf("%d of %d were refused", refused, 2*maxPeers)
	}
}

func TestGapsAgainstModel(t *testing.T) {
	for seed := range uint64(200) {
		random := rand.New(rand.NewPCG(seed, 2))
		count := 2 + random.IntN(400)
		a := &assembly{data: make([]byte, count*fragmentData), have: make([]uint64, (count+63)/64)}
		share := random.IntN(101)
		want := map[int]bool{}
		for i := range count {
			if random.IntN(100) < share {
				a.have[i/64] |= 1 << (i % 64)
			} else {
				want[i] = true
			}
		}
		runs := a.gaps()
		for _, r := range runs {
			for i := r.first; i < r.first+r.count; i++ {
				if !want[i] {
					t.Fatalf("seed %d: fragment %d is not missing", seed, i)
				}
				delete(want, i)
			}
		}
		if len(want) != 0 && len(runs) < maxRanges {
			t.Fatalf("seed %d: fragments %v are missing", seed, want)
		}
	}
}

func TestOutboxIsBoundedAndForgets(t *testing.T) {
	var o outbox
	put := func(message uint64, size int, now time.Time) {
		o.put(&outbound{to: alice, message: message, data: make([]byte, size)}, now)
		if len(o.kept) > maxRetained || o.bytes > maxRetainedBytes {
			t.Fatalf("%d messages of %d bytes", len(o.kept), o.bytes)
		}
	}
	for i := range uint64(maxRetained + 1) {
		put(i, 2000, start)
	}
	one := []run{{0, 1}}
	if m, _ := o.repeat(alice, 0, one, start); m != nil {
		t.Error("the oldest has not given way")
	}
	if m, _ := o.repeat(bob, 1, one, start); m != nil {
		t.Error("repeated to another device")
	}
	if m, runs := o.repeat(alice, 1, one, start.Add(retainFor/2)); m == nil || len(runs) != 1 {
		t.Error("not repeated")
	}
	if m, _ := o.repeat(alice, 2, []run{{1, 2}}, start); m != nil {
		t.Error("repeated beyond its end")
	}
	if next := o.tick(start.Add(retainFor)); len(o.kept) != 1 || !next.Equal(start.Add(retainFor*3/2)) {
		t.Errorf("%d are kept, next at %v", len(o.kept), next)
	}
	if next := o.tick(start.Add(retainFor * 3 / 2)); len(o.kept) != 0 || o.bytes != 0 || !next.IsZero() {
		t.Errorf("%d are kept, %d bytes, next at %v", len(o.kept), o.bytes, next)
	}
	for i := range uint64(10) {
		put(100+i, wire.MaxMessage, start)
	}
}

func TestOutboxRepeatsOnlySoOften(t *testing.T) {
	var o outbox
	o.put(&outbound{to: alice, message: 1, data: make([]byte, 10*fragmentData)}, start)
	repeated := 0
	now := start
	for range 1000 {
		now = now.Add(retainFor / 2)
		_, runs := o.repeat(alice, 1, []run{{0, 4}, {5, 5}}, now)
		for _, r := range runs {
			repeated += r.count
		}
		o.tick(now)
	}
	if repeated == 0 || repeated > maxRepeats*10 || len(o.kept) != 0 {
		t.Errorf("%d fragments of 10 were repeated", repeated)
	}
}
