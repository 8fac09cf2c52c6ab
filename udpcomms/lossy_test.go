package udpcomms

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/netip"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// network is a bad network between two Comms: each believes that the other is
// at one of its two sockets.
type network struct {
	loss, double, reorder float64 // chances, for each datagram

	near, far *net.UDPConn // towards the one and the other
	wg        sync.WaitGroup
	longest   atomic.Int64 // bytes of the longest datagram seen
	passed    atomic.Int64
	lost      atomic.Int64
}

// between puts a bad network between a and b and tells them so.
func between(t *testing.T, a, b *Comms, n *network, seed uint64) {
	t.Helper()
	open := func() *net.UDPConn {
		conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
		if err != nil {
			t.Fatal(err)
		}
		_ = conn.SetReadBuffer(4 << 20) // it loses what it means to lose
		return conn
	}
	n.near, n.far = open(), open()
	t.Cleanup(func() {
		n.near.Close()
		n.far.Close()
		n.wg.Wait()
	})
	n.wg.Go(func() { n.carry(n.near, n.far, local(b), rand.New(rand.NewPCG(seed, 1))) })
	n.wg.Go(func() { n.carry(n.far, n.near, local(a), rand.New(rand.NewPCG(seed, 2))) })
	a.Hint(b.self, []netip.AddrPort{n.near.LocalAddr().(*net.UDPAddr).AddrPort()})
	prove(t, a.sealer, b.sealer)
	prove(t, b.sealer, a.sealer)
	b.Hint(a.self, []netip.AddrPort{n.far.LocalAddr().(*net.UDPAddr).AddrPort()})
}

// carry passes datagrams on in one direction until the sockets close.
func (n *network) carry(in, out *net.UDPConn, to netip.AddrPort, random *rand.Rand) {
	buf := make([]byte, 65536)
	var held []byte // comes after the next one
	for {
		size, err := in.Read(buf)
		if err != nil {
			return
		}
		n.longest.Store(max(n.longest.Load(), int64(size)))
		if random.Float64() < n.loss {
			n.lost.Add(1)
			continue
		}
		n.passed.Add(1)
		if held == nil && random.Float64() < n.reorder {
			held = bytes.Clone(buf[:size])
			continue
		}
		out.WriteToUDPAddrPort(buf[:size], to)
		if random.Float64() < n.double {
			out.WriteToUDPAddrPort(buf[:size], to)
		}
		if held != nil {
			out.WriteToUDPAddrPort(held, to)
			held = nil
		}
	}
}

func TestLargeMessagesOverABadNetwork(t *testing.T) {
	for name, size := range map[string]int{"64 KiB": 64 << 10, "1 MiB": 1 << 20} {
		t.Run(name, func(t *testing.T) {
			a, b := listen(t, alice), listen(t, bob)
			n := &network{loss: 0.1, double: 0.1, reorder: 0.1}
			between(t, a, b, n, uint64(size))
			shakeHands(t, a, b)
			for i := range uint64(3) {
				want := large(alice, bob, size, i)
				a.Send(want)
				wantSame(t, receive(t, b), want)
			}
			if n.lost.Load() == 0 || a.Stats().Dropped["replay"]+b.Stats().Dropped["replay"] == 0 {
				t.Error("the network was too good")
			}
			if longest := n.longest.Load(); longest != MaxDatagram {
				t.Errorf("the longest datagram had %d bytes, not %d", longest, MaxDatagram)
			}
			b.reassembler.mu.Lock()
			defer b.reassembler.mu.Unlock()
			if b.reassembler.bytes != 0 {
				t.Errorf("%d bytes are still being put together", b.reassembler.bytes)
			}
		})
	}
}

// shakeHands makes a hear b, over a network that may lose packets.
func shakeHands(t *testing.T, a, b *Comms) {
	t.Helper()
	for i := range uint64(200) {
		b.Send(note(b.self, a.self, i))
	}
	receive(t, a)
	for range len(a.received) {
		<-a.received
	}
}

// All sizes of datagrams stay within the limit, whatever a message's length.
func TestNoDatagramIsTooLong(t *testing.T) {
	a, b := listen(t, alice), listen(t, bob)
	n := &network{}
	between(t, a, b, n, 1)
	empty := len(message(t, large(alice, bob, 0, 1)))
	for size := maxPlain - empty - 20; size < maxPlain-empty+5; size++ {
		want := large(alice, bob, size, 1)
		a.Send(want)
		wantSame(t, receive(t, b), want)
	}
	if longest := n.longest.Load(); longest != MaxDatagram {
		t.Errorf("the longest datagram had %d bytes, not %d", longest, MaxDatagram)
	}
}

// One large message after the other must not need more memory than a few.
func TestLargeMessagesReuseMemory(t *testing.T) {
	a, b := listen(t, alice), listen(t, bob)
	meet(t, a, b)
	for i := range uint64(12) {
		a.Send(large(alice, bob, 1<<20, i))
		receive(t, b)
	}
	a.outbox.mu.Lock()
	kept := a.outbox.bytes
	a.outbox.mu.Unlock()
	if kept > maxRetainedBytes {
		t.Errorf("%d bytes are kept for repeats", kept)
	}
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	if limit := uint64(3 * maxRetainedBytes); m.HeapAlloc > limit {
		t.Errorf("the heap has %d bytes, more than %d", m.HeapAlloc, limit)
	}
}

// What one device says to many at the same time arrives.
func TestLargeMessagesToManyAtOnce(t *testing.T) {
	a := listen(t, alice)
	var others []*Comms
	for i := range byte(4) {
		c := listen(t, raft.NodeIDFrom([10]byte{7, i}))
		meet(t, a, c)
		others = append(others, c)
	}
	for i, c := range others {
		a.Send(large(alice, c.self, 256<<10, uint64(i)))
		a.Send(note(alice, c.self, 5))
	}
	for i, c := range others {
		var sawNote, sawLarge bool
		for !sawNote || !sawLarge {
			m := receive(t, c)
			if _, ok := m.Body.(raft.ReadRequest); ok {
				sawNote = true
				continue
			}
			wantSame(t, m, large(alice, c.self, 256<<10, uint64(i)))
			sawLarge = true
		}
	}
}

func BenchmarkSmall(b *testing.B) {
	from, to := listen(b, alice), listen(b, bob)
	meet(b, from, to)
	m := note(alice, bob, 1)
	b.ReportAllocs()
	for b.Loop() {
		from.Send(m)
		receive(b, to)
	}
}

func BenchmarkLarge1MiB(b *testing.B) {
	from, to := listen(b, alice), listen(b, bob)
	meet(b, from, to)
	m := large(alice, bob, 1<<20, 1)
	b.SetBytes(1 << 20)
	b.ReportAllocs()
	for b.Loop() {
		from.Send(m)
		receive(b, to)
	}
}
