package app

import (
	"cmp"
	"fmt"
	"slices"
	"sync"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// Bounds of a History where HistoryLimits leaves them at 0.
const (
	DefaultHistoryEvents = 16384
	DefaultHistoryBytes  = 4 << 20
)

// eventOverhead is what an event costs in memory beside its key and value.
const eventOverhead = 160

// What one read of the history returns at most, so that a watcher that is
// stuck in a write holds little of what the history has already dropped.
const (
	batchBytes   = 64 << 10 // one change at least is returned
	batchChanges = 256
)

// HistoryLimits bounds a History. When one is exceeded, the oldest changes are
// dropped, and watchers that still wanted them are cut off.
type HistoryLimits struct {
	Events int // 0: DefaultHistoryEvents
	Bytes  int // of keys, values and their overhead in memory; 0: DefaultHistoryBytes
}

// History holds the newest changes for watchers. A watcher is nothing here but
// an index it wants to read from, so a slow one costs nothing; it wakes up by
// a channel that the next change closes. All methods may be called from any
// goroutine.
type History struct {
	limits HistoryLimits

	mu      sync.Mutex
	changes []kv.Change // with events only, from head on, by index
	head    int
	events  int
	bytes   int
	floor   raft.Index // from this index on everything is here; 0 before the first change
	next    raft.Index // one beyond the newest index; 0 before the first change
	changed chan struct{}
	waiting bool // someone may be waiting on changed
}

// NewHistory returns an empty History.
func NewHistory(limits HistoryLimits) *History {
	if limits.Events <= 0 {
		limits.Events = DefaultHistoryEvents
	}
	if limits.Bytes <= 0 {
		limits.Bytes = DefaultHistoryBytes
	}
	return &History{limits: limits, changed: make(chan struct{})}
}

// Publish takes the next applied entry: it is the Observe of kv.Options. It
// never blocks. After a gap in the indexes the history begins anew, since it
// could not be read without that gap.
func (h *History) Publish(c kv.Change) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if c.Index != h.next {
		h.begin(c.Index)
	}
	h.next = c.Index + 1
	if len(c.Events) == 0 {
		return
	}
	h.changes = append(h.changes, c)
	h.events += len(c.Events)
	h.bytes += sizeOf(c)
	// The newest change stays, whatever its size: it is what live watchers
	// are about to read.
	for (h.events > h.limits.Events || h.bytes > h.limits.Bytes) && h.head < len(h.changes)-1 {
		h.floor = h.changes[h.head].Index + 1
		h.drop()
	}
	h.wake()
}

// Restored notes that the state was replaced by one up to index i: it is the
// Restored of kv.Options. What happened up to there is not known in detail, so
// the history begins behind it, and watchers who wait for less are told.
func (h *History) Restored(i raft.Index) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.begin(i + 1)
	h.next = i + 1
	h.wake()
}

// begin drops everything: the history goes on at an index. The caller holds mu.
func (h *History) begin(at raft.Index) {
	for h.head < len(h.changes) {
		h.drop()
	}
	h.floor = at
}

// wake lets the watchers look again. The caller holds mu.
func (h *History) wake() {
	if h.waiting {
		close(h.changed)
		h.changed, h.waiting = make(chan struct{}), false
	}
}

// drop removes the oldest change. The slice is moved down once half of it is
// empty, which costs each change one copy.
func (h *History) drop() {
	h.events -= len(h.changes[h.head].Events)
	h.bytes -= sizeOf(h.changes[h.head])
	h.changes[h.head] = kv.Change{}
	h.head++
	if h.head*2 >= len(h.changes) {
		h.changes = slices.Delete(h.changes, 0, h.head)
		h.head = 0
	}
}

func sizeOf(c kv.Change) int {
	n := 0
	for i := range c.Events {
		n += eventOverhead + len(c.Events[i].Key) + len(c.Events[i].Value)
	}
	return n
}

// compactedError: what a watcher wants is no longer in the history.
type compactedError struct {
	wanted, resumeFrom raft.Index
}

func (e *compactedError) Error() string {
	return fmt.Sprintf("the history no longer has the changes from index %d on; it begins at index %d", e.wanted, e.resumeFrom)
}

// Next is one beyond the newest index: where only what is new begins. It is 0
// before the first change.
func (h *History) Next() raft.Index {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.next
}

// read returns changes from an index on, in order, and the index from which to
// read next. If there are none yet, it returns a channel that is closed when
// there may be. The error is a *compactedError.
func (h *History) read(from raft.Index) (batch []kv.Change, next raft.Index, changed <-chan struct{}, err error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if from < h.floor {
		return nil, from, nil, &compactedError{wanted: from, resumeFrom: h.floor}
	}
	held := h.changes[h.head:]
	i, _ := slices.BinarySearchFunc(held, from, func(c kv.Change, from raft.Index) int {
		return cmp.Compare(c.Index, from)
	})
	if i == len(held) {
		// Entries without events lie behind: nothing of them can be missed.
		h.waiting = true
		return nil, max(from, h.next), h.changed, nil
	}
	bytes := 0
	for _, c := range held[i:] {
		if bytes += sizeOf(c); len(batch) > 0 && bytes > batchBytes || len(batch) == batchChanges {
			break
		}
		batch = append(batch, c)
	}
	return batch, batch[len(batch)-1].Index + 1, nil, nil
}
