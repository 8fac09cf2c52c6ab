package kv

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// A snapshot is a byte with its version, the applied index and the number of
// keys as uvarints, and for each key, in order: its length, the key, the index
// at which it last changed, its deadline (0: none), the value's length, and the
// value. Its checksum is Raft's business. Version 1, which had no deadlines, is
// still read.
const (
	snapshotVersion       = 2
	snapshotNoTTLsVersion = 1
)

// ErrBadSnapshot: these bytes are no snapshot that this version can read.
var ErrBadSnapshot = errors.New("not a snapshot of the key/value state")

// Snapshot returns the whole state as bytes. It is called as Apply is.
func (s *Store) Snapshot() []byte {
	s.mu.RLock()
	defer s.mu.RUnlock()
	// keyOverhead is more than a key's numbers take.
	b := append(make([]byte, 0, s.bytes+32), snapshotVersion)
	b = binary.AppendUvarint(b, uint64(s.applied))
	b = binary.AppendUvarint(b, uint64(len(s.items)))
	for _, chunk := range s.order.chunks {
		for _, key := range chunk {
			it := s.items[key]
			b = binary.AppendUvarint(b, uint64(len(key)))
			b = append(b, key...)
			b = binary.AppendUvarint(b, uint64(it.index))
			b = binary.AppendUvarint(b, uint64(it.deadline))
			b = binary.AppendUvarint(b, uint64(len(it.value)))
			b = append(b, it.value...)
		}
	}
	return b
}

// Restore replaces the whole state by that of a Snapshot. It is called as Apply
// is. On an error, which is ErrBadSnapshot, the state is as before.
func (s *Store) Restore(data []byte) error {
	fresh := New(Options{})
	if err := fresh.decode(data); err != nil {
		return err
	}
	s.mu.Lock()
	s.items, s.order, s.deadlines = fresh.items, fresh.order, fresh.deadlines
	s.bytes, s.applied = fresh.bytes, fresh.applied
	s.mu.Unlock()
	s.restored(fresh.applied)
	return nil
}

// decode fills an empty Store. Values share memory with data.
func (s *Store) decode(data []byte) error {
	if len(data) == 0 || data[0] != snapshotVersion && data[0] != snapshotNoTTLsVersion {
		return fmt.Errorf("%w: it is of another version", ErrBadSnapshot)
	}
	r := snapshotReader{rest: data[1:]}
	s.applied = raft.Index(r.number())
	last := ""
	for i, n := uint64(0), r.number(); i < n && r.err == nil; i++ {
		key, index, deadline := string(r.bytes(MaxKeyBytes)), r.number(), uint64(0)
		if data[0] != snapshotNoTTLsVersion {
			deadline = r.number()
		}
		value := r.bytes(MaxValueBytes)
		switch {
		case r.err != nil:
			return r.err
		case CheckKey(key) != nil || i > 0 && key <= last:
			return fmt.Errorf("%w: key %d is out of order or none", ErrBadSnapshot, i)
		case index > uint64(s.applied) || index == 0:
			return fmt.Errorf("%w: key %q changed at index %d, after %d", ErrBadSnapshot, key, index, s.applied)
		}
		last = key
		s.set(key, item{value: value, index: raft.Index(index), deadline: raft.Time(deadline)})
	}
	if r.err == nil && len(r.rest) > 0 {
		r.err = fmt.Errorf("%w: %d bytes follow its end", ErrBadSnapshot, len(r.rest))
	}
	return r.err
}

// snapshotReader reads the parts of a snapshot; after the first error it reads
// nothing more.
type snapshotReader struct {
	rest []byte
	err  error
}

func (r *snapshotReader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.fail()
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

func (r *snapshotReader) bytes(most uint64) []byte {
	n := r.number()
	if n > most || n > uint64(len(r.rest)) {
		r.fail()
		return nil
	}
	b := r.rest[:n:n]
	r.rest = r.rest[n:]
	return b
}

func (r *snapshotReader) fail() {
	if r.err == nil {
		r.err = fmt.Errorf("%w: it ends too early, or something in it is too long", ErrBadSnapshot)
	}
	r.rest = nil
}
