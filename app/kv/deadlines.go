package kv

import (
	"encoding/binary"

	"github.com/edgeraft/edgeraft/raft"
)

// deadlines is the set of keys that expire, in order of deadline, then key: an
// order of strings that begin with the deadline, big-endian. So the order in
// which keys expire depends on nothing else.
type deadlines struct {
	order order
	n     int
}

const deadlineBytes = 8

// deadlineOf is when something put at a time with a TTL expires; 0: never.
func deadlineOf(at raft.Time, ttl TTL) raft.Time {
	if ttl == 0 {
		return 0
	}
	// The sum cannot overflow: raft.Time is far below its maximum, and
	// whatever an entry says, the minimum is.
	const most = raft.Time(1) << 62
	return min(at, most) + raft.Time(ttl)
}

func deadlineString(at raft.Time, key string) string {
	b := make([]byte, deadlineBytes, deadlineBytes+len(key))
	binary.BigEndian.PutUint64(b, uint64(at))
	return string(append(b, key...))
}

// insert adds a key that is not there, unless its deadline is 0.
func (d *deadlines) insert(at raft.Time, key string) {
	if at != 0 {
		d.order.insert(deadlineString(at, key))
		d.n++
	}
}

// remove takes out a key that is there, unless its deadline is 0.
func (d *deadlines) remove(at raft.Time, key string) {
	if at != 0 {
		d.order.remove(deadlineString(at, key))
		d.n--
	}
}

// first is the key that expires next.
func (d *deadlines) first() (at raft.Time, key string, ok bool) {
	if d.n == 0 {
		return 0, "", false
	}
	s := d.order.chunks[0][0]
	for i := range deadlineBytes {
		at = at<<8 | raft.Time(s[i])
	}
	return at, s[deadlineBytes:], true
}

// expireBefore removes the keys whose deadline lies before a time, at most
// MaxExpired of them. Not those whose deadline it is: both are rounded down, so
// a part of the last millisecond may be left. The caller holds mu.
func (s *Store) expireBefore(now raft.Time) []Event {
	var events []Event
	for len(events) < MaxExpired {
		at, key, ok := s.deadlines.first()
		if !ok || at >= now {
			break
		}
		s.remove(key)
		events = append(events, Event{Kind: EventExpire, Key: key})
	}
	return events
}

// Due returns the deadline of the key that expires next, and the command that
// removes it once cluster time is beyond that; nil if no key has one. It is
// called as Apply is, costs next to nothing, and allocates nothing.
func (s *Store) Due() (raft.Time, []byte) {
	// No lock: only Apply and Restore write, and they run on this goroutine.
	at, _, ok := s.deadlines.first()
	if !ok {
		return 0, nil
	}
	return at, expire
}
