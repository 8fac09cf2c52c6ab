package udpcomms

import (
	"net/netip"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// search asks whoever can be reached where a device is. The question goes to
// the device's own candidates too: if it gets it, its answer shows where it is.
func (c *Comms) search(s *scratch, p *peer, now time.Time) {
	c.mu.Lock()
	first := p.hints
	if p.addr.IsValid() {
		first = append([]netip.AddrPort{p.addr}, p.hints...)
	}
	s.targets = append(s.targets[:0], c.broadcastAddrs(first, now)...)
	c.mu.Unlock()
	s.plain = appendWhereIs(s.plain[:0], p.id)
	c.sendPacket(s, "", s.plain)
}

// answer tells a device where another is, if there was contact with that one
// lately. Asked for this device itself, the answer's own source is the answer.
func (c *Comms) answer(asker raft.NodeID, from netip.AddrPort, wanted raft.NodeID, now time.Time) {
	var addrs []netip.AddrPort
	if wanted != c.self {
		c.mu.Lock()
		p := c.peers[wanted]
		if p != nil && p.addr.IsValid() && now.Sub(p.heard) < tellFor && tellable(p.addr.Addr(), from.Addr()) {
			addrs = append(addrs, p.addr)
		}
		c.mu.Unlock()
		if len(addrs) == 0 {
			return
		}
	}
	c.sendControl(asker, control{packet: appendAddresses(nil, wanted, addrs)}, now)
}

// tellable reports whether an address means the same to us and to who asks.
func tellable(addr, asker netip.Addr) bool {
	switch {
	case addr.IsLoopback():
		return asker.IsLoopback()
	case addr.Zone() != "":
		return addr.Zone() == asker.Zone() // both seen on one interface of ours
	}
	return true
}

// learn takes an answer: addresses become hints of a device that is in the
// address book already. Unless it is in contact, it is asked at once there, so
// that its answer shows where it is.
func (c *Comms) learn(from netip.AddrPort, id raft.NodeID, addrs []netip.AddrPort, now time.Time) {
	for i, a := range addrs {
		if a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() {
			addrs[i] = netip.AddrPortFrom(a.Addr().WithZone(from.Addr().Zone()), a.Port())
		}
	}
	addrs = slices.DeleteFunc(addrs, func(a netip.AddrPort) bool {
		needsZone := a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() && a.Addr().Zone() == ""
		return needsZone || a.Addr().IsLoopback() && !from.Addr().IsLoopback()
	})
	c.mu.Lock()
	p := c.peers[id]
	if p == nil || id == c.self || len(addrs) == 0 {
		c.mu.Unlock()
		return
	}
	fresh := c.hint(p, addrs, now)
	probe := fresh && !p.addr.IsValid() && now.Sub(p.sent) < silentAfter
	c.mu.Unlock()
	if probe {
		c.sendControl(id, control{packet: appendWhereIs(nil, id)}, now)
	}
}
