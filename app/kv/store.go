package kv

import (
	"strings"
	"sync"

	"github.com/edgeraft/edgeraft/raft"
)

// MaxStateBytes bounds the whole state: keys, values, and keyOverhead for each
// key. It is a constant of the format, because a put beyond it is refused when
// it is applied, which must happen on every device or on none.
const MaxStateBytes = 16 << 20

// What a key costs beside its bytes and its value's: the map's and the order's
// share, and with a TTL its place among the deadlines, which has the key once
// more. They are constants of the format.
const (
	keyOverhead = 128
	ttlOverhead = 48
)

// MaxExpired bounds how many keys one entry removes because they expired, so
// that a crowd of them does not hold up the loop. The others stay there for the
// next entry. It is a constant of the format.
const MaxExpired = 512

// Limits of one List.
const (
	MaxListItems = 1000
	MaxListBytes = 512 << 10 // of keys and values; one item at least is returned
)

// EventKind says what an Event is about, in the words of the socket.
type EventKind string

// The kinds of event.
const (
	EventCommand EventKind = "command"
	EventPut     EventKind = "put"
	EventDelete  EventKind = "delete"
	EventExpire  EventKind = "expire"
)

// Event is one effect of an applied entry. It is immutable; Value may share
// memory with the log and the state.
type Event struct {
	Kind  EventKind
	Key   string // not for EventCommand
	Value []byte // of EventCommand and EventPut only
}

// Change is one applied entry and its effects, of which there may be none.
type Change struct {
	Index  raft.Index
	Term   raft.Term
	Events []Event
}

// Options says how a Store is connected.
type Options struct {
	// Observe, where not nil, is called for every applied entry, once the
	// state shows it and before Apply returns. It must not block.
	Observe func(Change)
	// Restored, where not nil, is called when the state was replaced by one
	// that holds everything up to this index, as Observe is.
	Restored func(raft.Index)
}

// Store is the state. Apply is for one goroutine; everything else may be
// called at any time from any goroutine. Returned values are shared and must
// not be altered.
type Store struct {
	observe  func(Change)
	restored func(raft.Index)

	mu        sync.RWMutex
	items     map[string]item
	order     order
	deadlines deadlines
	bytes     int // against MaxStateBytes
	applied   raft.Index
	malformed uint64
}

type item struct {
	value    []byte
	index    raft.Index // where it last changed
	deadline raft.Time  // after which it expires; 0: never
}

// cost is what a key counts against MaxStateBytes.
func cost(key string, value []byte, expires bool) int {
	n := keyOverhead + len(key) + len(value)
	if expires {
		n += ttlOverhead + len(key)
	}
	return n
}

func (it *item) cost(key string) int { return cost(key, it.value, it.deadline != 0) }

// New returns an empty Store.
func New(o Options) *Store {
	if o.Observe == nil {
		o.Observe = func(Change) {}
	}
	if o.Restored == nil {
		o.Restored = func(raft.Index) {}
	}
	return &Store{observe: o.Observe, restored: o.Restored, items: make(map[string]item)}
}

// Applied is the index of the last entry that the state holds.
func (s *Store) Applied() raft.Index {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return s.applied
}

// Get returns a key's value and the index at which it last changed.
func (s *Store) Get(key string) (value []byte, index raft.Index, ok bool) {
	it, ok := s.Lookup(key)
	return it.Value, it.Index, ok
}

// Lookup is Get with all there is to know of the key.
func (s *Store) Lookup(key string) (Item, bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	it, ok := s.items[key]
	return Item{Key: key, Value: it.value, Index: it.index, Deadline: it.deadline}, ok
}

// Stats is the size of the state.
type Stats struct {
	Keys      int
	Expiring  int    // of Keys, those with a TTL
	Bytes     int    // against MaxStateBytes
	Malformed uint64 // committed commands that could not be read, and had no effect
}

// Stats returns the size of the state.
func (s *Store) Stats() Stats {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return Stats{Keys: len(s.items), Expiring: s.deadlines.n, Bytes: s.bytes, Malformed: s.malformed}
}

// ListQuery says which keys to list.
type ListQuery struct {
	Prefix string
	After  string // only keys after this one, in order of bytes
	Limit  int    // at most this many; MaxListItems where it is 0 or more than that
}

// Item is one key.
type Item struct {
	Key   string
	Value []byte
	Index raft.Index // where it last changed
	// Deadline is the cluster time after which it expires; 0: never. It may be
	// past for a moment.
	Deadline raft.Time
}

// List is a part of the state at one index.
type List struct {
	Items   []Item
	Applied raft.Index
	More    bool // there are keys after the last item: ask again with After
}

// List returns keys in order of bytes, within the limits above.
func (s *Store) List(q ListQuery) List {
	limit := q.Limit
	if limit <= 0 || limit > MaxListItems {
		limit = MaxListItems
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	list := List{Applied: s.applied}
	size := 0
	s.order.ascend(max(q.Prefix, q.After), func(key string) bool {
		if key == q.After {
			return true
		}
		if !strings.HasPrefix(key, q.Prefix) {
			return false
		}
		it := s.items[key]
		size += len(key) + len(it.value)
		if n := len(list.Items); n == limit || n > 0 && size > MaxListBytes {
			list.More = true
			return false
		}
		list.Items = append(list.Items, Item{Key: key, Value: it.value, Index: it.index, Deadline: it.deadline})
		return true
	})
	return list
}
