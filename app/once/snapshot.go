package once

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// A snapshot is the byte 0xff, a byte with its version, the floor and the number
// of records as uvarints, the records in order of their first use, and the inner
// App's snapshot. A record is the key's digest, by how much index, term and time
// exceed those of the one before (the floor, 0 and 0 for the first) as uvarints,
// the command's sum in 8 bytes, a byte of the flags below, and, if it is kept
// and not the same as that of the record before, the length of the result as a
// uvarint and the result. Its checksum is Raft's business.
//
// In version 2, which is written once keys of another cluster came in, the
// barrier follows the floor, and records up to it may have an index in common.
const (
	snapshotVersion        = 1
	snapshotBarrierVersion = 2
)

// The flags of a record in a snapshot.
const (
	flagGuarded = 1
	flagLost    = 2
	flagSame    = 4 // the result is that of the record before
)

// minRecordBytes is the least that a record takes in a snapshot.
const minRecordBytes = len(digest{}) + 3 + 8 + 1

// ErrBadSnapshot: these bytes are no snapshot that this version can read.
var ErrBadSnapshot = errors.New("not a snapshot of a state with idempotency keys")

// Snapshot returns the table and the inner App's state as bytes.
func (a *App) Snapshot() []byte {
	inner := a.inner.Snapshot()
	t := &a.table
	b := make([]byte, 0, len(inner)+t.snapshotBytes())
	version := byte(snapshotVersion)
	if t.barrier != 0 {
		version = snapshotBarrierVersion
	}
	b = append(b, mark, version)
	b = binary.AppendUvarint(b, uint64(t.floor))
	if t.barrier != 0 {
		b = binary.AppendUvarint(b, uint64(t.barrier))
	}
	b = binary.AppendUvarint(b, uint64(t.n))
	last := record{index: t.floor}
	for i := range uint32(t.n) {
		r := t.at(t.first + i)
		b = r.append(b, &last)
		last = *r
	}
	return append(b, inner...)
}

// snapshotBytes is about how many bytes the table has in a snapshot.
func (t *table) snapshotBytes() int {
	const usual = minRecordBytes + 4
	return 2 + 3*binary.MaxVarintLen64 + t.n*usual
}

func (r *record) append(b []byte, last *record) []byte {
	b = append(b, r.key[:]...)
	b = binary.AppendUvarint(b, uint64(r.index-last.index))
	b = binary.AppendUvarint(b, uint64(r.term-last.term))
	b = binary.AppendUvarint(b, uint64(r.time-last.time))
	b = binary.BigEndian.AppendUint64(b, r.sum)
	flags, same := byte(0), r.result == last.result
	if r.guarded {
		flags |= flagGuarded
	}
	if r.lost {
		flags |= flagLost
	}
	if same {
		flags |= flagSame
	}
	b = append(b, flags)
	if !same {
		b = binary.AppendUvarint(b, uint64(len(r.result)))
		b = append(b, r.result...)
	}
	return b
}

// Restore replaces table and inner state by those of a Snapshot; a snapshot of
// the inner App alone, of a version before there were keys, is one with an empty
// table. On an error the table is as before; the inner App decides of its own.
func (a *App) Restore(data []byte) error {
	fresh, inner := newTable(a.table.limits), data
	if len(data) > 0 && data[0] == mark {
		var err error
		if inner, err = fresh.decode(data[1:]); err != nil {
			return err
		}
	}
	if err := a.inner.Restore(inner); err != nil {
		return err
	}
	a.table = fresh
	a.count()
	return nil
}

// decode fills an empty table, and returns what follows it.
func (t *table) decode(data []byte) (rest []byte, err error) {
	r := reader{rest: data}
	version := r.take(1)
	if r.failed || version[0] != snapshotVersion && version[0] != snapshotBarrierVersion {
		return nil, fmt.Errorf("%w: it is of another version", ErrBadSnapshot)
	}
	t.floor = raft.Index(r.number())
	if version[0] == snapshotBarrierVersion {
		t.barrier = raft.Index(r.number())
		r.shared = t.barrier
	}
	n := r.number()
	if n > uint64(t.limits.Keys) || n > uint64(len(r.rest)/minRecordBytes) {
		return nil, fmt.Errorf("%w: it cannot have %d keys", ErrBadSnapshot, n)
	}
	last := record{index: t.floor}
	for i := range n {
		last = r.record(last)
		switch {
		case r.failed:
			return nil, fmt.Errorf("%w: key %d of %d ends too early, or a number in it is too large", ErrBadSnapshot, i+1, n)
		case t.find(last.key) != nil:
			return nil, fmt.Errorf("%w: key %d is there twice", ErrBadSnapshot, i+1)
		case len(last.result) > t.limits.ResultBytes || t.bytes+last.cost() > t.limits.TableBytes:
			return nil, fmt.Errorf("%w: key %d is beyond the limits in bytes", ErrBadSnapshot, i+1)
		case last.lost && last.result != "":
			return nil, fmt.Errorf("%w: key %d has a result that was not kept", ErrBadSnapshot, i+1)
		}
		t.remember(last)
	}
	if r.failed {
		return nil, fmt.Errorf("%w: it ends too early", ErrBadSnapshot)
	}
	return r.rest, nil
}

// reader reads the parts of a snapshot; after the first failure it reads nothing
// more.
type reader struct {
	rest   []byte
	failed bool
	shared raft.Index // up to here records may have an index in common
}

func (r *reader) number() uint64 {
	n, size := binary.Uvarint(r.rest)
	if size <= 0 {
		r.failed, r.rest = true, nil
		return 0
	}
	r.rest = r.rest[size:]
	return n
}

// take returns the next n bytes, none after a failure.
func (r *reader) take(n uint64) []byte {
	if n > uint64(len(r.rest)) {
		r.failed, r.rest = true, nil
		return nil
	}
	b := r.rest[:n]
	r.rest = r.rest[n:]
	return b
}

// sum adds a number to one before, and fails if it overflows.
func (r *reader) sum(before uint64) uint64 {
	n := r.number()
	if before+n < before {
		r.failed = true
	}
	return before + n
}

// record reads the record behind last.
func (r *reader) record(last record) record {
	var next record
	copy(next.key[:], r.take(uint64(len(next.key))))
	next.index = raft.Index(r.sum(uint64(last.index)))
	next.term = raft.Term(r.sum(uint64(last.term)))
	next.time = raft.Time(r.sum(uint64(last.time)))
	if next.index == last.index && next.index > r.shared || next.index == 0 {
		r.failed = true // one entry, one command
	}
	if b := r.take(8); len(b) == 8 {
		next.sum = binary.BigEndian.Uint64(b)
	}
	flags := byte(0xff)
	if b := r.take(1); len(b) == 1 {
		flags = b[0]
	}
	if flags&^(flagGuarded|flagLost|flagSame) != 0 {
		r.failed = true
	}
	next.guarded, next.lost = flags&flagGuarded != 0, flags&flagLost != 0
	if next.result = last.result; flags&flagSame == 0 {
		next.result = string(r.take(r.number()))
	}
	return next
}
