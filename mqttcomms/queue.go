package mqttcomms

import (
	"slices"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// item is something to be published.
type item struct {
	to   raft.NodeID   // whose inbox; "" for the topic of all
	m    raft.Message  // unless plain is set
	also []raft.NodeID // who gets m besides m.To
	// plain is a payload of our own, such as a probe.
	plain []byte
	// sealed is a packet of the Sealer's own, which goes as it is.
	sealed []byte
	size   int // about what it costs in memory, in bytes
	at     time.Time
}

// beat reports whether the item is a heartbeat: an AppendEntries without
// entries, which a newer one makes superfluous.
func (i *item) beat() bool {
	b, ok := i.m.Body.(raft.AppendRequest)
	return ok && len(b.Entries) == 0
}

// queue is what waits for the connection, oldest first. It is safe for
// concurrent use and takes the time from its caller.
type queue struct {
	mu    sync.Mutex
	items []*item
	bytes int
	wake  chan struct{} // has one element when there may be something
}

func newQueue() *queue { return &queue{wake: make(chan struct{}, 1)} }

// push puts an item behind the others. It returns how many gave way to it
// because the queue was full. Heartbeats that it replaces are not counted.
func (q *queue) push(x *item) (dropped int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if x.beat() {
		q.remove(func(y *item) bool {
			return y.to == x.to && y.m.To == x.m.To && slices.Equal(y.also, x.also) && y.beat()
		}, len(q.items))
	}
	q.items = append(q.items, x)
	q.bytes += x.size
	count, bytes := 0, 0
	for _, y := range q.items {
		if y.to == x.to {
			count++
			bytes += y.size
		}
	}
	for ; count > 1 && (count > maxQueue || bytes > maxQueueBytes); count-- {
		bytes -= q.remove(func(y *item) bool { return y.to == x.to }, 1)
		dropped++
	}
	for len(q.items) > 1 && (len(q.items) > maxAllQueue || q.bytes > maxAllQueueBytes) {
		q.remove(func(*item) bool { return true }, 1)
		dropped++
	}
	select {
	case q.wake <- struct{}{}:
	default:
	}
	return dropped
}

// remove takes out the first items that match, at most so many, and returns
// their bytes. The caller holds mu.
func (q *queue) remove(match func(*item) bool, most int) (bytes int) {
	q.items = slices.DeleteFunc(q.items, func(y *item) bool {
		if most == 0 || !match(y) {
			return false
		}
		most--
		bytes += y.size
		return true
	})
	q.bytes -= bytes
	return bytes
}

// pop takes the oldest item that is not older than since, nil if there is none,
// and returns how many were too old.
func (q *queue) pop(since time.Time) (x *item, stale int) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for len(q.items) > 0 {
		x, q.items[0] = q.items[0], nil
		q.items = q.items[1:]
		q.bytes -= x.size
		if !x.at.Before(since) {
			return x, stale
		}
		stale++
	}
	q.items = nil
	return nil, stale
}

// messageSize is about what a message costs in memory, in bytes.
func messageSize(m raft.Message) int {
	const overhead = 256
	n := overhead
	switch b := m.Body.(type) {
	case raft.AppendRequest:
		for _, e := range b.Entries {
			n += e.Size()
		}
	case raft.SnapshotRequest:
		n += len(b.Data)
	case raft.Forward:
		for _, p := range b.Proposals {
			n += overhead + len(p.Data)
		}
	}
	return n
}
