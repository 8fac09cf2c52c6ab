package mqttcomms

import (
	"bytes"
	"errors"
	"net/netip"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/traffic"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// take handles one publication, and spoils its payload. It never blocks: while
// it runs nothing else is read from the connection.
func (c *Comms) take(s *session, topic string, payload []byte, retained bool) {
	now := time.Now()
	if id, ok := c.topics.presentDevice(topic); ok {
		if id == c.self {
			s.echoes.note(topic)
			return
		}
		c.announced(id, bytes.HasPrefix(payload, presenceHere), retained, now)
		return
	}
	switch {
	case len(payload) == 0: // of Examine
		return
	case topic != c.topics.all() && topic != c.topics.inbox(c.self):
		c.stats.Drop(dropTopic)
		return
	case retained:
		c.stats.Drop(dropRetained)
		return
	}
	in := c.cfg.Seal.Receive(payload, netip.AddrPort{})
	if in.Reply != nil {
		c.SendSealed(in.ReplyTo, in.Reply)
	}
	if in.Err != nil {
		c.notTaken(s, topic, in.Err, now)
		return
	}
	for _, p := range in.Proved {
		c.stats.Drop(c.dispatch(p.From, p.Plain, now))
	}
	if in.From == "" {
		return
	}
	c.hear(in.From, now)
	if in.Plain != nil {
		c.stats.Drop(c.dispatch(in.From, in.Plain, now))
	}
}

// notTaken counts a payload that is not taken, and tells of strangers.
func (c *Comms) notTaken(s *session, topic string, err error, now time.Time) {
	if errors.Is(err, seal.ErrOwn) {
		s.echoes.note(topic) // what was sent to find out whether it comes back
		return
	}
	reason, stranger := sealDrop(err)
	c.stats.Drop(reason)
	if !stranger {
		return
	}
	c.stats.Meet(netip.AddrPort{}, err, now)
	if c.stats.MayLog(logStranger, now) {
		c.cfg.Logger.Warn("a message came through the MQTT broker that does not belong to this cluster", "topic", topic, "reason", err)
	}
}

// dispatch does what an authenticated payload says, or says why not.
func (c *Comms) dispatch(from raft.NodeID, plain []byte, now time.Time) drop {
	if len(plain) == 0 {
		return dropMalformed
	}
	switch plain[0] {
	case kindPart:
		x, err := parsePart(plain)
		if err != nil {
			return dropMalformed
		}
		whole, reason := c.parts.add(from, x, now)
		if whole == nil || len(whole) == 0 {
			return reason
		}
		c.stats.Drop(reason)
		if whole[0] != kindMessage && whole[0] != kindGroup {
			return dropMalformed
		}
		return c.dispatch(from, whole, now)
	case kindMessage:
		return c.deliver(from, nil, plain[1:])
	case kindGroup:
		also, message, err := parseGroup(plain)
		if err != nil {
			return dropMalformed
		}
		return c.deliver(from, also, message)
	case kindProbe:
		n, ok := traffic.ParseProbe(plain)
		if !ok {
			return dropMalformed
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		c.enqueue(&item{to: from, plain: traffic.AppendProbe(nil, kindEcho, n), size: traffic.ProbeLen, at: now})
	case kindEcho:
		n, ok := traffic.ParseProbe(plain)
		if !ok {
			return dropMalformed
		}
		return c.echoed(from, n, now)
	case kindCheck:
	default:
		return dropMalformed
	}
	return noDrop
}

// deliver decodes a message and hands it on, or says why not. What it hands on
// shares no memory with encoded.
func (c *Comms) deliver(from raft.NodeID, also []uint32, encoded []byte) drop {
	if n := len(c.received); n == maxReceived || len(encoded) > largeMessage && n >= maxReceivedLarge {
		return dropReceiveFull
	}
	m, err := wire.DecodeMessage(encoded)
	if err != nil {
		return dropMalformed
	}
	if m.From != from {
		return dropForged
	}
	if slices.Contains(also, tag(c.self)) {
		m.To = c.self
	}
	if _, isJoin := m.Body.(raft.Join); m.To != c.self && !(isJoin && m.To == "") {
		return dropNotForUs
	}
	select {
	case c.received <- m:
		return noDrop
	default:
		return dropReceiveFull
	}
}
