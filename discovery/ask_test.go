package discovery

import (
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/miekg/dns"

	"github.com/edgeraft/edgeraft/raft"
)

func TestUnfit(t *testing.T) {
	up := net.FlagUp | net.FlagMulticast
	addr := []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}
	for name, c := range map[string]struct {
		l      link
		wanted []string
		want   string
	}{
		"well":             {link{name: "eth0", flags: up, prefixes: addr}, nil, ""},
		"down":             {link{name: "eth0", flags: net.FlagMulticast, prefixes: addr}, nil, "it is down"},
		"no multicast":     {link{name: "eth0", flags: net.FlagUp, prefixes: addr}, nil, "it has no multicast"},
		"tunnel":           {link{name: "wg0", flags: up, prefixes: addr}, nil, "it looks like a tunnel, or one of containers"},
		"tunnel by name":   {link{name: "wg0", flags: up, prefixes: addr}, []string{"wg0"}, ""},
		"not named":        {link{name: "eth0", flags: up, prefixes: addr}, []string{"eth1"}, "it is not among udp.interfaces"},
		"no address":       {link{name: "eth0", flags: up}, nil, "it has no address"},
		"down, by name":    {link{name: "eth0", prefixes: addr}, []string{"eth0"}, "it is down"},
		"down, no address": {link{name: "eth0"}, nil, "it is down"},
	} {
		if got := c.l.unfit(c.wanted); got != c.want {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if usable := suitable(c.l.name, c.l.flags, c.wanted) && len(c.l.prefixes) > 0; usable != (c.want == "") {
			t.Errorf("%s: Run uses it: %v", name, usable)
		}
	}
}

// What is heard is sorted into this device, others of the cluster, others, and the
// echo of the question; what cannot be read counts as somebody who is there.
func TestEarTakes(t *testing.T) {
	const self, other raft.NodeID = "aaaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbbb"
	mine, theirs := netip.MustParseAddr("10.0.0.1"), netip.MustParseAddr("10.0.0.2")
	l := link{name: "eth0", prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}}
	pack := func(m *dns.Msg) []byte {
		b, err := m.Pack()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	answer := func(id raft.NodeID, cluster, ip string) []byte {
		name, host := instanceName(id)+"."+service+"."+domain, instanceName(id)+"."+domain
		head := func(name string, kind uint16) dns.RR_Header {
			return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
		}
		m := &dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{
			&dns.PTR{Hdr: head(service+"."+domain, dns.TypePTR), Ptr: name},
			&dns.A{Hdr: head("other.local.", dns.TypeA), A: net.ParseIP("10.0.0.9")},
		}, Extra: []dns.RR{
			&dns.A{Hdr: head(host, dns.TypeA), A: net.ParseIP(ip)},
			&dns.SRV{Hdr: head(name, dns.TypeSRV), Port: 7521, Target: host},
			&dns.TXT{Hdr: head(name, dns.TypeTXT), Txt: textRecord(id, cluster)},
		}}
		return pack(m)
	}
	question := func(id uint16) []byte { return pack(&dns.Msg{MsgHdr: dns.MsgHdr{Id: id}}) }
	for name, c := range map[string]struct {
		packet []byte
		from   netip.Addr
		want   string // of echo, self, peer, foreign, host
	}{
		"peer":            {answer(other, "default", "10.0.0.2"), theirs, "peer host"},
		"itself":          {answer(self, "default", "10.0.0.1"), mine, "self"},
		"itself, unknown": {answer(other, "default", "10.0.0.1"), mine, "self"},
		"foreign":         {answer(other, "garage", "10.0.0.2"), theirs, "foreign host"},
		"echo":            {question(42), mine, "echo"},
		"a stranger asks": {question(42), theirs, "host"},
		"another asks":    {question(41), mine, ""},
		"no address":      {answer(other, "default", "127.0.0.1"), theirs, "host"},
		"malformed":       {[]byte("not DNS"), theirs, "host"},
	} {
		e := &ear{link: l, own: map[netip.Addr]bool{mine: true}, id: 42, clean: sanitiser{self: self, label: "default", links: []link{l}},
			peers: map[raft.NodeID]Peer{}, foreign: map[string]bool{}, hosts: map[netip.Addr]bool{}}
		e.take(c.packet, c.from)
		var got []string
		for word, yes := range map[string]bool{"echo": e.echo, "self": e.self, "peer": len(e.peers) == 1, "foreign": len(e.foreign) == 1, "host": len(e.hosts) == 1} {
			if yes {
				got = append(got, word)
			}
		}
		slices.Sort(got)
		want := map[string][]string{"peer host": {"host", "peer"}, "foreign host": {"foreign", "host"}, "": nil}[c.want]
		if want == nil && c.want != "" {
			want = []string{c.want}
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", name, got, want)
		}
		if p := e.peers[other]; c.want == "peer host" && (len(p.Addrs) != 1 || p.Addrs[0].String() != "10.0.0.2:7521") {
			t.Errorf("%s: %+v", name, p)
		}
	}
}

func FuzzEar(f *testing.F) {
	f.Add([]byte{})
	q, err := (&dns.Msg{Question: []dns.Question{{Name: services, Qtype: dns.TypePTR, Qclass: dns.ClassINET}}}).Pack()
	if err != nil {
		f.Fatal(err)
	}
	f.Add(q)
	f.Fuzz(func(t *testing.T, packet []byte) {
		e := &ear{own: map[netip.Addr]bool{}, clean: sanitiser{label: "default"}, peers: map[raft.NodeID]Peer{}, foreign: map[string]bool{}, hosts: map[netip.Addr]bool{}}
		e.take(packet, netip.MustParseAddr("10.0.0.2"))
	})
}
