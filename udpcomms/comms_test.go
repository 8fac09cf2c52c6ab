package udpcomms

import (
	"log/slog"
	"net"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

func TestSendAndReceive(t *testing.T) {
	for name, c := range map[string]struct{ listenA, listenB, hostA, hostB string }{
		"IPv4":             {"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		"IPv6":             {"[::1]:0", "[::1]:0", "::1", "::1"},
		"dual stack, IPv4": {":0", "127.0.0.1:0", "127.0.0.1", "127.0.0.1"},
		"dual stack, IPv6": {":0", "[::1]:0", "::1", "::1"},
	} {
		t.Run(name, func(t *testing.T) {
			if name != "IPv4" {
				haveIPv6(t)
			}
			a, b := listen(t, alice, on(c.listenA)), listen(t, bob, on(c.listenB))
			a.Hint(bob, []netip.AddrPort{at(b, c.hostB)})
			prove(t, b.sealer, a.sealer)
			want := note(alice, bob, 1)
			a.Send(want)
			wantSame(t, receive(t, b), want)
			back := note(bob, alice, 2) // b was told no address
			b.Send(back)
			wantSame(t, receive(t, a), back)
			if peers := b.Peers(); len(peers) != 1 || peers[0].ID != alice || !peers[0].Heard || peers[0].Addr != at(a, c.hostA) {
				t.Errorf("peers of b: %+v; a is at %v", peers, at(a, c.hostA))
			}
		})
	}
}

func TestListenSaysWhatIsWrong(t *testing.T) {
	taken := listen(t, alice)
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no port":      {on("127.0.0.1"), "write it like :7521"},
		"bad port":     {on(":70000"), "0 to 65535"},
		"a name":       {on("localhost:0"), "use an IP address"},
		"port taken":   {on(local(taken).String()), "choose another port (udp.listen)"},
		"not ours":     {on("192.0.2.250:0"), "name one that it has"},
		"no sealer":    {withSealer(nil), "lacks"},
		"no identity":  {func(c *Config) { c.Self = "" }, "lacks"},
		"seed no port": {withSeeds("pi4"), "device.local:7521"},
		"seed port 0":  {withSeeds("pi4:0"), "1 to 65535"},
		"many seeds":   {withSeeds(make([]string, maxSeeds+1)...), "the limit is 64"},
	} {
		cfg := Config{Listen: "127.0.0.1:0", Self: bob, Seal: newSealer(t, testKey, bob, 1), Logger: slog.New(slog.DiscardHandler)}
		c.change(&cfg)
		comms, err := Listen(cfg)
		if err == nil {
			comms.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

func TestCloseEndsEverything(t *testing.T) {
	a, b := listen(t, alice, withSeeds("no.such.host.invalid:1")), listen(t, bob)
	meet(t, a, b)
	for i := range uint64(10) {
		a.Send(large(alice, bob, 1<<20, i)) // goroutines are in the midst of it
	}
	for range 2 {
		if err := a.Close(); err != nil {
			t.Fatal(err)
		}
	}
	a.Send(note(alice, bob, 1)) // does nothing
	a.Hint(carol, nil)
	if got := a.Peers(); len(got) == 0 {
		t.Error("the address book is gone")
	}
}

func TestSendRefusesWhatBreaksTheContract(t *testing.T) {
	a := listen(t, alice)
	for name, m := range map[string]raft.Message{
		"other sender":     note(bob, carol, 1),
		"to itself":        note(alice, alice, 1),
		"to anyone":        note(alice, "", 1),
		"to a bad ID":      note(alice, "nobody", 1),
		"without body":     {From: alice},
		"unknown sender":   {To: bob, Body: raft.Join{}},
		"another body too": {From: alice, To: "", Body: raft.AppendRequest{}},
	} {
		before := a.Stats().Dropped["unsendable"]
		a.Send(m)
		if got := a.Stats().Dropped["unsendable"]; got != before+1 {
			t.Errorf("%s: %d counted", name, got-before)
		}
	}
	if n := len(a.Peers()); n != 0 {
		t.Errorf("%d devices came into the address book", n)
	}
}

func TestJoinGoesToEveryoneKnown(t *testing.T) {
	b, c := listen(t, bob), listen(t, carol)
	seeded := newDevice(t, "dddddddddddddddd")
	a := listen(t, alice, withSeeds(seeded.addr().String()))
	seeded.meet(a)
	prove(t, c.sealer, a.sealer)
	meet(t, a, b)
	a.Hint(carol, []netip.AddrPort{local(c)})
	join := raft.Message{From: alice, Body: raft.Join{Name: "pi"}}
	a.Send(join)
	wantSame(t, receive(t, b), join)
	wantSame(t, receive(t, c), join)
	if from, plain := seeded.hear(); from != alice || plain[0] != kindMessage {
		t.Errorf("the seed got kind %d from %q", plain[0], from)
	}
	answer := raft.Message{From: carol, To: alice, Body: raft.JoinAnswer{Leader: bob}}
	c.Send(answer)
	wantSame(t, receive(t, a), answer)
}

func TestSeedNamesAreResolved(t *testing.T) {
	b := listen(t, bob)
	_, port, _ := net.SplitHostPort(local(b).String())
	a := listen(t, alice, withSeeds(net.JoinHostPort("localhost", port)))
	// The first Joins may come before the name is resolved.
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	end := time.After(patience)
	for {
		a.Send(raft.Message{From: alice, Body: raft.Join{Name: "pi"}})
		select {
		case <-b.Received():
			return
		case <-again.C:
		case <-end:
			t.Fatalf("the seed's name was not resolved: %+v", a.Stats())
		}
	}
}

func TestRoaming(t *testing.T) {
	b := listen(t, bob)
	d := newDevice(t, alice)
	d.settle(b)
	moved := newDevice(t, alice)
	moved.seal, moved.met = d.seal, d.met // the same agent, elsewhere
	moved.settle(b)
	if peers := b.Peers(); len(peers) != 1 || peers[0].Addr != moved.addr() {
		t.Fatalf("peers %+v, the device is at %v", peers, moved.addr())
	}
	b.Send(note(bob, alice, 7))
	if from, plain := moved.hear(); from != bob || plain[0] != kindMessage {
		t.Errorf("kind %d from %q", plain[0], from)
	}
}

// A device that can prove nothing must not draw another's traffic to itself.
func TestReplayFromElsewhereMovesNobody(t *testing.T) {
	b := listen(t, bob)
	d, thief := newDevice(t, alice), newDevice(t, carol)
	d.meet(b)
	packet := d.sealed(bob, message(t, note(alice, bob, 1)))
	d.write(b, packet)
	receiveNote(t, b, 1)
	thief.write(b, packet)
	thief.settle(b)
	for _, p := range b.Peers() {
		if p.ID == alice && p.Addr != d.addr() {
			t.Errorf("alice moved to %v by a replayed packet", p.Addr)
		}
	}
	if n := b.Stats().Dropped["replay"]; n != 1 {
		t.Errorf("%d replays counted", n)
	}
}

func TestDevicesTellEachOtherAddresses(t *testing.T) {
	a, b, c := listen(t, alice), listen(t, bob), listen(t, carol)
	meet(t, a, b)
	meet(t, c, b)
	a.Send(note(alice, bob, 1))
	receiveNote(t, b, 1)
	c.Send(note(carol, bob, 2))
	receiveNote(t, b, 2)
	b.Send(note(bob, alice, 3)) // now alice has heard bob
	receiveNote(t, a, 3)

	// The first message has nowhere to go, but makes alice ask bob.
	again := time.NewTicker(20 * time.Millisecond)
	defer again.Stop()
	end := time.After(patience)
	for {
		a.Send(note(alice, carol, 4))
		select {
		case m := <-c.Received():
			wantSame(t, m, note(alice, carol, 4))
			if a.Stats().Dropped["no_address"] == 0 {
				t.Error("alice knew the address before")
			}
			return
		case <-again.C:
		case <-end:
			t.Fatalf("alice: %+v, peers %+v", a.Stats(), a.Peers())
		}
	}
}

func TestLargeMessageToCandidatesOnlyFindsItsWay(t *testing.T) {
	a, b := listen(t, alice), listen(t, bob)
	prove(t, b.sealer, a.sealer)
	a.Hint(bob, []netip.AddrPort{local(b)})
	want := large(alice, bob, 64<<10, 1)
	a.Send(want)
	wantSame(t, receive(t, b), want)
}

func TestFullQueuesDropAndCount(t *testing.T) {
	b := listen(t, bob)
	d := newDevice(t, alice)
	const extra = 50
	for i := range uint64(maxReceived + extra) {
		d.say(b, message(t, note(alice, bob, i)))
	}
	// The answer to a question comes once everything before it was handled.
	d.say(b, appendWhereIs(nil, bob))
	if _, plain := d.hear(); plain[0] != kindAddresses {
		t.Fatalf("kind %d", plain[0])
	}
	if n := b.Stats().Dropped["receive_full"]; n != extra {
		t.Errorf("%d messages were dropped, want %d", n, extra)
	}
	for i := range uint64(maxReceived) {
		if m := receive(t, b); m.Body.(raft.ReadRequest).Seq != i {
			t.Fatalf("message %d is %+v: not the newest were dropped", i, m)
		}
	}

	a := listen(t, alice)
	a.mu.Lock() // nothing is sent meanwhile
	p := a.lookUp(bob, time.Now())
	p.sending = true
	a.mu.Unlock()
	for i := range uint64(maxQueue + extra) {
		a.Send(note(alice, bob, i))
	}
	a.mu.Lock()
	if len(p.queue) != maxQueue || p.queue[0].Body.(raft.ReadRequest).Seq != extra {
		t.Errorf("%d messages wait, the first is %+v", len(p.queue), p.queue[0])
	}
	a.mu.Unlock()
	for i := range uint64(10) {
		a.Send(large(alice, bob, 1<<20, i))
	}
	a.mu.Lock()
	if p.queueBytes > maxQueueBytes || len(p.queue) != 2 {
		t.Errorf("%d messages of %d bytes wait", len(p.queue), p.queueBytes)
	}
	a.mu.Unlock()
	if n := a.Stats().Dropped["queue_full"]; n != extra+maxQueue+8 {
		t.Errorf("%d messages gave way", n)
	}
}

func TestNetworkErrorsAreCounted(t *testing.T) {
	a := listen(t, alice, on("127.0.0.1:0"))
	b := listen(t, bob)
	a.Hint(carol, addrs("[2001:db8::1]:1")) // not from an IPv4 socket
	a.Send(note(alice, carol, 1))
	meet(t, a, b)
	a.Send(note(alice, bob, 2)) // works on
	receiveNote(t, b, 2)
	for a.Stats().Dropped["send_failed"] == 0 {
		a.Send(note(alice, carol, 1))
		a.Send(note(alice, bob, 3))
		receiveNote(t, b, 3)
	}
	if told := a.Stats().LastError; !strings.Contains(told, "[2001:db8::1]:1") {
		t.Errorf("the error that is told does not say where to: %q", told)
	}
}
