package udpcomms

import (
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// roundTrip measures how long an answer of a peer takes.
type roundTrip struct {
	probe  uint64    // the number of the probe under way, 0 for none
	sent   time.Time // when it left
	smooth time.Duration
	echoed time.Time // when a probe was last answered
}

// take takes the answer to probe n and reports whether it was awaited.
func (r *roundTrip) take(n uint64, now time.Time) bool {
	if n == 0 || n != r.probe {
		return false
	}
	took := max(now.Sub(r.sent), time.Microsecond)
	r.probe, r.echoed = 0, now
	if r.smooth == 0 {
		r.smooth = took
	} else {
		r.smooth += (took - r.smooth) / 4
	}
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
	p := c.lookUp(id, now)
	if p == nil {
		c.mu.Unlock()
		c.stats.drop(dropTooManyPeers)
		return
	}
	p.roundTrip.probe, p.roundTrip.sent = rand.Uint64()|1, now
	packet := appendNumber(nil, kindProbe, p.roundTrip.probe)
	c.mu.Unlock()
	c.sendControl(id, control{packet: packet}, now)
}

// Contact tells when a device was last heard, the zero time for never, and the
// round trip to it, 0 while that is not known.
func (c *Comms) Contact(id raft.NodeID) (heard time.Time, roundTrip time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		return p.heard, p.roundTrip.smooth
	}
	return time.Time{}, 0
}

// Echoed tells when a device last answered a probe, the zero time for never.
func (c *Comms) Echoed(id raft.NodeID) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[id]; p != nil {
		return p.roundTrip.echoed
	}
	return time.Time{}
}

// probed answers a probe, or takes an answer.
func (c *Comms) probed(from raft.NodeID, plain []byte, now time.Time) drop {
	n, err := parseNumber(plain)
	if err != nil {
		return dropMalformed
	}
	if plain[0] == kindProbe {
		c.sendControl(from, control{packet: appendNumber(nil, kindEcho, n)}, now)
		return noDrop
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if p := c.peers[from]; p == nil || !p.roundTrip.take(n, now) {
		return dropLateEcho
	}
	return noDrop
}

// numberLen is the length of a probe and of an echo. The zeros behind the number
// make room: no Sealer answers a packet with a longer one, so the challenge that
// a first packet draws must not be longer than a probe that is the first.
const numberLen = 16

func appendNumber(dst []byte, kind byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, kind), n)
	return append(dst, make([]byte, numberLen-1-8)...)
}

// parseNumber reads a packet of kindProbe or kindEcho.
func parseNumber(b []byte) (uint64, error) {
	if len(b) != numberLen {
		return 0, fmt.Errorf("%w: a probe of %d bytes", errMalformed, len(b))
	}
	return binary.BigEndian.Uint64(b[1:]), nil
}
