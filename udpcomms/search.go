package udpcomms

import (
	"math/rand/v2"
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

// maxRefreshers is how many devices that were heard lately are asked for one that
// was not.
const maxRefreshers = 2

// Refresh makes sure of where devices are that were not heard for so long: it asks
// them where they were last, and others that were heard. Members that do not speak
// with each other, as the followers of one leader, know by that where to look when
// the one is gone. It sends a few packets for each and never blocks.
func (c *Comms) Refresh(ids []raft.NodeID, silent time.Duration) {
	now := time.Now()
	var stale, heard []raft.NodeID
	c.mu.Lock()
	for _, id := range ids {
		p := c.lookUp(id, now)
		switch {
		case p == nil || id == c.self:
		case p.heard.IsZero() || now.Sub(p.heard) >= silent:
			p.asked = now
			stale = append(stale, id)
		default:
			heard = append(heard, id)
		}
	}
	c.mu.Unlock()
	rand.Shuffle(len(heard), func(i, j int) { heard[i], heard[j] = heard[j], heard[i] })
	for _, id := range stale {
		question := control{packet: appendWhereIs(nil, id)}
		c.sendControl(id, question, now)
		for _, other := range heard[:min(len(heard), maxRefreshers)] {
			c.sendControl(other, question, now)
		}
	}
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
		_, usable := usableAddr(a)
		needsZone := a.Addr().Is6() && a.Addr().IsLinkLocalUnicast() && a.Addr().Zone() == ""
		return !usable || needsZone || a.Addr().IsLoopback() && !from.Addr().IsLoopback()
	})
	c.mu.Lock()
	p := c.peers[id]
	if p == nil || id == c.self || len(addrs) == 0 {
		c.mu.Unlock()
		return
	}
	fresh := c.hint(p, addrs, now)
	probe := fresh && !p.addr.IsValid() && now.Sub(p.sent) < silentAfter
	refreshed := p.asked.After(p.heard) && now.Sub(p.asked) < silentAfter
	c.mu.Unlock()
	switch {
	case refreshed:
		c.sendControl(id, control{packet: appendWhereIs(nil, id), to: addrs}, now)
	case probe:
		c.sendControl(id, control{packet: appendWhereIs(nil, id)}, now)
	}
}
