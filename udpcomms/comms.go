// Package udpcomms carries Raft's messages between devices as UDP datagrams of
// at most 1,200 bytes, encrypted and authenticated by package internal/seal.
//
// It promises what Raft needs and no more: messages may be lost, repeated,
// reordered and delayed. Nothing is repeated unasked. But a message too large
// for one datagram goes as fragments, and since losing one of a thousand would
// lose them all, the receiver asks for those it misses.
//
// # Addresses
//
// Who a device is and where it is are separate. A packet's sender is proved by
// its seal, and the address it came from is where answers go from then on, so
// devices may move at any time. Everything else, hints from discovery, seeds
// and what other devices tell, is only tried: until a device is heard, its
// messages go to all its candidates, and when it falls silent they are tried
// again. Devices ask each other for addresses they miss. Loopback addresses are
// told to askers on the loopback only, and link-local ones on the same link.
//
// # Cost
//
// While nothing is sent or received, two goroutines are blocked and no timer
// runs. A goroutine per peer lives while something waits to be sent to it.
package udpcomms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"net/netip"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// Config is what Listen needs.
type Config struct {
	// Listen is the UDP address, such as ":7521" for all of this device's
	// addresses, or "127.0.0.1:0" for one of them and any free port.
	Listen string
	Self   raft.NodeID
	Seal   *seal.Sealer // for Self
	// Seeds are "host:port" texts to try besides what is learned, at most 64.
	// Names are resolved in the background, again and again.
	Seeds []string
	// Logger, when not nil, is told of strangers and of names that cannot be
	// resolved.
	Logger *slog.Logger
}

// Comms sends and receives messages over one UDP socket. All methods are safe
// for concurrent use.
type Comms struct {
	self     raft.NodeID
	sealer   *seal.Sealer
	logger   *slog.Logger
	conn     *quietSocket
	received chan raft.Message
	stats    *counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup
	wake   chan struct{} // capacity 1: the time at which tend is due has come nearer

	seeds       *seeds
	reassembler reassembler
	outbox      outbox
	scratch     sync.Pool // of *scratch

	mu          sync.Mutex
	closed      bool
	peers       map[raft.NodeID]*peer // at most maxPeers
	anyone      *peer                 // the queue of messages to anyone
	nextMessage uint64                // ID of the next fragmented message
	tendAt      time.Time             // when tend is due; zero: never
}

// Listen opens the socket and begins to receive. Only Close ends that.
func Listen(cfg Config) (*Comms, error) {
	if !cfg.Self.Valid() || cfg.Seal == nil {
		return nil, errors.New("listen on UDP: the configuration lacks this device's ID or its keys")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	known, err := newSeeds(cfg.Seeds, cfg.Logger)
	if err != nil {
		return nil, fmt.Errorf("listen on UDP: %w", err)
	}
	conn, err := openSocket(cfg.Listen)
	if err != nil {
		return nil, err
	}
	c := &Comms{
		self: cfg.Self, sealer: cfg.Seal, logger: cfg.Logger, conn: conn, seeds: known,
		stats:    newCounters(),
		received: make(chan raft.Message, maxReceived),
		wake:     make(chan struct{}, 1),
		peers:    map[raft.NodeID]*peer{},
		anyone:   &peer{},
		// A random start: fragments from before and after a restart must not
		// be taken for parts of one message.
		nextMessage: rand.Uint64(),
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.scratch.New = func() any { return new(scratch) }
	c.wg.Go(c.read)
	c.wg.Go(c.tend)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.seeds.appendTo(c.ctx, nil, time.Now(), c.wg.Go) // so that names are ready when needed
	return c, nil
}

// Received delivers messages that are proved to come from the device they name
// as their sender, and are for this device; a Join may be for anyone. Who does
// not take them in time loses the newest. It is never closed.
func (c *Comms) Received() <-chan raft.Message { return c.received }

// Port is the UDP port that is listened on.
func (c *Comms) Port() int { return c.conn.port }

// Stats returns the counts since Listen.
func (c *Comms) Stats() Stats { return c.stats.Totals(time.Now()) }

// Close ends everything and waits for its goroutines. What waits to be sent is
// dropped. Further calls of Close do nothing, of Send neither.
func (c *Comms) Close() error {
	c.mu.Lock()
	if c.closed {
		c.mu.Unlock()
		return nil
	}
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	err := c.conn.Close()
	c.wg.Wait()
	if err != nil {
		return fmt.Errorf("close the UDP socket: %w", err)
	}
	return nil
}

// spawn starts a goroutine that Close waits for, unless closed. The caller
// holds mu.
func (c *Comms) spawn(f func()) {
	if !c.closed {
		c.wg.Go(f)
	}
}

// pause waits, and reports false at once when closed.
func (c *Comms) pause(d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.ctx.Done():
		return false
	}
}

// tendBy makes tend run at this time or earlier; zero means never.
func (c *Comms) tendBy(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if at.IsZero() || !c.tendAt.IsZero() && !at.Before(c.tendAt) {
		return
	}
	c.tendAt = at
	select {
	case c.wake <- struct{}{}:
	default: // it is awake already
	}
}

// tend does what time brings: it asks for missing fragments and forgets what is
// over. Its timer runs only while there is something of that.
func (c *Comms) tend() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case <-c.wake:
		case <-timer.C:
		}
		now := time.Now()
		c.mu.Lock()
		due := c.tendAt
		if !due.IsZero() && !now.Before(due) {
			c.tendAt = time.Time{}
		}
		c.mu.Unlock()
		if due.IsZero() {
			timer.Stop()
			continue
		}
		if now.Before(due) {
			timer.Reset(due.Sub(now))
			continue
		}
		c.tendBy(c.tendNow(now))
	}
}

// tendNow does what is due and returns when the next thing will be.
func (c *Comms) tendNow(now time.Time) time.Time {
	asks, abandoned, next := c.reassembler.tick(now)
	for range abandoned {
		c.stats.Drop(dropIncomplete)
	}
	for _, a := range asks {
		c.sendControl(a.to, control{packet: appendMissing(nil, a.message, a.runs)}, now)
	}
	return earlier(next, c.outbox.tick(now))
}

// broadcastAddrs returns up to maxBroadcast addresses: those of devices that
// were heard, the seeds, and then hints. first come ahead of them. The caller
// holds mu.
func (c *Comms) broadcastAddrs(first []netip.AddrPort, now time.Time) []netip.AddrPort {
	all := append([]netip.AddrPort(nil), first...)
	for _, p := range c.peers {
		if p.addr.IsValid() {
			all = append(all, p.addr)
		}
	}
	all = c.seeds.appendTo(c.ctx, all, now, c.spawn)
	for _, p := range c.peers {
		all = append(all, p.hints...)
	}
	unique := all[:0]
	seen := make(map[netip.AddrPort]bool, len(all))
	for _, a := range all {
		if !seen[a] && len(unique) < maxBroadcast {
			seen[a] = true
			unique = append(unique, a)
		}
	}
	return unique
}
