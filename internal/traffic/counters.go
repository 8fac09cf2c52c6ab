// Package traffic is what the transports have in common whatever they go over: what
// they count, how rarely they log what comes again and again, and the probes by
// which they measure round trips.
package traffic

import (
	"net/netip"
	"sync"
	"sync/atomic"
	"time"
)

// logEvery is the least time between two log lines on one topic.
const logEvery = time.Minute

// Totals is what Counters has counted.
type Totals struct {
	SentPackets, SentBytes         uint64
	ReceivedPackets, ReceivedBytes uint64 // from anyone
	// Dropped counts by reason what was not sent, not taken, or not handed on.
	// Only reasons that occurred are in it.
	Dropped map[string]uint64
	// LastStranger is the last sender whose packet could not be opened.
	LastStranger Stranger
	// LastError is the newest error of the transport, "" when there was none.
	LastError string
}

// Stranger is a sender whose packets cannot be opened, such as a device with
// another key. All of it is unproven.
type Stranger struct {
	Addr   netip.AddrPort // not valid where it is not known
	Reason error          // of package seal; nil when there was no stranger
	Ago    time.Duration
}

// Counters counts what a transport does. R is its reasons for dropping something,
// numbered from 0. It is safe for concurrent use.
type Counters[R ~int] struct {
	sentPackets, sentBytes         atomic.Uint64
	receivedPackets, receivedBytes atomic.Uint64
	names                          []string
	dropped                        []atomic.Uint64

	mu         sync.Mutex
	stranger   Stranger
	strangerAt time.Time
	lastError  string
	logAfter   []time.Time // by topic
}

// NewCounters makes counters for reasons, by their names in Totals.Dropped, and for
// so many topics of log lines.
func NewCounters[R ~int](names []string, topics int) *Counters[R] {
	return &Counters[R]{names: names, dropped: make([]atomic.Uint64, len(names)), logAfter: make([]time.Time, topics)}
}

// Sent counts what the network took.
func (c *Counters[R]) Sent(packets, bytes int) {
	c.sentPackets.Add(uint64(packets))
	c.sentBytes.Add(uint64(bytes))
}

// Received counts what the network brought.
func (c *Counters[R]) Received(packets, bytes int) {
	c.receivedPackets.Add(uint64(packets))
	c.receivedBytes.Add(uint64(bytes))
}

// Drop counts something dropped. What is no reason is not counted.
func (c *Counters[R]) Drop(reason R) {
	if reason >= 0 && int(reason) < len(c.dropped) {
		c.dropped[reason].Add(1)
	}
}

// Fail counts something dropped because of an error of the transport.
func (c *Counters[R]) Fail(reason R, err error) {
	c.Drop(reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastError = err.Error()
}

// Meet records a stranger.
func (c *Counters[R]) Meet(addr netip.AddrPort, reason error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stranger, c.strangerAt = Stranger{Addr: addr, Reason: reason}, now
}

// MayLog reports whether it is time for another line on a topic, and if so counts
// that as written.
func (c *Counters[R]) MayLog(topic int, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.logAfter[topic]) {
		return false
	}
	c.logAfter[topic] = now.Add(logEvery)
	return true
}

// Totals returns the counts. Each is exact; together they may be of slightly
// different instants.
func (c *Counters[R]) Totals(now time.Time) Totals {
	t := Totals{
		SentPackets: c.sentPackets.Load(), SentBytes: c.sentBytes.Load(),
		ReceivedPackets: c.receivedPackets.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Dropped: map[string]uint64{},
	}
	for reason, name := range c.names {
		if n := c.dropped[reason].Load(); n > 0 {
			t.Dropped[name] = n
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	t.LastStranger, t.LastError = c.stranger, c.lastError
	if t.LastStranger.Reason != nil {
		t.LastStranger.Ago = now.Sub(c.strangerAt)
	}
	return t
}
