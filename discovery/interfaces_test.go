package discovery

import (
	"net"
	"net/netip"
	"slices"
	"testing"
)

func TestSuitable(t *testing.T) {
	const lan = net.FlagUp | net.FlagMulticast | net.FlagBroadcast | net.FlagRunning
	tests := []struct {
		name   string
		flags  net.Flags
		wanted []string
		want   bool
	}{
		{"eth0", lan, nil, true},
		{"wlan0", lan, nil, true},
		{"enp3s0", lan, nil, true},
		{"br-lan", lan, nil, true}, // the LAN of an OpenWrt router
		{"br0", lan, nil, true},
		{"eth0", lan &^ net.FlagUp, nil, false},
		{"eth0", lan &^ net.FlagMulticast, nil, false},
		{"lo", net.FlagUp | net.FlagLoopback | net.FlagMulticast, nil, false},
		{"ppp0", net.FlagUp | net.FlagPointToPoint | net.FlagMulticast, nil, false},
		{"docker0", lan, nil, false},
		{"veth12ab", lan, nil, false},
		{"br-0123456789ab", lan, nil, false}, // a network of Docker
		{"virbr0", lan, nil, false},
		{"cni0", lan, nil, false},
		{"flannel.1", lan, nil, false},
		{"tun0", lan, nil, false},
		{"tap3", lan, nil, false},
		{"wg0", lan, nil, false},

		{"docker0", lan, []string{"docker0"}, true},
		{"ppp0", lan | net.FlagPointToPoint, []string{"eth0", "ppp0"}, true},
		{"eth0", lan, []string{"eth1"}, false},
		{"eth1", lan &^ net.FlagUp, []string{"eth1"}, false},
		{"eth1", lan &^ net.FlagMulticast, []string{"eth1"}, false},
	}
	for _, tt := range tests {
		if got := suitable(tt.name, tt.flags, tt.wanted); got != tt.want {
			t.Errorf("suitable(%s, %v, %v) = %v, want %v", tt.name, tt.flags, tt.wanted, got, tt.want)
		}
	}
}

func TestLinkEqual(t *testing.T) {
	base := func() link {
		return link{index: 2, name: "eth0", flags: net.FlagUp | net.FlagRunning,
			prefixes: []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24")}}
	}
	changes := map[string]func(*link){
		"made anew":         func(l *link) { l.index = 9 },
		"renamed":           func(l *link) { l.name = "lan0" },
		"cable out":         func(l *link) { l.flags &^= net.FlagRunning },
		"other address":     func(l *link) { l.prefixes[0] = netip.MustParsePrefix("10.77.0.70/24") },
		"other subnet":      func(l *link) { l.prefixes[0] = netip.MustParsePrefix("10.77.0.1/16") },
		"one more address":  func(l *link) { l.prefixes = append(l.prefixes, netip.MustParsePrefix("fe80::1/64")) },
		"no address at all": func(l *link) { l.prefixes = nil },
	}
	if !base().equal(base()) {
		t.Error("nothing changed, yet not equal")
	}
	for what, change := range changes {
		l := base()
		change(&l)
		if l.equal(base()) {
			t.Errorf("%s: taken for equal", what)
		}
	}
}

func TestPrefixesOf(t *testing.T) {
	ipNet := func(ip string, ones, bits int) net.Addr {
		return &net.IPNet{IP: net.ParseIP(ip), Mask: net.CIDRMask(ones, bits)}
	}
	got := prefixesOf([]net.Addr{
		ipNet("fe80::5", 64, 128),
		ipNet("10.77.0.1", 24, 32),
		ipNet("127.0.0.1", 8, 32),
		ipNet("::1", 128, 128),
		&net.IPNet{},                      // neither address nor mask
		&net.TCPAddr{IP: net.IPv4bcast},   // not a subnet
		&net.IPNet{IP: net.IPv4bcast[:5]}, // of a wrong length
	})
	want := []netip.Prefix{netip.MustParsePrefix("10.77.0.1/24"), netip.MustParsePrefix("fe80::5/64")}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
}
