package udpcomms

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
	"golang.org/x/sys/unix"
)

// Send sends a message to the device m.To, or a Join to anyone when that is "".
// It never blocks and promises nothing: what cannot be sent is dropped and
// counted. The message must not be changed afterwards.
func (c *Comms) Send(m raft.Message) {
	now := time.Now()
	if err := c.sendable(m); err != nil {
		c.refuse(err, now)
		return
	}
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return
	}
	p := c.anyone
	if m.To != "" {
		if p = c.lookUp(m.To, now); p == nil {
			c.mu.Unlock()
			c.stats.Drop(dropTooManyPeers)
			return
		}
	}
	p.queue = append(p.queue, m)
	p.queueBytes += messageSize(m)
	for len(p.queue) > 1 && (len(p.queue) > maxQueue || p.queueBytes > maxQueueBytes) {
		c.stats.Drop(dropQueueFull)
		p.pop()
	}
	if p.sending || p.queueBytes > inlineBytes || !p.addr.IsValid() {
		c.startSending(p)
		c.mu.Unlock()
		return
	}
	p.sending = true
	c.mu.Unlock()
	c.sendInline(p)
}

// sendInline sends one message at once to where a device was heard: to start a
// goroutine for a heartbeat would wake another thread for each.
func (c *Comms) sendInline(p *peer) {
	s := c.scratch.Get().(*scratch)
	s.inline = true
	c.sendNext(p, s)
	s.inline = false
	c.scratch.Put(s)
	c.mu.Lock()
	defer c.mu.Unlock()
	p.sending = false
	if len(p.queue)+len(p.controls) > 0 {
		c.startSending(p)
	}
}

var errUnsendable = errors.New("cannot be sent")

// sendable checks the caller's side of the contract.
func (c *Comms) sendable(m raft.Message) error {
	_, isJoin := m.Body.(raft.Join)
	switch {
	case m.From != c.self:
		return fmt.Errorf("a message %w in the name of another device", errUnsendable)
	case m.To == c.self:
		return fmt.Errorf("a message %w to this device itself", errUnsendable)
	case m.To == "" && !isJoin, m.To != "" && !m.To.Valid():
		return fmt.Errorf("a message of type %T %w to the device %q", m.Body, errUnsendable, string(m.To))
	}
	return nil
}

// refuse counts a message that breaks the contract, and logs it now and then:
// it is an error in this program.
func (c *Comms) refuse(err error, now time.Time) {
	c.stats.Drop(dropUnsendable)
	if c.stats.MayLog(logUnsendable, now) {
		c.logger.Error("a message was dropped; this is an error in edgeraft, please report it", "error", err)
	}
}

// messageSize is about what a message costs in memory, in bytes.
func messageSize(m raft.Message) int {
	const overhead = 128
	n := overhead
	switch b := m.Body.(type) {
	case raft.AppendRequest:
		for _, e := range b.Entries {
			n += e.Size()
		}
	case raft.Forward:
		for _, p := range b.Proposals {
			n += overhead + len(p.Data)
		}
	case raft.SnapshotRequest:
		n += len(b.Data)
	}
	return n
}

// pop takes the oldest message from the queue.
func (p *peer) pop() raft.Message {
	m := p.queue[0]
	p.queue = slices.Delete(p.queue, 0, 1)
	p.queueBytes -= messageSize(m)
	return m
}

// sendControl queues a packet of our own for a device that is in the address
// book already.
func (c *Comms) sendControl(to raft.NodeID, packet control, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[to]
	if p == nil || c.closed {
		return
	}
	if len(p.controls) >= maxControls {
		c.stats.Drop(dropControlFull)
		return
	}
	p.controls = append(p.controls, packet)
	c.startSending(p)
}

// SendSealed sends a device a packet that the Sealer made, as it is, with what is
// known of where that device is. Like Send it never blocks and promises nothing.
func (c *Comms) SendSealed(to raft.NodeID, packet []byte) {
	now := time.Now()
	c.mu.Lock()
	p := c.lookUp(to, now)
	c.mu.Unlock()
	if p == nil {
		c.stats.Drop(dropTooManyPeers)
		return
	}
	c.sendControl(to, control{sealed: packet}, now)
}

// startSending sees to it that a goroutine empties the peer's queues. The
// caller holds mu, and is not closed.
func (c *Comms) startSending(p *peer) {
	if !p.sending {
		p.sending = true
		c.spawn(func() { c.drain(p) })
	}
}

// scratch is the memory for one packet being made.
type scratch struct {
	plain, packet []byte
	targets       []netip.AddrPort
	inline        bool // whoever uses it must not wait
}

// maxScratch is the most bytes of plain that are kept for the next packet.
const maxScratch = 8 << 10

// drain sends what waits for a peer until nothing does.
func (c *Comms) drain(p *peer) {
	s := c.scratch.Get().(*scratch)
	for c.ctx.Err() == nil && c.sendNext(p, s) {
	}
	if cap(s.plain) > maxScratch {
		s.plain = nil
	}
	c.scratch.Put(s)
}

// sendNext sends the next thing that waits for a peer. When nothing does, it
// marks the peer as not being sent to and reports false.
func (c *Comms) sendNext(p *peer, s *scratch) bool {
	now := time.Now()
	var (
		m    raft.Message
		ctrl control
	)
	c.mu.Lock()
	isControl := len(p.controls) > 0
	switch {
	case isControl:
		ctrl = p.controls[0]
		p.controls = slices.Delete(p.controls, 0, 1)
	case len(p.queue) > 0:
		m = p.pop()
	default:
		p.sending = false
		c.mu.Unlock()
		return false
	}
	search := false
	if ctrl.to != nil {
		s.targets = append(s.targets[:0], ctrl.to...)
	} else {
		search = c.routeTo(p, s, now)
	}
	c.mu.Unlock()

	switch {
	case ctrl.sealed != nil:
		c.writeAll(s, p.id, ctrl.sealed)
	case ctrl.repeat != nil:
		c.sendFragments(s, ctrl.repeat, ctrl.runs)
	case isControl:
		c.sendPacket(s, p.id, ctrl.packet)
	default:
		c.sendMessage(s, m, now)
	}
	if search {
		c.search(s, p, now)
	}
	return true
}

// routeTo sets the addresses for the next packet to a peer, and reports whether
// a search for it is due. The caller holds mu.
func (c *Comms) routeTo(p *peer, s *scratch, now time.Time) (search bool) {
	if p == c.anyone {
		s.targets = append(s.targets[:0], c.broadcastAddrs(nil, now)...)
		return false
	}
	s.targets, search = p.route(s.targets[:0], now)
	return search
}

// sendMessage encodes a message and sends it to the targets in s.
func (c *Comms) sendMessage(s *scratch, m raft.Message, now time.Time) {
	if len(s.targets) == 0 {
		c.stats.Drop(dropNoAddress)
		return
	}
	var err error
	plain := slices.Grow(s.plain[:0], messageSize(m)) // else a large one is copied again and again
	s.plain, err = wire.AppendMessage(append(plain, kindMessage), m)
	if err != nil {
		c.refuse(err, now)
		return
	}
	if len(s.plain) <= maxPlain {
		c.sendPacket(s, m.To, s.plain)
		return
	}
	if m.To == "" {
		c.refuse(fmt.Errorf("a Join of %d bytes %w", len(s.plain), errUnsendable), now)
		return
	}
	out := &outbound{to: m.To, data: s.plain[1:]}
	s.plain = nil // it is the outbox's now
	c.mu.Lock()
	out.message = c.nextMessage
	c.nextMessage++
	c.mu.Unlock()
	c.outbox.put(out, now)
	c.tendBy(now.Add(retainFor))
	c.sendFragments(s, out, []run{{0, fragmentCount(len(out.data))}})
}

// sendFragments sends fragments of a message to the first of the targets in s:
// where several are only candidates, the search finds out which is right, and
// the receiver asks for what it missed.
func (c *Comms) sendFragments(s *scratch, m *outbound, runs []run) {
	s.targets = s.targets[:min(len(s.targets), 1)]
	inBurst := 0
	for _, r := range runs {
		for i := r.first; i < r.first+r.count; i++ {
			if inBurst == burst {
				inBurst = 0
				if !c.pause(burstPause) {
					return
				}
			}
			inBurst++
			s.plain = appendFragment(s.plain[:0], m.message, i, m.data)
			c.sendPacket(s, m.to, s.plain)
		}
	}
}

// sendPacket seals a packet and writes it to each target in s. The copies are
// one packet: who gets several opens the first.
func (c *Comms) sendPacket(s *scratch, to raft.NodeID, plain []byte) {
	var err error
	s.packet, err = c.sealer.Seal(s.packet[:0], to, plain)
	if err != nil {
		c.refuse(err, time.Now())
		return
	}
	c.writeAll(s, to, s.packet)
}

// writeAll writes a sealed packet for a device to each target in s. Where the
// interface is slower than what goes out, the goroutine of the peer waits for
// room, and whoever may not wait leaves the packet to that.
func (c *Comms) writeAll(s *scratch, to raft.NodeID, packet []byte) {
	for _, target := range s.targets {
		full := c.write(packet, target)
		if full && s.inline && to != "" {
			c.sendControl(to, control{sealed: slices.Clone(packet), to: []netip.AddrPort{target}}, time.Now())
			continue
		}
		for wait := 0; full && !s.inline && wait < maxRoomWaits && c.pause(roomWait); wait++ {
			full = c.write(packet, target)
		}
		if full {
			c.stats.Drop(dropSendFull)
		}
	}
}

// write writes a sealed packet to an address, and reports when it did not, since
// what was sent before it has not left yet.
func (c *Comms) write(packet []byte, target netip.AddrPort) (full bool) {
	err := c.conn.write(packet, target)
	switch {
	case err == nil:
		c.stats.Sent(1, len(packet))
	case errors.Is(err, unix.EAGAIN):
		return true
	case errors.Is(err, net.ErrClosed):
	default:
		c.stats.Fail(dropSendFailed, fmt.Errorf("send to %v: %w", target, err))
	}
	return false
}
