package udpcomms

import (
	"net/netip"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// What was recorded before a restart of the receiver is not taken after it, and
// moves nobody, though the receiver remembers nothing. The true sender is heard
// all the same, by the packets it sends anyway.
func TestRecordedPacketsAfterARestart(t *testing.T) {
	before := listen(t, bob)
	d, thief := newDevice(t, alice), newDevice(t, carol)
	d.meet(before)
	var recorded [][]byte
	for i := range uint64(50) {
		recorded = append(recorded, d.sealed(bob, message(t, note(alice, bob, i))))
	}
	b := listen(t, bob, withSealer(newSealer(t, testKey, bob, 2)))
	for _, p := range recorded {
		thief.write(b, p)
	}
	thief.settle(b)
	if n := len(b.Peers()); n != 1 {
		t.Fatalf("%d devices are known by recordings: %+v", n-1, b.Peers())
	}
	if n := b.Stats().Dropped["unproved"]; n != uint64(len(recorded)) {
		t.Errorf("%d of %d counted", n, len(recorded))
	}
	d.meet(b)
	for _, p := range recorded {
		thief.write(b, p)
	}
	d.settle(b)
	for _, p := range b.Peers() {
		if p.ID == alice && p.Addr != d.addr() {
			t.Errorf("alice is at %v, not %v", p.Addr, d.addr())
		}
	}
	if n := b.Stats().Dropped["replay"]; n != uint64(len(recorded)) {
		t.Errorf("%d of %d are known as replays", n, len(recorded))
	}
}

// Two that never met understand each other, over the network alone, and the
// first message is not lost.
func TestFirstMessageOverTheNetwork(t *testing.T) {
	a := listen(t, alice)
	// Only what was sent since both run can be told from a recording: they must
	// have run for longer than a packet takes to come back.
	end := time.After(patience)
	for i := uint64(0); ; i++ {
		c := listen(t, carol, withSealer(newSealer(t, testKey, carol, i+1)))
		<-time.After(50 * time.Millisecond) // it must have run for a while
		a.Hint(carol, []netip.AddrPort{local(c)})
		a.Send(note(alice, carol, i))
		select {
		case m := <-c.Received():
			wantSame(t, m, note(alice, carol, i))
			return
		case <-time.After(time.Second): // this machine was busy meanwhile
		case <-end:
			t.Fatalf("%+v", a.Stats())
		}
	}
}

// Two followers that never speak with each other learn where the other is now, by
// the one that speaks with both.
func TestRefreshFindsWhoMoved(t *testing.T) {
	a, b, c := listen(t, alice), listen(t, bob), listen(t, carol)
	meet(t, a, c)
	meet(t, b, c)
	prove(t, a.sealer, b.sealer)
	prove(t, b.sealer, a.sealer)
	nowhere := newDevice(t, bob) // where bob was once, and nobody answers
	a.Hint(bob, addrs(nowhere.addr().String()))
	for i, x := range []*Comms{a, b} {
		x.Send(note(x.self, carol, uint64(i)))
		receiveNote(t, c, uint64(i))
		c.Send(note(carol, x.self, uint64(i)))
		receiveNote(t, x, uint64(i))
	}
	end, again := time.After(patience), time.NewTicker(50*time.Millisecond)
	defer again.Stop()
	for {
		a.Refresh([]raft.NodeID{alice, bob, carol}, time.Hour)
		for _, p := range a.Peers() {
			if p.ID == bob && p.Addr == local(b) {
				return
			}
		}
		select {
		case <-again.C:
		case <-end:
			t.Fatalf("%+v", a.Peers())
		}
	}
}
