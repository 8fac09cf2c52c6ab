package udpcomms

import (
	"time"

	"github.com/edgeraft/edgeraft/internal/traffic"
	"github.com/edgeraft/edgeraft/raft"
)

// Probe asks a device for a sign of life, to measure the round trip. It never
// blocks; what comes of it is told by Contact.
func (c *Comms) Probe(id raft.NodeID) {
	if !id.Valid() || id == c.self {
		return
	}
	now := time.Now()
	c.mu.Lock()
	p := c.lookUp(id, now)
	if p == nil {
		c.mu.Unlock()
		c.stats.Drop(dropTooManyPeers)
		return
	}
	n := p.roundTrip.Ask()
	p.roundTrip.Leaves(n, now)
	packet := traffic.AppendProbe(nil, kindProbe, n)
	c.mu.Unlock()
	c.sendControl(id, control{packet: packet}, now)
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

// probed answers a probe, or takes an answer.
func (c *Comms) probed(from raft.NodeID, plain []byte, now time.Time) drop {
	n, ok := traffic.ParseProbe(plain)
	if !ok {
		return dropMalformed
	}
	if plain[0] == kindProbe {
		c.sendControl(from, control{packet: traffic.AppendProbe(nil, kindEcho, n)}, now)
		return noDrop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[from]; p == nil || !p.roundTrip.Take(n, now) {
		return dropLateEcho
	}
	return noDrop
}
