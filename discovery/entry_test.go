package discovery

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/grandcat/zeroconf"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	selfID  = raft.NodeID("aaaaaaaaaaaaaaaa")
	otherID = raft.NodeID("bbbbbbbbbbbbbbbb")
)

func testSanitiser() sanitiser {
	return sanitiser{self: selfID, label: "barn", links: []link{
		{index: 2, name: "eth0", prefixes: []netip.Prefix{
			netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fe80::1/64")}},
		{index: 3, name: "wlan0", prefixes: []netip.Prefix{netip.MustParsePrefix("192.168.4.1/24")}},
	}}
}

// validEntry is what zeroconf delivers of a proper device; tests spoil it.
func validEntry() *zeroconf.ServiceEntry {
	e := zeroconf.NewServiceEntry(instanceName(otherID), service, domain)
	e.Port = 7777
	e.Text = textRecord(otherID, "barn")
	e.AddrIPv4 = []net.IP{net.IPv4(10, 77, 0, 2)}
	return e
}

func manyIPs(n int) []net.IP {
	var ips []net.IP
	for i := range n {
		ips = append(ips, net.IPv4(10, 77, 0, byte(n-i)))
	}
	return ips
}

func TestPeer(t *testing.T) {
	tests := []struct {
		name  string
		spoil func(*zeroconf.ServiceEntry)
		err   error
		addrs string // joined by spaces
	}{
		{name: "proper", addrs: "10.77.0.2:7777"},
		{name: "IPv6", addrs: "10.77.0.2:7777 [fd77::2]:7777",
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv6 = []net.IP{net.ParseIP("fd77::2")} }},
		{name: "neighbours first, no repeats", addrs: "10.77.0.2:7777 192.168.4.9:7777 172.16.0.1:7777",
			spoil: func(e *zeroconf.ServiceEntry) {
				e.AddrIPv4 = []net.IP{net.IPv4(172, 16, 0, 1), net.IPv4(192, 168, 4, 9),
					net.IPv4(10, 77, 0, 2), net.IPv4(10, 77, 0, 2).To4()}
			}},
		{name: "link-local gets every zone it may have, last", addrs: "10.77.0.2:7777 [fe80::2%eth0]:7777 [fe80::2%wlan0]:7777",
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv6 = []net.IP{net.ParseIP("fe80::2")} }},
		{name: "an address of our own may be another agent's", addrs: "10.77.0.1:7777",
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv4 = []net.IP{net.IPv4(10, 77, 0, 1)} }},
		{name: "too many addresses", addrs: "10.77.0.1:7777 10.77.0.2:7777 10.77.0.3:7777 10.77.0.4:7777 " +
			"10.77.0.5:7777 10.77.0.6:7777 10.77.0.7:7777 10.77.0.8:7777",
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv4 = manyIPs(20) }},
		{name: "far too many records: the rest is not looked at", err: errNoAddress,
			spoil: func(e *zeroconf.ServiceEntry) {
				e.AddrIPv4 = append(make([]net.IP, maxRecords), net.IPv4(10, 77, 0, 2))
			}},
		{name: "unknown key in the text", addrs: "10.77.0.2:7777",
			spoil: func(e *zeroconf.ServiceEntry) { e.Text = append(e.Text, "e=12", "flag") }},
		{name: "second value of a key", addrs: "10.77.0.2:7777",
			spoil: func(e *zeroconf.ServiceEntry) { e.Text = append(e.Text, "c=other", "v=2") }},

		{name: "nil IPs", err: errNoAddress,
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv4, e.AddrIPv6 = []net.IP{nil}, []net.IP{nil, {}} }},
		{name: "IP of a wrong length", err: errNoAddress,
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv4 = []net.IP{{1, 2, 3}} }},
		{name: "no address", err: errNoAddress,
			spoil: func(e *zeroconf.ServiceEntry) { e.AddrIPv4 = nil }},
		{name: "addresses of no device", err: errNoAddress,
			spoil: func(e *zeroconf.ServiceEntry) {
				e.AddrIPv4 = []net.IP{net.IPv4zero, net.IPv4bcast, net.IPv4(127, 0, 0, 1), net.IPv4(224, 0, 0, 251)}
				e.AddrIPv6 = []net.IP{net.IPv6zero, net.IPv6loopback, net.ParseIP("ff02::fb"), net.ParseIP("::ffff:127.0.0.1")}
			}},
		{name: "port 0", err: errMalformed, spoil: func(e *zeroconf.ServiceEntry) { e.Port = 0 }},
		{name: "port too large", err: errMalformed, spoil: func(e *zeroconf.ServiceEntry) { e.Port = 65536 }},
		{name: "no text", err: errMalformed, spoil: func(e *zeroconf.ServiceEntry) { e.Text = nil }},
		{name: "huge text", err: errMalformed,
			spoil: func(e *zeroconf.ServiceEntry) {
				e.Text = append(e.Text, "x="+strings.Repeat("y", 250), "z="+strings.Repeat("y", 150))
			}},
		{name: "unknown version", err: errMalformed, spoil: func(e *zeroconf.ServiceEntry) { e.Text[0] = "v=2" }},
		{name: "wrong cluster", err: errOtherCluster, spoil: func(e *zeroconf.ServiceEntry) { e.Text[1] = "c=stable" }},
		{name: "no cluster", err: errOtherCluster, spoil: func(e *zeroconf.ServiceEntry) { e.Text[1] = "d=barn" }},
		{name: "own ID", err: errSelf,
			spoil: func(e *zeroconf.ServiceEntry) { e.Instance, e.Text = instanceName(selfID), textRecord(selfID, "barn") }},
		{name: "bad characters in the ID", err: errMalformed,
			spoil: func(e *zeroconf.ServiceEntry) {
				e.Instance, e.Text[2] = "er-bbbbbbbbbbbbbbb1", "id=bbbbbbbbbbbbbbb1"
			}},
		{name: "short ID", err: errMalformed,
			spoil: func(e *zeroconf.ServiceEntry) { e.Instance, e.Text[2] = "er-bbbb", "id=bbbb" }},
		{name: "instance of another ID", err: errMalformed,
			spoil: func(e *zeroconf.ServiceEntry) { e.Instance = instanceName(selfID) }},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			e := validEntry()
			if tt.spoil != nil {
				tt.spoil(e)
			}
			p, err := testSanitiser().peer(e)
			if !errors.Is(err, tt.err) {
				t.Fatalf("error %v, want %v", err, tt.err)
			}
			if err == nil && p.ID != otherID {
				t.Errorf("ID %q, want %q", p.ID, otherID)
			}
			var addrs []string
			for _, a := range p.Addrs {
				addrs = append(addrs, a.String())
			}
			if got := strings.Join(addrs, " "); got != tt.addrs {
				t.Errorf("addresses\n got %s\nwant %s", got, tt.addrs)
			}
		})
	}
}

func TestClusterLabel(t *testing.T) {
	tests := []struct{ name, want string }{
		{"default", "default"},
		{"North Barn_2", "north-barn-2"},
		{"Käse.=\x00", "k-se---"},
		{"", ""},
		{strings.Repeat("a", 100), strings.Repeat("a", 63)},
	}
	for _, tt := range tests {
		if got := clusterLabel(tt.name); got != tt.want {
			t.Errorf("clusterLabel(%q) = %q, want %q", tt.name, got, tt.want)
		}
	}
}

// What we announce ourselves must pass what we ask of others, and the longest
// of it must fit a DNS label and a TXT record.
func TestOwnAnnouncementPasses(t *testing.T) {
	label := clusterLabel(strings.Repeat("X", 500))
	e := validEntry()
	e.Text = textRecord(otherID, label)
	s := testSanitiser()
	s.label = label
	if _, err := s.peer(e); err != nil {
		t.Errorf("the longest announcement is refused: %v", err)
	}
	if n := len(instanceName(otherID)); n > 63 {
		t.Errorf("instance name of %d bytes, a label has 63", n)
	}
	for _, s := range e.Text {
		if len(s) > 255 {
			t.Errorf("TXT string of %d bytes, it may have 255: %s", len(s), s)
		}
	}
}

func FuzzPeer(f *testing.F) {
	f.Add("er-bbbbbbbbbbbbbbbb", 7777, "v=1\nc=barn\nid=bbbbbbbbbbbbbbbb", []byte{10, 77, 0, 2}, 4)
	f.Add("", -1, "=\n\n==", []byte{0xfe, 0x80}, 1)
	f.Add("er-bbbbbbbbbbbbbbbb", 1, "v=1\nc=barn\nid=bbbbbbbbbbbbbbbb", []byte(slices.Concat(net.ParseIP("fe80::2"), net.IPv6loopback)), 16)
	f.Fuzz(func(t *testing.T, instance string, port int, text string, ips []byte, ipLen int) {
		e := zeroconf.NewServiceEntry(instance, service, domain)
		e.Port, e.Text = port, strings.Split(text, "\n")
		if ipLen > 0 && ipLen <= 32 {
			for chunk := range slices.Chunk(ips, ipLen) {
				e.AddrIPv4 = append(e.AddrIPv4, chunk)
				e.AddrIPv6 = append(e.AddrIPv6, chunk)
			}
		}
		p, err := testSanitiser().peer(e)
		if err != nil {
			return
		}
		if !p.ID.Valid() || p.ID == selfID {
			t.Errorf("ID %q passed", p.ID)
		}
		if len(p.Addrs) == 0 || len(p.Addrs) > maxAddrs {
			t.Errorf("%d addresses passed", len(p.Addrs))
		}
		for i, a := range p.Addrs {
			ip := a.Addr()
			if !a.IsValid() || a.Port() == 0 || ip.IsLoopback() || ip.IsUnspecified() || ip.IsMulticast() || ip.Is4In6() {
				t.Errorf("address %v passed", a)
			}
			if ip.Is6() && ip.IsLinkLocalUnicast() != (ip.Zone() != "") {
				t.Errorf("zone of %v", a)
			}
			if slices.Contains(p.Addrs[:i], a) {
				t.Errorf("address %v twice", a)
			}
		}
	})
}
