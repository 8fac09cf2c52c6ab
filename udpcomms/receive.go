package udpcomms

import (
	"errors"
	"net"
	"net/netip"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// read takes datagrams until Close. Errors of the socket, such as an interface
// that went away, never end it.
func (c *Comms) read() {
	buf := make([]byte, MaxDatagram+1) // one more shows that there was more
	pause := time.Duration(0)
	for {
		n, src, err := c.conn.read(buf)
		if err != nil {
			if errors.Is(err, net.ErrClosed) || c.ctx.Err() != nil {
				return
			}
			c.stats.Fail(dropReadFailed, err)
			pause = min(max(2*pause, errorPauseFirst), errorPauseAtMost)
			if !c.pause(pause) {
				return
			}
			continue
		}
		pause = 0
		c.stats.Received(1, n)
		c.take(buf[:n], src, time.Now())
	}
}

// take handles one datagram, and spoils it.
func (c *Comms) take(datagram []byte, src netip.AddrPort, now time.Time) {
	if len(datagram) > MaxDatagram {
		c.stats.Drop(dropTooLong)
		return
	}
	in := c.sealer.Receive(datagram, src)
	if in.Reply != nil {
		if c.write(in.Reply, src) {
			c.stats.Drop(dropSendFull) // reading does not wait; it will be asked for again
		}
	}
	if in.Err != nil {
		c.refused(in.Err, src, now)
		return
	}
	for _, p := range in.Proved {
		c.handle(p.From, p.Via, p.Plain, now)
	}
	if in.From == "" {
		return
	}
	c.heard(in.From, src, now)
	if in.Plain != nil {
		c.handle(in.From, src, in.Plain, now)
	}
}

// refused counts a packet that is not taken, and tells of strangers.
func (c *Comms) refused(err error, src netip.AddrPort, now time.Time) {
	reason, stranger := sealDrop(err)
	c.stats.Drop(reason)
	if !stranger {
		return
	}
	c.stats.Meet(src, err, now)
	if c.stats.MayLog(logStranger, now) {
		c.logger.Warn("a packet was dropped that does not belong to this cluster", "from", src, "reason", err)
	}
}

// handle takes a packet that is proved to be of a device, and fresh.
func (c *Comms) handle(from raft.NodeID, src netip.AddrPort, plain []byte, now time.Time) {
	if reason := c.dispatch(from, src, plain, now); reason != noDrop {
		c.stats.Drop(reason)
	}
}

// heard records where an authenticated packet came from.
func (c *Comms) heard(from raft.NodeID, src netip.AddrPort, now time.Time) {
	c.mu.Lock()
	p := c.lookUp(from, now)
	moved := p != nil && p.hear(src, now)
	c.mu.Unlock()
	switch {
	case p == nil:
		c.stats.Drop(dropTooManyPeers)
	case moved:
		c.logger.Debug("a device has another address", "device", from, "address", src)
	}
}

// dispatch does what an authenticated packet says, or says why not.
func (c *Comms) dispatch(from raft.NodeID, src netip.AddrPort, plain []byte, now time.Time) drop {
	if len(plain) == 0 {
		return dropMalformed
	}
	switch plain[0] {
	case kindMessage:
		return c.deliver(from, plain[1:])
	case kindFragment:
		f, err := parseFragment(plain)
		if err != nil {
			return dropMalformed
		}
		whole, reason := c.reassembler.add(from, f, now)
		c.tendBy(now.Add(askAfter))
		if whole == nil {
			return reason
		}
		if reason != noDrop {
			c.stats.Drop(reason)
		}
		return c.deliver(from, whole)
	case kindMissing:
		message, runs, err := parseMissing(plain)
		if err != nil {
			return dropMalformed
		}
		if out, runs := c.outbox.repeat(from, message, runs, now); out != nil {
			c.sendControl(from, control{repeat: out, runs: runs}, now)
		}
	case kindWhereIs:
		id, err := parseWhereIs(plain)
		if err != nil {
			return dropMalformed
		}
		c.answer(from, src, id, now)
	case kindAddresses:
		id, addrs, err := parseAddresses(plain)
		if err != nil {
			return dropMalformed
		}
		c.learn(src, id, addrs, now)
	case kindProbe, kindEcho:
		return c.probed(from, plain, now)
	default:
		return dropMalformed
	}
	return noDrop
}

// deliver decodes a message and hands it on, or says why not. What it hands on
// shares no memory with encoded.
func (c *Comms) deliver(from raft.NodeID, encoded []byte) drop {
	// Only read delivers, so the channel cannot fill in between.
	waiting := len(c.received)
	if waiting == maxReceived || len(encoded) > largeMessage && waiting >= maxReceivedLarge {
		return dropReceiveFull
	}
	m, err := wire.DecodeMessage(encoded)
	if err != nil {
		return dropMalformed
	}
	if m.From != from {
		return dropForged
	}
	if _, isJoin := m.Body.(raft.Join); m.To != c.self && !(isJoin && m.To == "") {
		return dropNotForUs
	}
	c.received <- m
	return noDrop
}
