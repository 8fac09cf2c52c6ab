package udpcomms

import (
	"errors"
	"net"
	"net/netip"
	"os/exec"
	"runtime"
	"strings"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/raft"
)

// A socket on each kind of address reaches the others, and says truly where what
// it reads came from.
func TestAddressFamilies(t *testing.T) {
	haveIPv6(t)
	const loopback6 = "[::1]:0"
	for _, c := range []struct{ a, b, to string }{
		{"127.0.0.1:0", "127.0.0.1:0", "127.0.0.1"},
		{loopback6, loopback6, "::1"},
		{":0", ":0", "127.0.0.1"},
		{":0", ":0", "::1"},
		{":0", "127.0.0.1:0", "127.0.0.1"},
		{"127.0.0.1:0", ":0", "127.0.0.1"},
	} {
		a, err := openSocket(c.a)
		if err != nil {
			t.Fatal(err)
		}
		defer a.Close()
		b, err := openSocket(c.b)
		if err != nil {
			t.Fatal(err)
		}
		defer b.Close()
		host := netip.MustParseAddr(c.to)
		if err := a.write([]byte("hello"), netip.AddrPortFrom(host, uint16(b.port))); err != nil {
			t.Fatalf("%+v: %v", c, err)
		}
		buf := make([]byte, 10)
		n, src, err := b.read(buf)
		if err != nil || string(buf[:n]) != "hello" || src != netip.AddrPortFrom(host, uint16(a.port)) {
			t.Errorf("%+v: %d bytes from %v, %v", c, n, src, err)
		}
	}
	only4, err := openSocket("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer only4.Close()
	if err := only4.write([]byte("x"), netip.MustParseAddrPort("[::1]:9")); !errors.Is(err, syscall.EAFNOSUPPORT) {
		t.Errorf("IPv6 through a socket for IPv4: %v", err)
	}
}

func TestCloseEndsARead(t *testing.T) {
	for range 100 {
		s, err := openSocket("127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() {
			_, _, err := s.read(make([]byte, 10))
			ended <- err
		}()
		if err := s.Close(); err != nil {
			t.Fatal(err)
		}
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
		if err := s.write([]byte("x"), netip.MustParseAddrPort("127.0.0.1:9")); !errors.Is(err, net.ErrClosed) {
			t.Fatal(err)
		}
	}
}

func TestZones(t *testing.T) {
	var z zones
	all, err := net.Interfaces()
	if err != nil {
		t.Fatal(err)
	}
	for _, i := range all {
		if z.name(i.Index) != i.Name || z.index(i.Name) != i.Index {
			t.Errorf("%s (%d): %q, %d", i.Name, i.Index, z.name(i.Index), z.index(i.Name))
		}
	}
	if z.name(99999) != "99999" || z.index("99999") != 99999 || z.index("nowhere") != 0 {
		t.Error(z.name(99999), z.index("99999"), z.index("nowhere"))
	}
}

// An interface that is slower than what goes out makes the sender wait, and costs
// nothing: neither a fragment nor a small message that comes in between.
func TestSlowInterface(t *testing.T) {
	ownNetwork(t, "tc qdisc add dev lo root tbf rate 4mbit burst 3000 limit 10mb")
	a, b, c := listen(t, alice), listen(t, bob), listen(t, carol)
	meet(t, a, b)
	meet(t, a, c)
	if err := syscall.SetsockoptInt(a.conn.fd, syscall.SOL_SOCKET, syscall.SO_SNDBUF, 16<<10); err != nil {
		t.Fatal(err)
	}
	c.Send(note(carol, alice, 0)) // so that alice has heard her
	receive(t, a)
	bulk := large(alice, bob, 240_000, 1)
	a.Send(bulk)
	const notes = 50
	for i := range notes {
		a.Send(note(alice, carol, uint64(i)))
	}
	seen := map[uint64]bool{}
	for len(seen) < notes {
		seen[receive(t, c).Body.(raft.ReadRequest).Seq] = true
	}
	wantSame(t, receive(t, b), bulk)
	if d := a.Stats().Dropped; len(d) > 0 {
		t.Errorf("the sender dropped %v", d)
	}
}

// ownNetwork gives the test's thread a network of its own, with a loopback
// interface, in which it runs the commands.
func ownNetwork(t *testing.T, commands ...string) {
	t.Helper()
	need.Root(t)
	runtime.LockOSThread() // never unlocked: the thread ends with the test's goroutine
	if err := syscall.Unshare(syscall.CLONE_NEWNET); err != nil {
		t.Fatal(err)
	}
	for _, c := range append([]string{"ip link set lo up"}, commands...) {
		words := strings.Fields(c)
		if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
			t.Fatalf("%s: %v\n%s", c, err, out)
		}
	}
}
