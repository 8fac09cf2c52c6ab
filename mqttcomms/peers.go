package mqttcomms

import (
	"cmp"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/internal/traffic"
	"github.com/edgeraft/edgeraft/raft"
)

// peer is what is known of another device. Comms.mu guards it.
type peer struct {
	id        raft.NodeID
	present   bool      // announced as connected to the broker; unproven
	noted     time.Time // when it last was announced, spoken to, or the entry made
	heard     time.Time // its last authenticated packet
	spoken    bool      // something was sent to it
	roundTrip traffic.RoundTrip
}

// Peer is another device as it is seen through the broker.
type Peer struct {
	ID raft.NodeID
	// Present: it is announced as connected to the broker. Unproven.
	Present bool
	// Heard says whether a packet of it ever came, and LastHeard how long ago
	// the last did, by the monotonic clock.
	Heard     bool
	LastHeard time.Duration
	// RoundTrip is how long an answer takes, 0 while that is not known.
	RoundTrip time.Duration
}

// Peers returns the known devices in the order of IDs.
func (c *Comms) Peers() []Peer {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	all := make([]Peer, 0, len(c.peers))
	for _, p := range c.peers {
		info := Peer{ID: p.id, Present: p.present, Heard: !p.heard.IsZero(), RoundTrip: p.roundTrip.Smooth}
		if info.Heard {
			info.LastHeard = now.Sub(p.heard)
		}
		all = append(all, info)
	}
	slices.SortFunc(all, func(a, b Peer) int { return cmp.Compare(a.ID, b.ID) })
	return all
}

// Contact tells when a device was last heard, the zero time for never, and the
// round trip to it, 0 while that is not known.
func (c *Comms) Contact(id raft.NodeID) (heard time.Time, roundTrip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		return p.heard, p.roundTrip.Smooth
	}
	return time.Time{}, 0
}

// Echoed tells when a device last answered a probe, the zero time for never.
func (c *Comms) Echoed(id raft.NodeID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		return p.roundTrip.Echoed
	}
	return time.Time{}
}

// lookUp returns the entry of a device, made when there is none. It is nil when
// there are too many better ones. The caller holds mu.
func (c *Comms) lookUp(id raft.NodeID, now time.Time) *peer {
	if p := c.peers[id]; p != nil {
		return p
	}
	if len(c.peers) >= maxPeers && !c.makeRoom(now) {
		c.stats.Drop(dropTooManyPeers)
		return nil
	}
	p := &peer{id: id, noted: now}
	c.peers[id] = p
	return p
}

// makeRoom removes the entry that is worth least, if any may go. The caller
// holds mu.
func (c *Comms) makeRoom(now time.Time) bool {
	var victim *peer
	for _, p := range c.peers {
		announced := p.heard.IsZero() && !p.spoken
		if !announced && (now.Sub(p.noted) < peerUnused || now.Sub(p.heard) < peerUnused) {
			continue
		}
		if victim == nil || p.noted.Before(victim.noted) {
			victim = p
		}
	}
	if victim == nil {
		return false
	}
	delete(c.peers, victim.id)
	return true
}

// Probe asks a device for a sign of life, to measure the round trip. It never
// blocks; what comes of it is told by Contact.
func (c *Comms) Probe(id raft.NodeID) {
	if !id.Valid() || id == c.self {
		return
	}
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.lookUp(id, now)
	if p == nil {
		return
	}
	c.enqueue(&item{to: id, plain: traffic.AppendProbe(nil, kindProbe, p.roundTrip.Ask()), size: traffic.ProbeLen, at: now})
}

// probeLeaves notes that a probe is written now.
func (c *Comms) probeLeaves(x *item, now time.Time) {
	n, ok := traffic.ParseProbe(x.plain)
	if !ok {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[x.to]; p != nil {
		p.roundTrip.Leaves(n, now)
	}
}

// echoed takes the answer to a probe.
func (c *Comms) echoed(from raft.NodeID, n uint64, now time.Time) drop {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[from]; p == nil || !p.roundTrip.Take(n, now) {
		return dropLateEcho
	}
	return noDrop
}

// hear records an authenticated packet.
func (c *Comms) hear(from raft.NodeID, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.anyHeard = now
	if p := c.lookUp(from, now); p != nil {
		p.heard = now
	}
}

// announced records what a presence topic says of a device, and tells who wants
// to know. Retained messages are from before this device connected.
func (c *Comms) announced(id raft.NodeID, present, retained bool, now time.Time) {
	c.mu.Lock()
	p := c.lookUp(id, now)
	if p == nil {
		c.mu.Unlock()
		return
	}
	p.present, p.noted = present, now
	c.mu.Unlock()
	switch {
	case present && c.cfg.Found != nil:
		c.cfg.Found(id)
	case !present && !retained && c.cfg.Lost != nil:
		c.cfg.Lost(id)
	}
}
