package discovery

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/grandcat/zeroconf"
	"github.com/miekg/dns"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	// askFor is how long Ask listens, askAgain when it asks once more: one packet
	// may be lost.
	askFor   = 2500 * time.Millisecond
	askAgain = 900 * time.Millisecond
	// maxListed bounds the interfaces that Ask tells of.
	maxListed = 32
	// maxHosts bounds the other hosts that are counted on one interface.
	maxHosts = 256
	// maxAnswer is the longest mDNS packet (RFC 6762 §17), in bytes.
	maxAnswer = 9000
	// services is the name under which every responder lists what it has (RFC
	// 6763 §9): who answers it shows that multicast passes.
	services = "_services._dns-sd._udp." + domain
)

// Question is what Ask needs to know.
type Question struct {
	// Self is this device, "" where that is not known: then it is known by its
	// addresses.
	Self raft.NodeID
	// Cluster and Interfaces are as in Config.
	Cluster    string
	Interfaces []string
}

// Hearing is what came of asking on one interface.
type Hearing struct {
	Interface string
	MTU       int // bytes
	Prefixes  []netip.Prefix
	// Unfit says why discovery does not use the interface; "" when it does.
	// Of an interface that is not used the rest is empty.
	Unfit string
	// Err is why nothing could be asked.
	Err error
	// Echo says whether this device heard its own question: the kernel hands it
	// back, unless a firewall is in between.
	Echo bool
	// Self says whether the agent of this device answered.
	Self bool
	// Peers are the other devices of the cluster that answered, by ID.
	Peers []Peer
	// Foreign counts devices of other clusters, Hosts all other hosts that said
	// anything by mDNS.
	Foreign, Hosts int
}

// Ask asks for devices on each interface by itself, as Run does on all together,
// and tells what was heard where. It takes 2.5 seconds, less when ctx ends.
// It disturbs nobody: the port is shared, and two questions a device are little.
func Ask(ctx context.Context, q Question) ([]Hearing, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, fmt.Errorf("list the network interfaces: %w", err)
	}
	own := map[netip.Addr]bool{}
	var found []net.Interface
	var links []link
	for _, i := range all[:min(len(all), maxListed)] {
		addrs, err := i.Addrs()
		if err != nil {
			continue // it has gone
		}
		l := link{index: i.Index, name: i.Name, flags: i.Flags, prefixes: prefixesOf(addrs)}
		for _, p := range l.prefixes {
			own[p.Addr().WithZone("")] = true
		}
		if i.Flags&net.FlagLoopback == 0 || slices.Contains(q.Interfaces, i.Name) {
			found, links = append(found, i), append(links, l)
		}
	}
	hearings := make([]Hearing, len(links))
	var wg sync.WaitGroup
	asked := 0
	for n, l := range links {
		h := &hearings[n]
		*h = Hearing{Interface: l.name, MTU: found[n].MTU, Prefixes: l.prefixes, Unfit: l.unfit(q.Interfaces)}
		if h.Unfit != "" {
			continue
		}
		if asked++; asked > maxInterfaces {
			h.Unfit = fmt.Sprintf("%d others come before it", maxInterfaces)
			continue
		}
		e := &ear{link: l, own: own, clean: sanitiser{self: q.Self, label: clusterLabel(q.Cluster), links: []link{l}},
			id: uint16(1 + rand.N(0xffff)), peers: map[raft.NodeID]Peer{}, foreign: map[string]bool{}, hosts: map[netip.Addr]bool{}}
		wg.Go(func() { e.ask(ctx, h) })
	}
	wg.Wait()
	for _, name := range q.Interfaces {
		if !slices.ContainsFunc(all, func(i net.Interface) bool { return i.Name == name }) {
			hearings = append(hearings, Hearing{Interface: name, Unfit: "there is none of this name"})
		}
	}
	return hearings, nil
}

// unfit says why the interface is not one of those that readLinks returns.
func (l link) unfit(wanted []string) string {
	switch {
	case len(wanted) > 0 && !slices.Contains(wanted, l.name):
		return "it is not among udp.interfaces"
	case l.flags&net.FlagUp == 0:
		return "it is down"
	case l.flags&net.FlagMulticast == 0:
		return "it has no multicast"
	case !suitable(l.name, l.flags, wanted):
		return "it looks like a tunnel, or one of containers"
	case len(l.prefixes) == 0:
		return "it has no address"
	}
	return ""
}

// ear is what was heard on one interface.
type ear struct {
	link  link
	own   map[netip.Addr]bool
	clean sanitiser
	id    uint16 // of the question: by it the echo is known

	mu         sync.Mutex
	echo, self bool
	peers      map[raft.NodeID]Peer
	foreign    map[string]bool
	hosts      map[netip.Addr]bool
}

// ask asks by both versions of IP as far as the interface has them.
func (e *ear) ask(ctx context.Context, h *Hearing) {
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	var errs []error
	var wg sync.WaitGroup
	for network, group := range map[string]string{"udp4": "224.0.0.251", "udp6": "ff02::fb"} {
		is4 := network == "udp4"
		if !slices.ContainsFunc(e.link.prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 }) {
			continue
		}
		to := &net.UDPAddr{IP: net.ParseIP(group), Port: 5353}
		if !is4 {
			to.Zone = e.link.name
		}
		conn, err := e.listen(network, to)
		if err != nil {
			errs = append(errs, fmt.Errorf("listen for mDNS on %s by %s: %w", e.link.name, network, err))
			continue
		}
		stop := context.AfterFunc(ctx, func() { conn.Close() })
		wg.Go(func() {
			defer stop()
			e.listenOn(conn)
		})
		wg.Go(func() { e.send(ctx, conn, to) })
	}
	wg.Wait()
	h.Echo, h.Self, h.Foreign, h.Hosts = e.echo, e.self, len(e.foreign), len(e.hosts)
	for _, id := range slices.Sorted(maps.Keys(e.peers)) {
		h.Peers = append(h.Peers, e.peers[id])
	}
	if !e.echo && len(e.peers) == 0 {
		h.Err = errors.Join(errs...)
	}
}

// ipMulticastAll is IP_MULTICAST_ALL of ip(7), which package syscall does not name.
const ipMulticastAll = 49

// listen opens a socket that hears the group on this interface alone, and itself.
func (e *ear) listen(network string, group *net.UDPAddr) (*net.UDPConn, error) {
	i := e.link.netInterface()
	conn, err := net.ListenMulticastUDP(network, &i, group)
	if err != nil {
		return nil, err
	}
	raw, err := conn.SyscallConn()
	if err == nil {
		var failed error
		err = raw.Control(func(fd uintptr) {
			set := func(level, option, value int) error { return syscall.SetsockoptInt(int(fd), level, option, value) }
			if network == "udp4" {
				failed = errors.Join(set(syscall.IPPROTO_IP, ipMulticastAll, 0), set(syscall.IPPROTO_IP, syscall.IP_MULTICAST_LOOP, 1),
					set(syscall.IPPROTO_IP, syscall.IP_MULTICAST_TTL, 255))
				return
			}
			failed = errors.Join(set(syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_LOOP, 1), set(syscall.IPPROTO_IPV6, syscall.IPV6_MULTICAST_HOPS, 255))
		})
		err = errors.Join(err, failed)
	}
	if err != nil {
		conn.Close()
		return nil, err
	}
	return conn, nil
}

func (e *ear) send(ctx context.Context, conn *net.UDPConn, to *net.UDPAddr) {
	q := &dns.Msg{MsgHdr: dns.MsgHdr{Id: e.id}, Question: []dns.Question{
		{Name: service + "." + domain, Qtype: dns.TypePTR, Qclass: dns.ClassINET},
		{Name: services, Qtype: dns.TypePTR, Qclass: dns.ClassINET},
	}}
	packet, err := q.Pack()
	if err != nil {
		panic("discovery: a question did not encode: " + err.Error())
	}
	again := time.NewTimer(askAgain)
	defer again.Stop()
	_, _ = conn.WriteToUDP(packet, to) // what does not leave does not come back
	select {
	case <-ctx.Done():
	case <-again.C:
		_, _ = conn.WriteToUDP(packet, to)
	}
}

// listenOn takes what comes until the socket is closed.
func (e *ear) listenOn(conn *net.UDPConn) {
	buf := make([]byte, maxAnswer)
	for {
		n, from, err := conn.ReadFromUDPAddrPort(buf)
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err != nil {
			continue
		}
		// By IPv6 the socket hears all interfaces; what is sent to a link has a
		// link-local address, whose zone tells which it is.
		if addr := from.Addr().Unmap(); addr.Is4() || addr.Zone() == e.link.name {
			e.take(buf[:n], addr.WithZone(""))
		}
	}
}

func (e *ear) take(packet []byte, from netip.Addr) {
	var m dns.Msg
	malformed := m.Unpack(packet) != nil
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.own[from] && len(e.hosts) < maxHosts {
		e.hosts[from] = true
	}
	if malformed {
		return
	}
	if !m.Response {
		e.echo = e.echo || m.Id == e.id && e.own[from]
		return
	}
	for _, entry := range entriesIn(&m) {
		p, err := e.clean.peer(entry)
		switch {
		case errors.Is(err, errSelf), err == nil && e.own[from]:
			e.self = true
		case errors.Is(err, errOtherCluster):
			if len(e.foreign) < maxInstances {
				e.foreign[entry.Instance] = true
			}
		case err == nil && len(e.peers) < maxInstances:
			e.peers[p.ID] = p
		}
	}
}

// entriesIn puts together the announcements in an answer. A responder of this
// package says all of one in one packet.
func entriesIn(m *dns.Msg) []*zeroconf.ServiceEntry {
	suffix := "." + service + "." + domain
	byName := map[string]*zeroconf.ServiceEntry{}
	hosts := map[*zeroconf.ServiceEntry]string{}
	entry := func(name string) *zeroconf.ServiceEntry {
		instance, ok := strings.CutSuffix(name, suffix)
		if !ok || byName[name] == nil && len(byName) == maxInstances {
			return nil
		}
		if byName[name] == nil {
			byName[name] = &zeroconf.ServiceEntry{ServiceRecord: zeroconf.ServiceRecord{Instance: instance}}
		}
		return byName[name]
	}
	records := append(slices.Clone(m.Answer), m.Extra...)
	for _, rr := range records {
		switch rr := rr.(type) {
		case *dns.SRV:
			if e := entry(rr.Hdr.Name); e != nil {
				e.Port, hosts[e] = int(rr.Port), rr.Target
			}
		case *dns.TXT:
			if e := entry(rr.Hdr.Name); e != nil {
				e.Text = rr.Txt
			}
		}
	}
	for _, rr := range records {
		for e, host := range hosts {
			switch rr := rr.(type) {
			case *dns.A:
				if rr.Hdr.Name == host {
					e.AddrIPv4 = append(e.AddrIPv4, rr.A)
				}
			case *dns.AAAA:
				if rr.Hdr.Name == host {
					e.AddrIPv6 = append(e.AddrIPv6, rr.AAAA)
				}
			}
		}
	}
	return slices.Collect(maps.Values(byName))
}
