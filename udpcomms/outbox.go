package udpcomms

import (
	"slices"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// outbox keeps fragmented messages for a while, in case fragments are asked for
// again. It is safe for concurrent use and takes the time from its caller.
type outbox struct {
	mu    sync.Mutex
	kept  []*outbound // oldest first
	bytes int
}

// outbound is one fragmented message. Its data never changes.
type outbound struct {
	to      raft.NodeID
	message uint64
	data    []byte
	// Guarded by outbox.mu:
	started, until time.Time
	repeats        int // fragments that may still be repeated
}

// put keeps a message; the oldest ones give way.
func (o *outbox) put(m *outbound, now time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for len(o.kept) > 0 && (len(o.kept) >= maxRetained || o.bytes+len(m.data) > maxRetainedBytes) {
		o.forget(0)
	}
	m.started, m.until = now, now.Add(retainFor)
	m.repeats = maxRepeats * fragmentCount(len(m.data))
	o.kept = append(o.kept, m)
	o.bytes += len(m.data)
}

// repeat returns the message to be repeated in these runs, cut to its length,
// or nil when it is not, or not any more, to be had.
func (o *outbox) repeat(to raft.NodeID, message uint64, runs []run, now time.Time) (*outbound, []run) {
	o.mu.Lock()
	defer o.mu.Unlock()
	i := slices.IndexFunc(o.kept, func(m *outbound) bool { return m.message == message && m.to == to })
	if i < 0 {
		return nil, nil
	}
	m := o.kept[i]
	count, wanted := fragmentCount(len(m.data)), 0
	for j, r := range runs {
		if r.first+r.count > count {
			return nil, nil // of another message: never asked for by a true receiver
		}
		if wanted += r.count; wanted > m.repeats {
			runs = runs[:j]
			wanted -= r.count
			break
		}
	}
	m.repeats -= wanted
	m.until = now.Add(retainFor)
	if len(runs) == 0 {
		o.forget(i)
		return nil, nil
	}
	return m, runs
}

// tick forgets what is over and returns when to call it again: the zero time
// when nothing is kept.
func (o *outbox) tick(now time.Time) (next time.Time) {
	o.mu.Lock()
	defer o.mu.Unlock()
	for i := 0; i < len(o.kept); {
		m := o.kept[i]
		end := earlier(m.until, m.started.Add(retainAtMost))
		if !now.Before(end) {
			o.forget(i)
			continue
		}
		next = earlier(next, end)
		i++
	}
	return next
}

// forget removes message i. The caller holds mu.
func (o *outbox) forget(i int) {
	o.bytes -= len(o.kept[i].data)
	o.kept = slices.Delete(o.kept, i, i+1)
}
