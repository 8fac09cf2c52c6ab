package discovery

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/miekg/dns"
	"go.uber.org/goleak"

	"github.com/edgeraft/edgeraft/raft"
)

// device is one Run and what it reported.
type device struct {
	id   raft.NodeID
	stop context.CancelFunc
	done chan error

	mu     sync.Mutex
	peers  map[raft.NodeID]string // last addresses, joined by spaces
	finds  int
	status Status
}

func startDevice(t *testing.T, n int, cluster string, missing func() bool) *device {
	t.Helper()
	d := &device{id: raft.NodeIDFrom([10]byte{byte(n)}), done: make(chan error, 1), peers: make(map[raft.NodeID]string)}
	ctx, stop := context.WithCancel(context.Background())
	d.stop = stop
	cfg := Config{Self: d.id, Cluster: cluster, Port: 7000 + n, Missing: missing,
		Found: func(p Peer) {
			var addrs []string
			for _, a := range p.Addrs {
				addrs = append(addrs, a.String())
			}
			d.mu.Lock()
			defer d.mu.Unlock()
			d.peers[p.ID] = strings.Join(addrs, " ")
			d.finds++
		},
		Report: func(s Status) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.status = s
		}}
	go func() { d.done <- Run(ctx, cfg) }()
	t.Cleanup(func() { d.end(t) })
	return d
}

// end stops the device and waits for it; again is nothing.
func (d *device) end(t *testing.T) {
	t.Helper()
	d.stop()
	select {
	case err, running := <-d.done:
		if running && err != nil {
			t.Errorf("Run: %v", err)
		}
		if running {
			close(d.done)
		}
	case <-time.After(10 * time.Second):
		t.Error("Run did not return within 10 s after its context ended")
	}
}

func (d *device) sees(o *device) string {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.peers[o.id]
}

func (d *device) last() (Status, int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.status, d.finds
}

func noLeak(t *testing.T) {
	t.Helper()
	var err error
	// Announcing goes on in the background for some seconds, with pauses.
	eventually(t, "no goroutine is left", 10*time.Second, func() bool {
		err = goleak.Find()
		return err == nil
	})
}

// Three devices with one address and three ports, as the demo runs them.
func TestThreeOnOneHost(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	addLAN(t, "10.77.0.1/24")
	var all []*device
	for n := range 3 {
		all = append(all, startDevice(t, n+1, "North Barn", nil))
	}
	stranger := startDevice(t, 4, "other", nil)
	for i, a := range all {
		for j, b := range all {
			if i == j {
				continue
			}
			want := fmt.Sprintf("10.77.0.1:%d", 7001+j)
			eventually(t, fmt.Sprintf("device %d finds %d at %s", i, j, want), 15*time.Second,
				func() bool { return strings.HasPrefix(a.sees(b), want) })
		}
	}
	eventually(t, "status tells of both others", 10*time.Second, func() bool {
		s, _ := all[0].last()
		return s.Peers == 2 && s.Err == nil && !s.LastRound.IsZero() && len(s.Interfaces) == 1 && s.Interfaces[0] == "eth0"
	})
	for _, d := range append(all, stranger) {
		d.end(t)
	}
	for _, d := range all {
		if d.sees(stranger) != "" || d.sees(d) != "" || stranger.sees(d) != "" {
			t.Error("a device was found that is itself or of another cluster")
		}
	}
	noLeak(t)
}

// A new address, a new interface under the old name, and one that only comes
// up after the start: each must be found out and told without a restart.
func TestInterfacesChange(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	a, b := startDevice(t, 1, "barn", nil), startDevice(t, 2, "barn", nil)
	eventually(t, "without a network, status says so", 5*time.Second, func() bool {
		s, _ := a.last()
		return errors.Is(s.Err, errNoInterface)
	})
	expect := func(what, addr string) {
		t.Helper()
		eventually(t, what, 20*time.Second, func() bool {
			return strings.HasPrefix(a.sees(b), addr+":7002") && strings.HasPrefix(b.sees(a), addr+":7001")
		})
	}
	addLAN(t, "10.77.0.1/24")
	expect("found when the network comes", "10.77.0.1")
	ip(t, "addr flush dev eth0 scope global")
	ip(t, "addr add 10.77.0.70/24 dev eth0")
	expect("the new address is found", "10.77.0.70")
	ip(t, "link del eth0")
	addLAN(t, "10.77.0.71/24")
	expect("found on the interface made anew", "10.77.0.71")
}

// Devices with nothing but IPv6 link-local addresses find each other, with the
// zone without which the address is useless.
func TestLinkLocalOnly(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	addLAN(t, "fe80::77/64 nodad")
	a, b := startDevice(t, 1, "barn", nil), startDevice(t, 2, "barn", nil)
	eventually(t, "link-local addresses with zone", 10*time.Second, func() bool {
		return strings.Contains(a.sees(b), "[fe80::77%eth0]:7002")
	})
}

// While nobody is missing there is one round and a long pause; when somebody
// is, the pause ends.
func TestMissing(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	addLAN(t, "10.77.0.1/24")
	var a atomic.Pointer[device]
	var asked, roundsBefore atomic.Uint64
	d := startDevice(t, 1, "barn", func() bool {
		// Nobody is missing when first asked, somebody from then on.
		n := asked.Add(1)
		if d := a.Load(); n == 2 && d != nil {
			s, _ := d.last()
			roundsBefore.Store(s.Rounds)
		}
		return n >= 2
	})
	a.Store(d)
	eventually(t, "a search", settledPoll+10*time.Second, func() bool { s, _ := d.last(); return s.Rounds >= 3 })
	if n := roundsBefore.Load(); n != 1 {
		t.Errorf("%d rounds before somebody was missing, want 1", n)
	}
}

// Garbage and a flood of forged announcements: the true device is still found,
// and a round takes no more than it may.
func TestHostileNetwork(t *testing.T) {
	if !inNamespace(t) {
		return
	}
	addLAN(t, "10.77.0.1/24")
	ip(t, "route add 224.0.0.0/4 dev eth0")
	conn, err := net.Dial("udp4", "224.0.0.251:5353")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	a := startDevice(t, 1, "barn", nil)
	r := rand.New(rand.NewPCG(1, 2))
	forged := 0
	eventually(t, "a round is cut short", 20*time.Second, func() bool {
		for range 50 {
			junk := make([]byte, r.IntN(600))
			for i := range junk {
				junk[i] = byte(r.Uint32())
			}
			forged++
			for _, packet := range [][]byte{junk, forgedAnnouncement(t, forged)} {
				// A full socket buffer loses packets, as a network does.
				_, _ = conn.Write(packet)
			}
		}
		s, finds := a.last()
		return s.Refused > 0 && finds > 0
	})
	if s, _ := a.last(); s.Peers > maxInstances {
		t.Errorf("%d forged devices are held, the limit is %d", s.Peers, maxInstances)
	}
	b := startDevice(t, 2, "barn", nil)
	eventually(t, "the true device is found", 20*time.Second, func() bool { return a.sees(b) != "" })
}

func forgedAnnouncement(t *testing.T, n int) []byte {
	t.Helper()
	id := raft.NodeIDFrom([10]byte{0xff, byte(n >> 16), byte(n >> 8), byte(n)})
	name := instanceName(id) + "." + service + "." + domain
	header := func(name string, kind uint16) dns.RR_Header {
		return dns.RR_Header{Name: name, Rrtype: kind, Class: dns.ClassINET, Ttl: 120}
	}
	m := dns.Msg{MsgHdr: dns.MsgHdr{Response: true}, Answer: []dns.RR{
		&dns.PTR{Hdr: header(service+"."+domain, dns.TypePTR), Ptr: name},
		&dns.SRV{Hdr: header(name, dns.TypeSRV), Port: 9, Target: "x.local."},
		&dns.TXT{Hdr: header(name, dns.TypeTXT), Txt: textRecord(id, "barn")},
		&dns.A{Hdr: header("x.local.", dns.TypeA), A: net.IPv4(1, 2, 3, 4)},
	}}
	packet, err := m.Pack()
	if err != nil {
		t.Fatal(err)
	}
	return packet
}

func TestRunRefusesWrongConfig(t *testing.T) {
	good := Config{Self: selfID, Port: 1, Found: func(Peer) {}}
	for what, spoil := range map[string]func(*Config){
		"no ID":          func(c *Config) { c.Self = "" },
		"a wrong ID":     func(c *Config) { c.Self = "ABC" },
		"port 0":         func(c *Config) { c.Port = 0 },
		"port too large": func(c *Config) { c.Port = 65536 },
		"no Found":       func(c *Config) { c.Found = nil },
	} {
		cfg := good
		spoil(&cfg)
		if err := Run(context.Background(), cfg); err == nil || !strings.HasPrefix(err.Error(), "discovery: ") {
			t.Errorf("%s: error %v", what, err)
		}
	}
}
