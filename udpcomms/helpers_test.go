package udpcomms

import (
	"bytes"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/netip"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long a test waits for what must come. It only decides when a
// broken test ends.
const patience = 20 * time.Second

// testKey is the cluster key of all tests.
var testKey = seal.NewKey()

func newSealer(t testing.TB, k seal.Key, self raft.NodeID, boot uint64) *seal.Sealer {
	t.Helper()
	s, err := seal.New(k, "test", self, boot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// listen starts a Comms that ends with the test. Change may alter its Config.
func listen(t testing.TB, self raft.NodeID, change ...func(*Config)) *Comms {
	t.Helper()
	cfg := Config{
		Listen: "127.0.0.1:0", Self: self, Seal: newSealer(t, testKey, self, 1),
		Logger: slog.New(slog.DiscardHandler),
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Listen(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := c.Close(); err != nil {
			t.Error(err)
		}
	})
	return c
}

func on(address string) func(*Config)           { return func(c *Config) { c.Listen = address } }
func withSeeds(seeds ...string) func(*Config)   { return func(c *Config) { c.Seeds = seeds } }
func withSealer(s *seal.Sealer) func(*Config)   { return func(c *Config) { c.Seal = s } }
func withLogger(l *slog.Logger) func(c *Config) { return func(c *Config) { c.Logger = l } }

// at is where a Comms listens, seen from this machine.
func at(c *Comms, host string) netip.AddrPort {
	return netip.AddrPortFrom(netip.MustParseAddr(host), uint16(c.Port()))
}

func local(c *Comms) netip.AddrPort { return at(c, "127.0.0.1") }

// meet tells each of the two where the other is, and that it is no recording.
func meet(t testing.TB, a, b *Comms) {
	t.Helper()
	prove(t, a.sealer, b.sealer)
	prove(t, b.sealer, a.sealer)
	a.Hint(b.self, []netip.AddrPort{local(b)})
	b.Hint(a.self, []netip.AddrPort{local(a)})
}

// note is a small message that can be told from others.
func note(from, to raft.NodeID, n uint64) raft.Message {
	return raft.Message{From: from, To: to, Term: 1, Body: raft.ReadRequest{Seq: n}}
}

// large is a message with one command of random bytes.
func large(from, to raft.NodeID, size int, seed uint64) raft.Message {
	data := make([]byte, size)
	chacha := rand.NewChaCha8([32]byte{byte(seed), 1})
	chacha.Read(data)
	return raft.Message{From: from, To: to, Term: 1, Body: raft.AppendRequest{
		PrevIndex: raft.Index(seed), PrevTerm: 1,
		Entries: []raft.Entry{{Index: raft.Index(seed) + 1, Term: 1, Kind: raft.EntryCommand, Data: data}},
	}}
}

// receive waits for the next message.
func receive(t testing.TB, c *Comms) raft.Message {
	t.Helper()
	select {
	case m := <-c.Received():
		return m
	case <-time.After(patience):
		t.Fatalf("%s received nothing; %+v", c.self, c.Stats())
		return raft.Message{}
	}
}

// receiveNote waits for note n, past others.
func receiveNote(t testing.TB, c *Comms, n uint64) {
	t.Helper()
	for {
		if b, ok := receive(t, c).Body.(raft.ReadRequest); ok && b.Seq == n {
			return
		}
	}
}

func wantSame(t testing.TB, got, want raft.Message) {
	t.Helper()
	a, errA := wire.AppendMessage(nil, got)
	b, errB := wire.AppendMessage(nil, want)
	if errA != nil || errB != nil || !bytes.Equal(a, b) {
		t.Fatalf("another message arrived: %d bytes (%v) instead of %d (%v)", len(a), errA, len(b), errB)
	}
}

// device is a member that says whatever a test wants, over a plain socket.
type device struct {
	t    testing.TB
	id   raft.NodeID
	seal *seal.Sealer
	conn *net.UDPConn
	met  map[*Comms]bool // that it has proved to that it is no recording
}

func newDevice(t testing.TB, id raft.NodeID) *device {
	t.Helper()
	conn, err := net.ListenUDP("udp", &net.UDPAddr{IP: net.IPv4(127, 0, 0, 1)})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { conn.Close() })
	return &device{t: t, id: id, seal: newSealer(t, testKey, id, 1), conn: conn, met: map[*Comms]bool{}}
}

func (d *device) addr() netip.AddrPort { return d.conn.LocalAddr().(*net.UDPAddr).AddrPort() }

// write sends bytes as they are.
func (d *device) write(to *Comms, datagram []byte) {
	d.t.Helper()
	if _, err := d.conn.WriteToUDPAddrPort(datagram, local(to)); err != nil {
		d.t.Fatal(err)
	}
}

// sealed seals a packet.
func (d *device) sealed(to raft.NodeID, plain []byte) []byte {
	d.t.Helper()
	p, err := d.seal.Seal(nil, to, plain)
	if err != nil {
		d.t.Fatal(err)
	}
	return p
}

// say sends a packet as the device.
func (d *device) say(to *Comms, plain []byte) {
	d.t.Helper()
	d.meet(to)
	d.write(to, d.sealed(to.self, plain))
}

// meet makes the device and a Comms know that neither is a recording.
func (d *device) meet(to *Comms) {
	d.t.Helper()
	if !d.met[to] {
		d.met[to] = true
		prove(d.t, to.sealer, d.seal)
		prove(d.t, d.seal, to.sealer)
	}
}

// prove makes one sealer take packets of another.
func prove(t testing.TB, by, of *seal.Sealer) {
	t.Helper()
	p, err := of.Seal(nil, "", make([]byte, 100))
	if err != nil {
		t.Fatal(err)
	}
	answer := of.Receive(by.Receive(p, netip.AddrPort{}).Reply, netip.AddrPort{})
	if in := by.Receive(answer.Reply, netip.AddrPort{}); in.From == "" {
		t.Fatal(in.Err)
	}
}

// message is a message in its packet, not sealed yet.
func message(t testing.TB, m raft.Message) []byte {
	t.Helper()
	plain, err := wire.AppendMessage([]byte{kindMessage}, m)
	if err != nil {
		t.Fatal(err)
	}
	return plain
}

// settle returns when everything that the device wrote before was handled: the
// loopback keeps the order of datagrams between two sockets.
func (d *device) settle(to *Comms) {
	d.t.Helper()
	mark := rand.Uint64()
	d.say(to, message(d.t, note(d.id, to.self, mark)))
	receiveNote(d.t, to, mark)
}

// hear returns the next packet to the device, opened.
func (d *device) hear() (from raft.NodeID, plain []byte) {
	d.t.Helper()
	d.conn.SetReadDeadline(time.Now().Add(patience))
	buf := make([]byte, 2048)
	n, err := d.conn.Read(buf)
	if err != nil {
		d.t.Fatal(err)
	}
	in := d.seal.Receive(buf[:n], netip.AddrPort{})
	if in.Err != nil {
		d.t.Fatal(in.Err)
	}
	return in.From, in.Plain
}

// lines collects log lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

// haveIPv6 skips the test where the kernel has no IPv6 loopback.
func haveIPv6(t testing.TB) {
	t.Helper()
	conn, err := net.ListenUDP("udp6", &net.UDPAddr{IP: net.IPv6loopback})
	if err != nil {
		need.Skip(t, "%v", err)
	}
	conn.Close()
}
