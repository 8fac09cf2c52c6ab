package restore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// A snapshot is the inner App's alone as long as nothing was ever restored or is
// staged. Else it is the byte 0xfe, a byte with its version, the ID and the
// index of the last restore (0: none), a byte that is 1 if one is staged, and
// then, if so, its ID and plan as in the command, when it was touched, the bits
// of the pieces that are there, and all of the data; and the inner snapshot.
const snapshotVersion = 1

// ErrBadSnapshot: these bytes are no snapshot that this version can read.
var ErrBadSnapshot = errors.New("not a snapshot of a state with restores")

// Snapshot returns the state as bytes.
func (a *App) Snapshot() []byte {
	inner := a.inner.Snapshot()
	s := a.staged
	if s == nil && a.last.index == 0 {
		return inner
	}
	room := 128
	if s != nil {
		room += len(s.data) + len(s.have)
	}
	b := append(make([]byte, 0, len(inner)+room), mark, snapshotVersion)
	b = append(b, a.last.id[:]...)
	b = binary.AppendUvarint(b, uint64(a.last.index))
	if s == nil {
		b = append(b, 0)
	} else {
		b = append(append(b, 1), s.plan.ID[:]...)
		b = s.plan.append(b)
		b = binary.AppendUvarint(b, uint64(s.touched))
		b = append(append(b, s.have...), s.data...)
	}
	return append(b, inner...)
}

// Restore replaces the state by that of a Snapshot. On an error the inner App
// decides what its state is.
func (a *App) Restore(data []byte) error {
	var last done
	var s *staged
	if len(data) > 0 && data[0] == mark {
		r := reader{rest: data[1:]}
		if r.byte() != snapshotVersion {
			return fmt.Errorf("%w: it is of another version", ErrBadSnapshot)
		}
		copy(last.id[:], r.take(len(last.id)))
		last.index = raft.Index(r.number())
		switch r.byte() {
		case 0:
		case 1:
			s = r.staged()
		default:
			r.failed = true
		}
		if r.failed {
			return fmt.Errorf("%w: it ends too early, or something in it is impossible", ErrBadSnapshot)
		}
		data = r.rest
	}
	if err := a.inner.Restore(data); err != nil {
		return err
	}
	a.last, a.staged = last, s
	return nil
}

func (r *reader) staged() *staged {
	var id ID
	copy(id[:], r.take(len(id)))
	plan := r.plan(id)
	touched := raft.Time(r.number())
	if r.failed || !plan.valid() || plan.Size > len(r.rest) {
		r.failed = true
		return nil
	}
	s := newStaged(plan, touched)
	copy(s.have, r.take(len(s.have)))
	copy(s.data, r.take(len(s.data)))
	for n := range plan.Pieces() {
		if s.has(n) {
			s.missing--
		}
	}
	if rest := plan.Pieces() % 8; rest != 0 && s.have[len(s.have)-1]>>rest != 0 {
		r.failed = true
	}
	return s
}
