package udpcomms

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"strconv"
	"sync"
	"time"
)

// seeds are the configured addresses. Names are resolved in the background,
// when addresses are wanted and the last look-up is too long ago.
type seeds struct {
	logger *slog.Logger
	lookUp func(ctx context.Context, network, host string) ([]netip.Addr, error)
	now    func() time.Time

	mu   sync.Mutex
	list []*seed
}

// seed is one configured address.
type seed struct {
	host      string
	port      uint16
	addrs     []netip.AddrPort // at most maxSeedAddrs
	name      bool             // the host is a name and must be resolved
	resolving bool
	failing   bool // the last look-up failed
	next      time.Time
	pause     time.Duration
}

// newSeeds reads "host:port" texts. Names are not resolved yet.
func newSeeds(texts []string, logger *slog.Logger) (*seeds, error) {
	if len(texts) > maxSeeds {
		return nil, fmt.Errorf("%d peers are configured, the limit is %d; a few suffice, the others are learned from them", len(texts), maxSeeds)
	}
	s := &seeds{logger: logger, lookUp: net.DefaultResolver.LookupNetIP, now: time.Now}
	for _, text := range texts {
		host, portText, err := net.SplitHostPort(text)
		if err != nil {
			return nil, fmt.Errorf("peer %q: %w; write it like device.local:7521", text, err)
		}
		port, err := strconv.ParseUint(portText, 10, 16)
		if err != nil || port == 0 || host == "" {
			return nil, fmt.Errorf("peer %q: it needs a host and a port from 1 to 65535, like device.local:7521", text)
		}
		entry := &seed{host: host, port: uint16(port)}
		if ip, err := netip.ParseAddr(host); err == nil {
			if a, ok := usableAddr(netip.AddrPortFrom(ip, entry.port)); ok {
				entry.addrs = []netip.AddrPort{a}
			}
		} else {
			entry.name = true
		}
		s.list = append(s.list, entry)
	}
	return s, nil
}

// appendTo appends the addresses known so far to dst. It never blocks: names
// that are due are resolved by spawn, for next time.
func (s *seeds) appendTo(ctx context.Context, dst []netip.AddrPort, now time.Time, spawn func(func())) []netip.AddrPort {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entry := range s.list {
		dst = append(dst, entry.addrs...)
		if entry.name && !entry.resolving && !now.Before(entry.next) {
			entry.resolving = true
			spawn(func() { s.resolve(ctx, entry) })
		}
	}
	return dst
}

// again makes all names due, as soon as their addresses are wanted.
func (s *seeds) again() {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, entry := range s.list {
		entry.next, entry.pause = time.Time{}, 0
	}
}

// resolve looks a seed's name up once.
func (s *seeds) resolve(ctx context.Context, entry *seed) {
	limited, cancel := context.WithTimeout(ctx, resolveTimeout)
	defer cancel()
	ips, err := s.lookUp(limited, "ip", entry.host)
	if ctx.Err() != nil {
		return
	}
	var addrs []netip.AddrPort
	for _, ip := range ips {
		if a, ok := usableAddr(netip.AddrPortFrom(ip, entry.port)); ok && len(addrs) < maxSeedAddrs {
			addrs = append(addrs, a)
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	entry.resolving = false
	if len(addrs) > 0 {
		entry.addrs, entry.failing = addrs, false
		entry.pause = min(nextPause(entry.pause), resolveEvery)
		entry.next = s.now().Add(jitter(entry.pause))
		return
	}
	// The old addresses stay: a name server that is down changes nothing.
	entry.pause = nextPause(entry.pause)
	entry.next = s.now().Add(jitter(entry.pause))
	if !entry.failing {
		entry.failing = true
		s.logger.Warn("a configured peer's name has no address; it is tried again", "peer", entry.host, "error", err)
	}
}
