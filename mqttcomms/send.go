package mqttcomms

import (
	"fmt"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Send sends a message to the device m.To, or a Join to anyone when that is "".
// It never blocks and promises nothing: what cannot be sent is dropped and
// counted. The message must not be changed afterwards.
func (c *Comms) Send(m raft.Message) { c.SendBatch([]raft.Message{m}) }

// SendBatch sends messages as Send does. Those of them that say the same to
// several devices are published once.
func (c *Comms) SendBatch(ms []raft.Message) {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return
	}
	// While keys are being replaced not all can open the same packet.
	together := len(c.cfg.Seal.KeyIDs()) == 1
	grouped := make([]bool, len(ms))
	for i, m := range ms {
		if grouped[i] || !c.sendable(m, now) {
			continue
		}
		x := &item{to: m.To, m: m, size: messageSize(m), at: now}
		for j := i + 1; together && j < len(ms) && len(x.also) < raft.MaxMembers; j++ {
			if !grouped[j] && m.To != "" && ms[j].To != m.To && alike(m, ms[j]) && c.sendable(ms[j], now) {
				x.also = append(x.also, ms[j].To)
				grouped[j] = true
			}
		}
		if len(x.also) > 0 {
			x.to = ""
		}
		c.enqueue(x)
	}
}

// SendSealed sends a device a packet that the Sealer made, as it is. Like Send it
// never blocks and promises nothing.
func (c *Comms) SendSealed(to raft.NodeID, packet []byte) {
	if !to.Valid() || to == c.self {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.enqueue(&item{to: to, sealed: packet, size: len(packet), at: time.Now()})
}

// enqueue hands an item to the connection, or keeps it for a while until there
// is one. The caller holds mu.
func (c *Comms) enqueue(x *item) {
	if c.closed {
		return
	}
	for range c.queue.push(x) {
		c.stats.Drop(dropQueueFull)
	}
}

// sendable checks the caller's side of the contract, and counts what breaks it:
// that is an error in this program. The caller holds mu.
func (c *Comms) sendable(m raft.Message, now time.Time) bool {
	_, isJoin := m.Body.(raft.Join)
	var err error
	switch {
	case m.From != c.self:
		err = fmt.Errorf("a message in the name of %q", m.From)
	case m.To == c.self || m.To == "" && !isJoin || m.To != "" && !m.To.Valid():
		err = fmt.Errorf("a message of type %T to %q", m.Body, m.To)
	case m.Body == nil:
		err = fmt.Errorf("a message without a body to %q", m.To)
	default:
		if m.To != "" {
			if p := c.lookUp(m.To, now); p != nil {
				p.noted, p.spoken = now, true
			}
		}
		return true
	}
	c.unsendable(err, now)
	return false
}

func (c *Comms) unsendable(err error, now time.Time) {
	c.stats.Drop(dropUnsendable)
	if c.stats.MayLog(logUnsendable, now) {
		c.cfg.Logger.Error("a message was dropped; this is an error in edgeraft, please report it", "error", err)
	}
}
