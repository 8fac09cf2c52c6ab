package udpcomms

import (
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

func TestRouteBeforeAndAfterContact(t *testing.T) {
	p := &peer{id: bob}
	now := start
	if to, search := p.route(nil, now); len(to) != 0 || !search {
		t.Errorf("nothing known: %v, search %v", to, search)
	}
	if _, search := p.route(nil, now.Add(searchFirst/2)); search {
		t.Error("searched again too soon")
	}
	candidates := addrs("10.0.0.1:1", "10.0.0.2:2")
	for _, a := range candidates {
		p.hint(a)
	}
	to, _ := p.route(nil, now)
	if len(to) != 2 || !slices.Contains(to, candidates[0]) || !slices.Contains(to, candidates[1]) {
		t.Errorf("only candidates known: %v", to)
	}
	if !p.hear(candidates[1], now) || p.hear(candidates[1], now) {
		t.Error("hear does not tell moving from staying")
	}
	for range 100 { // it answers now and then
		now = now.Add(time.Second)
		if to, search := p.route(nil, now); len(to) != 1 || to[0] != candidates[1] || search {
			t.Fatalf("in contact: %v, search %v", to, search)
		}
		p.hear(candidates[1], now)
	}
}

func TestRouteWhenThePeerFallsSilent(t *testing.T) {
	p := &peer{id: bob}
	home, other := netip.MustParseAddrPort("10.0.0.1:1"), netip.MustParseAddrPort("10.0.0.2:2")
	p.hint(other)
	p.hear(home, start)
	var searches []time.Duration
	const every = 100 * time.Millisecond
	for now := start; now.Before(start.Add(5 * time.Minute)); now = now.Add(every) {
		to, search := p.route(nil, now)
		if to[0] != home || len(to) > 1 != search {
			t.Fatalf("after %v: %v, search %v", now.Sub(start), to, search)
		}
		if search {
			searches = append(searches, now.Sub(start))
		}
	}
	if searches[0] < silentAfter || searches[0] > silentAfter+2*every {
		t.Errorf("first searched after %v", searches[0])
	}
	for i, at := range searches[1:] {
		want := min(searchFirst<<i, searchAtMost)
		if pause := at - searches[i]; pause < want*3/4 || pause > want*5/4+every {
			t.Errorf("search %d came %v after the one before, want about %v", i+2, pause, want)
		}
	}
	if len(searches) < 10 || len(searches) > 22 {
		t.Errorf("%d searches in 5 minutes", len(searches))
	}
	p.hear(other, start.Add(6*time.Minute))
	if to, search := p.route(nil, start.Add(6*time.Minute)); len(to) != 1 || to[0] != other || search {
		t.Errorf("heard elsewhere: %v, search %v", to, search)
	}
	if !slices.Contains(p.hints, home) || slices.Contains(p.hints, other) {
		t.Errorf("its candidates are now %v", p.hints)
	}
}

// A device that had nothing to answer for an hour is not silent.
func TestRouteAfterAPause(t *testing.T) {
	p := &peer{id: bob}
	p.hear(netip.MustParseAddrPort("10.0.0.1:1"), start)
	p.route(nil, start) // something that needs no answer
	if to, search := p.route(nil, start.Add(time.Hour)); len(to) != 1 || search {
		t.Errorf("%v, search %v", to, search)
	}
}

func TestHintsKeepTheNewest(t *testing.T) {
	p := &peer{id: bob}
	for i := range uint16(20) {
		a := netip.AddrPortFrom(netip.AddrFrom4([4]byte{10, 0, 0, 1}), 1+i)
		if !p.hint(a) || p.hint(a) {
			t.Fatalf("hint %v is not new exactly once", a)
		}
	}
	if len(p.hints) != maxHints || p.hints[0].Port() != 20 || p.hints[maxHints-1].Port() != 13 {
		t.Errorf("hints %v", p.hints)
	}
}

func TestAddressBookGivesWayToTheBetter(t *testing.T) {
	c := &Comms{self: alice, peers: map[raft.NodeID]*peer{}}
	nth := func(i int) raft.NodeID { return raft.NodeIDFrom([10]byte{3, byte(i >> 8), byte(i)}) }
	now := start
	for i := range maxPeers {
		p := c.lookUp(nth(i), now)
		if i%2 == 1 {
			p.hear(netip.MustParseAddrPort("10.0.0.1:1"), now)
		}
		now = now.Add(time.Millisecond)
	}
	if c.lookUp(nth(1000), now) == nil || c.peers[nth(0)] != nil || c.peers[nth(1)] == nil {
		t.Error("not the oldest hint gave way")
	}
	now = now.Add(peerUnused)
	if c.lookUp(nth(1001), now) == nil || c.peers[nth(2)] != nil {
		t.Error("not the oldest hint gave way to a newer one after a minute")
	}
	for i := 1002; i < 1002+maxPeers; i++ {
		p := c.lookUp(nth(i), now)
		if p == nil {
			if i < 1002+maxPeers-2 {
				t.Fatalf("device %d found no room among unused ones", i-1002)
			}
			continue
		}
		p.hear(netip.MustParseAddrPort("10.0.0.1:1"), now)
	}
	if c.lookUp(nth(5000), now) != nil || len(c.peers) != maxPeers {
		t.Errorf("%d devices, all in contact, made room", len(c.peers))
	}
}

func TestWhichAddressesAreTold(t *testing.T) {
	for _, c := range []struct {
		addr, asker string
		want        bool
	}{
		{"192.168.1.5", "192.168.1.6", true},
		{"192.168.1.5", "127.0.0.1", true},
		{"127.0.0.1", "192.168.1.6", false},
		{"127.0.0.1", "::1", true},
		{"2001:db8::1", "192.168.1.6", true},
		{"fe80::1%eth0", "fe80::2%eth0", true},
		{"fe80::1%eth0", "fe80::2%wlan0", false},
		{"fe80::1%eth0", "192.168.1.6", false},
	} {
		if got := tellable(netip.MustParseAddr(c.addr), netip.MustParseAddr(c.asker)); got != c.want {
			t.Errorf("tellable(%s, %s) = %v", c.addr, c.asker, got)
		}
	}
}

func TestWhatIsLearnedFromAnswers(t *testing.T) {
	told := addrs("10.0.0.1:1", "127.0.0.1:2", "[fe80::1]:3", "[::1]:4", "0.0.0.0:5")
	for from, want := range map[string][]netip.AddrPort{
		"192.168.1.6:9":     addrs("10.0.0.1:1"),
		"127.0.0.1:9":       addrs("[::1]:4", "127.0.0.1:2", "10.0.0.1:1"),
		"[fe80::2%eth0]:9":  addrs("[fe80::1%eth0]:3", "10.0.0.1:1"),
		"[2001:db8::1]:900": addrs("10.0.0.1:1"),
	} {
		c := &Comms{self: alice, peers: map[raft.NodeID]*peer{bob: {id: bob}}}
		c.learn(netip.MustParseAddrPort(from), bob, slices.Clone(told), start)
		if got := c.peers[bob].hints; !slices.Equal(got, want) {
			t.Errorf("from %s: %v, want %v", from, got, want)
		}
		c.learn(netip.MustParseAddrPort(from), carol, slices.Clone(told), start)
		c.learn(netip.MustParseAddrPort(from), alice, slices.Clone(told), start)
		if len(c.peers) != 1 {
			t.Errorf("an answer put %d devices into the address book", len(c.peers)-1)
		}
	}
}
