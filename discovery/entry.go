package discovery

import (
	"cmp"
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"

	"github.com/grandcat/zeroconf"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	service = "_edgeraft._udp"
	domain  = "local."
	// instancePrefix begins the names of instance and host. Together with a
	// node ID it makes 19 bytes of the 63 that a DNS label may have.
	instancePrefix = "er-"
	// version is the meaning of the TXT record; others are not ours to guess.
	version = "1"

	// maxClusterLabel bounds the cluster's name in the TXT record, in bytes.
	// A longer one is cut: it is a filter for hints, not an identity.
	maxClusterLabel = 63
	// maxText bounds the TXT record, in bytes with a length byte a string
	// (RFC 6763 §6.2 advises 400). An announcement beyond it is refused.
	maxText = 400
	// maxAddrs bounds the addresses of one peer. Beyond it the least likely go.
	maxAddrs = 8
	// maxRecords bounds the address records looked at in one announcement, per
	// family. A packet has room for thousands; no device has so many.
	maxRecords = 32
)

// Why an announcement is not a Peer.
var (
	errSelf         = errors.New("it is this device")
	errOtherCluster = errors.New("it belongs to another cluster")
	errMalformed    = errors.New("it is malformed")
	errNoAddress    = errors.New("it has no address that can be used")
)

// clusterLabel is the form of a cluster's name in an announcement: lower case,
// [a-z0-9-] only. Different names may have one label; the key tells them apart.
func clusterLabel(name string) string {
	label := strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= '0' && r <= '9':
			return r
		case r >= 'A' && r <= 'Z':
			return r - 'A' + 'a'
		}
		return '-'
	}, name)
	return label[:min(len(label), maxClusterLabel)]
}

func instanceName(id raft.NodeID) string { return instancePrefix + string(id) }

func textRecord(id raft.NodeID, label string) []string {
	return []string{"v=" + version, "c=" + label, "id=" + string(id)}
}

// sanitiser turns what was heard into a Peer, or says why not. Everything in
// an announcement is a claim by an unknown sender.
type sanitiser struct {
	self  raft.NodeID
	label string
	links []link // through which it can have come
}

func (s sanitiser) peer(e *zeroconf.ServiceEntry) (Peer, error) {
	text, ok := parseText(e.Text)
	if !ok || text["v"] != version {
		return Peer{}, errMalformed
	}
	id := raft.NodeID(text["id"])
	if !id.Valid() || e.Instance != instanceName(id) || e.Port <= 0 || e.Port > 65535 {
		return Peer{}, errMalformed
	}
	if text["c"] != s.label {
		return Peer{}, errOtherCluster
	}
	if id == s.self {
		return Peer{}, errSelf
	}
	addrs := s.addrs(e)
	if len(addrs) == 0 {
		return Peer{}, errNoAddress
	}
	p := Peer{ID: id}
	for _, a := range addrs {
		p.Addrs = append(p.Addrs, netip.AddrPortFrom(a, uint16(e.Port)))
	}
	return p, nil
}

// parseText reads the strings of a TXT record. Of a key that comes twice the
// first counts (RFC 6763 §6.4); keys unknown here are for newer versions.
func parseText(txt []string) (map[string]string, bool) {
	size := 0
	text := make(map[string]string, 4)
	for _, s := range txt {
		size += 1 + len(s)
		if size > maxText {
			return nil, false
		}
		key, value, _ := strings.Cut(s, "=")
		if _, twice := text[key]; !twice {
			text[key] = value
		}
	}
	return text, true
}

// addrs are the addresses worth trying, the likeliest first, without repeats.
func (s sanitiser) addrs(e *zeroconf.ServiceEntry) []netip.Addr {
	var addrs []netip.Addr
	for _, ips := range [][]net.IP{e.AddrIPv4, e.AddrIPv6} {
		for _, ip := range ips[:min(len(ips), maxRecords)] {
			// A record without data arrives as a nil IP.
			a, ok := netip.AddrFromSlice(ip)
			if ok && reachable(a.Unmap()) {
				addrs = append(addrs, s.zoned(a.Unmap())...)
			}
		}
	}
	slices.SortFunc(addrs, func(a, b netip.Addr) int {
		return cmp.Or(cmp.Compare(s.rank(a), s.rank(b)), a.Compare(b))
	})
	addrs = slices.Compact(addrs)
	return addrs[:min(len(addrs), maxAddrs)]
}

func reachable(a netip.Addr) bool {
	return (a.IsGlobalUnicast() || a.IsLinkLocalUnicast()) && !a.IsLoopback()
}

// zoned adds the interface to an IPv6 link-local address, which means nothing
// without it. The answer does not tell by which interface it came (a socket
// gets multicast of every interface that any socket joined), so with several
// there are several addresses, and the transport finds out which is true.
func (s sanitiser) zoned(a netip.Addr) []netip.Addr {
	if !a.Is6() || !a.IsLinkLocalUnicast() {
		return []netip.Addr{a}
	}
	var addrs []netip.Addr
	for _, l := range s.links {
		addrs = append(addrs, a.WithZone(l.name))
	}
	return addrs
}

// rank orders addresses: neighbours in a subnet of ours, other IPv4, other
// IPv6, and link-local last, which may be several guesses at one.
func (s sanitiser) rank(a netip.Addr) int {
	if a.Is6() && a.IsLinkLocalUnicast() {
		return 3
	}
	for _, l := range s.links {
		for _, p := range l.prefixes {
			if p.Contains(a) {
				return 0
			}
		}
	}
	if a.Is4() {
		return 1
	}
	return 2
}
