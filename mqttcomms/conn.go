package mqttcomms

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/eclipse/paho.golang/packets"
)

// conn is the connection to the broker. It gives every write a deadline, since
// the client library sets none, and looks at the head of every packet that
// arrives before the library does, since that would make room for as many bytes
// as the head announces.
type conn struct {
	net.Conn
	sync.Mutex // held while a packet is written; the library does so too

	in           *bufio.Reader // the library reads byte by byte
	writeTimeout atomic.Int64
	guard        guard
	stats        *counters
	began        time.Time
	// When something was last sent and received, since began.
	sent, received atomic.Int64
}

func newConn(c net.Conn, writeTimeout time.Duration, stats *counters) *conn {
	x := &conn{Conn: c, in: bufio.NewReader(c), stats: stats, began: time.Now()}
	x.writeTimeout.Store(int64(writeTimeout))
	return x
}

// hurry lets no write take longer than d from now on, not even one under way.
func (c *conn) hurry(d time.Duration) {
	c.writeTimeout.Store(int64(d))
	_ = c.Conn.SetWriteDeadline(time.Now().Add(d)) // it fails on what is closed already
}

// Read implements net.Conn. It has one caller at a time.
func (c *conn) Read(p []byte) (int, error) {
	n, err := c.in.Read(p)
	if n > 0 {
		c.received.Store(int64(time.Since(c.began)))
		c.stats.Received(0, n)
		whole, bad := c.guard.see(p[:n])
		c.stats.Received(whole, 0)
		if bad != nil {
			return 0, bad
		}
	}
	return n, err
}

// Write implements net.Conn. Its callers hold the lock.
func (c *conn) Write(p []byte) (int, error) {
	if err := c.Conn.SetWriteDeadline(time.Now().Add(time.Duration(c.writeTimeout.Load()))); err != nil {
		return 0, err
	}
	n, err := c.Conn.Write(p)
	c.sent.Store(int64(time.Since(c.began)))
	c.stats.Sent(0, n)
	return n, err
}

// write writes whole packets.
func (c *conn) write(p []byte) error {
	c.Lock()
	defer c.Unlock()
	_, err := c.Write(p)
	return err
}

// now is the connection's clock.
func (c *conn) now() time.Duration { return time.Since(c.began) }

// lastReceived is when something was last received, on the connection's clock.
func (c *conn) lastReceived() time.Duration { return time.Duration(c.received.Load()) }

// quiet is for how long nothing was sent, or nothing received, whichever is
// longer.
func (c *conn) quiet() time.Duration {
	return c.now() - min(c.lastReceived(), time.Duration(c.sent.Load()))
}

var errBadPacket = errors.New("the broker breaks the protocol")

// guard follows the heads of the packets in a stream of bytes.
type guard struct {
	state guardState
	size  int // as far as it is read, of the rest of the packet
	shift int
}

type guardState int

const (
	guardType guardState = iota
	guardSize
	guardBody
)

// see takes the next bytes, and reports how many packets end in them. It refuses
// what a broker may not send to this client: publications above QoS 0, packets
// of other kinds, and packets of more than MaxPacket bytes.
func (g *guard) see(p []byte) (whole int, err error) {
	for len(p) > 0 {
		switch g.state {
		case guardType:
			if err := admit(p[0]); err != nil {
				return whole, err
			}
			g.state, g.size, g.shift = guardSize, 0, 0
			p = p[1:]
		case guardSize:
			g.size |= int(p[0]&0x7f) << g.shift
			g.shift += 7
			if more := p[0]&0x80 != 0; more && g.shift >= 4*7 || g.size > MaxPacket {
				return whole, fmt.Errorf("%w: a packet of more than %d bytes", errBadPacket, MaxPacket)
			} else if !more {
				g.state = guardBody
			}
			p = p[1:]
		case guardBody:
			n := min(g.size, len(p))
			p = p[n:]
			g.size -= n
		}
		if g.state == guardBody && g.size == 0 {
			g.state = guardType
			whole++
		}
	}
	return whole, nil
}

// admit checks the first byte of a packet (MQTT 5 §2.1).
func admit(first byte) error {
	const qosBits = 0x06
	switch kind := first >> 4; kind {
	case packets.CONNACK, packets.PUBACK, packets.SUBACK, packets.PINGRESP, packets.DISCONNECT:
		return nil
	case packets.PUBLISH:
		if first&qosBits == 0 {
			return nil
		}
		return fmt.Errorf("%w: a publication above QoS 0", errBadPacket)
	default:
		return fmt.Errorf("%w: a packet of type %d", errBadPacket, kind)
	}
}
