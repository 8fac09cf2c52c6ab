package udpcomms

import (
	"math/rand/v2"
	"net/netip"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/internal/traffic"
	"github.com/edgeraft/edgeraft/raft"
)

// peer is what is known of another device, and what waits to be sent to it.
// Comms.mu guards it.
type peer struct {
	id raft.NodeID // "" stands for anyone

	addr  netip.AddrPort   // where its last authenticated packet came from; not valid before one came
	hints []netip.AddrPort // other addresses it may have, newest first, at most maxHints

	heard    time.Time // its last authenticated packet
	sent     time.Time // our last packet to it
	asked    time.Time // when it was last looked after by Refresh
	hinted   time.Time // when the entry was made, or a hint was last given
	speaking time.Time // since when it is spoken to without an answer; zero when it answered

	searchAt    time.Time // when other addresses may be tried next
	searchPause time.Duration

	queue      []raft.Message // oldest first
	queueBytes int
	controls   []control
	sending    bool // a goroutine is emptying the queues

	roundTrip traffic.RoundTrip
}

// control is a packet of our own that goes ahead of messages, one that is sealed
// already, or fragments to be repeated.
type control struct {
	packet []byte
	sealed []byte
	to     []netip.AddrPort // where to send it, instead of where the device is
	repeat *outbound
	runs   []run
}

// usableAddr unmaps an address and reports whether it can be sent to.
func usableAddr(a netip.AddrPort) (netip.AddrPort, bool) {
	a = netip.AddrPortFrom(a.Addr().Unmap(), a.Port())
	ip := a.Addr()
	ok := a.IsValid() && a.Port() != 0 && !ip.IsUnspecified() && !ip.IsMulticast() &&
		ip != netip.AddrFrom4([4]byte{255, 255, 255, 255})
	return a, ok
}

// hint takes a candidate address and reports whether it is new.
func (p *peer) hint(a netip.AddrPort) bool {
	a, ok := usableAddr(a)
	if !ok || a == p.addr || slices.Contains(p.hints, a) {
		return false
	}
	if len(p.hints) == maxHints {
		p.hints = p.hints[:maxHints-1]
	}
	p.hints = slices.Insert(p.hints, 0, a)
	return true
}

// hear records an authenticated packet from src and reports whether that is
// another address than before.
func (p *peer) hear(src netip.AddrPort, now time.Time) (moved bool) {
	if old := p.addr; old != src {
		moved = true
		p.addr = src
		p.hints = slices.DeleteFunc(p.hints, func(a netip.AddrPort) bool { return a == src })
		if old.IsValid() {
			p.hint(old)
		}
	}
	p.heard, p.speaking = now, time.Time{}
	p.searchAt, p.searchPause = time.Time{}, 0
	return moved
}

// route appends the addresses for one packet to dst, and reports whether a
// search for the device is due. It records that a packet is sent now.
//
// Where the device was never heard, a packet goes to all hints. Where it does
// not answer at its address any more, its hints are tried too, but only as
// often as it is searched for.
func (p *peer) route(dst []netip.AddrPort, now time.Time) (_ []netip.AddrPort, search bool) {
	if p.speaking.IsZero() || now.Sub(p.sent) > silentAfter {
		p.speaking = now // an answer that came late does not count against a pause
	}
	p.sent = now
	known := p.addr.IsValid()
	if known {
		dst = append(dst, p.addr)
		if now.Sub(p.speaking) <= silentAfter {
			return dst, false
		}
	}
	search = !now.Before(p.searchAt)
	if search {
		p.searchPause = nextPause(p.searchPause)
		p.searchAt = now.Add(jitter(p.searchPause))
	}
	if !known || search {
		dst = append(dst, p.hints...)
	}
	return dst, search
}

// nextPause doubles a pause between searches within its bounds.
func nextPause(d time.Duration) time.Duration {
	return min(max(2*d, searchFirst), searchAtMost)
}

// jitter spreads a pause by up to a quarter either way, so that devices that
// began together do not stay together.
func jitter(d time.Duration) time.Duration {
	return d - d/4 + rand.N(d/2+1)
}

// used is when the entry last mattered.
func (p *peer) used() time.Time {
	last := p.hinted
	for _, t := range []time.Time{p.heard, p.sent} {
		if t.After(last) {
			last = t
		}
	}
	return last
}

// onlyHinted reports whether the device was never heard nor spoken to, so that
// it may be an invention of whoever gave the hint.
func (p *peer) onlyHinted() bool { return p.heard.IsZero() && p.sent.IsZero() && !p.sending }

// lookUp returns the entry of a device, made when there is none. It is nil when
// the address book is full of better ones. The caller holds mu.
func (c *Comms) lookUp(id raft.NodeID, now time.Time) *peer {
	if p := c.peers[id]; p != nil {
		return p
	}
	if len(c.peers) >= maxPeers && !c.makeRoom(now) {
		return nil
	}
	p := &peer{id: id, hinted: now}
	c.peers[id] = p
	return p
}

// makeRoom removes the entry that is worth least, if it is worth less than the
// new one. The caller holds mu.
func (c *Comms) makeRoom(now time.Time) bool {
	var victim *peer
	for _, p := range c.peers {
		// A hint gives way to a newer one too: were the first to come kept,
		// made up devices would keep out true ones.
		dispensable := now.Sub(p.used()) > peerUnused || p.onlyHinted()
		if p.sending || !dispensable {
			continue
		}
		if victim == nil || p.onlyHinted() && !victim.onlyHinted() ||
			p.onlyHinted() == victim.onlyHinted() && p.used().Before(victim.used()) {
			victim = p
		}
	}
	if victim == nil {
		return false
	}
	delete(c.peers, victim.id)
	return true
}

// Hint tells addresses at which a device may be found. They are candidates
// only: any that cannot be sent to are ignored, at most 8 are kept, and where
// the device is gets decided by its authenticated packets. Hint never blocks.
func (c *Comms) Hint(id raft.NodeID, addrs []netip.AddrPort) {
	if !id.Valid() || id == c.self {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.lookUp(id, now)
	if p == nil {
		c.stats.Drop(dropTooManyPeers)
		return
	}
	c.hint(p, addrs, now)
}

// hint gives a peer candidate addresses and reports whether one is new. Then it
// is tried soon, if the peer is being searched for. The caller holds mu.
func (c *Comms) hint(p *peer, addrs []netip.AddrPort, now time.Time) (fresh bool) {
	for _, a := range addrs[:min(len(addrs), maxHints)] {
		fresh = p.hint(a) || fresh
	}
	p.hinted = now
	if soon := now.Add(jitter(searchFirst)); fresh && p.searchAt.After(soon) {
		p.searchAt, p.searchPause = soon, searchFirst
	}
	return fresh
}

// Moved is told that this device may have other addresses, or see another
// network, so that all who do not answer are searched for at once.
func (c *Comms) Moved() {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, p := range c.peers {
		p.searchAt, p.searchPause = time.Time{}, 0
	}
	c.seeds.again()
}

// Peer is a device in the address book.
type Peer struct {
	ID raft.NodeID
	// Addr is where its last authenticated packet came from; not valid when
	// none came yet.
	Addr netip.AddrPort
	// Heard says whether a packet of it ever came, and LastHeard how long ago
	// the last did, by the monotonic clock.
	Heard     bool
	LastHeard time.Duration
}

// Peers returns the address book in the order of IDs.
func (c *Comms) Peers() []Peer {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	peers := make([]Peer, 0, len(c.peers))
	for _, p := range c.peers {
		info := Peer{ID: p.id, Addr: p.addr, Heard: !p.heard.IsZero()}
		if info.Heard {
			info.LastHeard = now.Sub(p.heard)
		}
		peers = append(peers, info)
	}
	slices.SortFunc(peers, func(a, b Peer) int {
		if a.ID < b.ID {
			return -1
		}
		return 1
	})
	return peers
}
