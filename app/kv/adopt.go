package kv

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Adopt puts the state of a Snapshot of another time, or of another cluster, in
// the place of this one, as one change made by entry e, which was applied:
//
//   - Every key last changed at e. Its index in the snapshot is of the past or of
//     another log; with it, a compare-and-set could hold that must not.
//   - A key with a TTL has as long as it had left at cluster time taken, when the
//     snapshot was made. One that had nothing left goes with the next entry.
//   - Watchers are told as after a snapshot: what changed is not known one by one.
//
// An error is ErrBadSnapshot, and changes nothing. It is called as Apply is, and
// shares data's memory.
func (s *Store) Adopt(data []byte, taken raft.Time, _ bool, e raft.Entry) error {
	fresh := New(Options{})
	if err := fresh.decode(data); err != nil {
		return err
	}
	if fresh.bytes > MaxStateBytes && fresh.bytes > s.bytes {
		return fmt.Errorf("%w: it is larger than a state may be", ErrBadSnapshot)
	}
	fresh.deadlines = deadlines{}
	fresh.order.ascend("", func(key string) bool {
		it := fresh.items[key]
		it.index = e.Index
		if it.deadline != 0 {
			left := TTL(min(max(it.deadline, taken)-taken, raft.Time(MaxTTL)))
			it.deadline = max(deadlineOf(e.Time, left), e.Time, 1)
		}
		fresh.items[key] = it
		fresh.deadlines.insert(it.deadline, key)
		return true
	})
	s.mu.Lock()
	s.items, s.order, s.deadlines, s.bytes = fresh.items, fresh.order, fresh.deadlines, fresh.bytes
	s.applied = e.Index
	s.mu.Unlock()
	s.restored(e.Index)
	return nil
}
