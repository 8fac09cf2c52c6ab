package boltlog

import (
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// A record is an entry's length, as a varint, and its stored form (of package
// wire), whose checksum covers the index and the term. A length of 0 is a cut:
// the index that follows, 8 bytes little-endian, and all entries behind it are
// no more.
const (
	cutLen = 1 + 8
	// maxRecord bounds the length of an entry, as read.
	maxRecord = wire.MaxMessage + 16
)

// tail is the end of the log that is in no chunk yet, as records. It is what
// the ring holds, and what the next transaction seals.
type tail struct {
	first raft.Index // of the records
	data  []byte
	ends  []int // of the records in data

	scratch []byte
	stored  int // bytes of entries, without the framing, since restart
}

// edit is what a save does to the tail before its entries are added.
type edit struct {
	restart raft.Index // not 0: it is empty, and the next entry is this one
	cut     raft.Index // not 0: that entry and all behind it are dropped
}

// take makes an edit and adds what is fresh.
func (t *tail) take(c edit, fresh *tail) {
	switch {
	case c.restart != 0:
		t.restart(c.restart)
	case c.cut != 0:
		t.cut(c.cut)
	}
	base := len(t.data)
	t.data = append(t.data, fresh.data...)
	for _, end := range fresh.ends {
		t.ends = append(t.ends, base+end)
	}
}

// with is a copy of t after take.
func (t *tail) with(c edit, fresh *tail) *tail {
	copied := tail{
		first: t.first,
		data:  append(make([]byte, 0, len(t.data)+len(fresh.data)), t.data...),
		ends:  append(make([]int, 0, len(t.ends)+len(fresh.ends)), t.ends...),
	}
	copied.take(c, fresh)
	return &copied
}

// restart empties t; what is added next is entry first.
func (t *tail) restart(first raft.Index) {
	const keep = 1 << 20 // a large batch must not be paid for ever after
	if cap(t.data) > keep {
		t.data = nil
	}
	if cap(t.scratch) > keep {
		t.scratch = nil
	}
	t.first, t.data, t.ends, t.stored = first, t.data[:0], t.ends[:0], 0
}

// cut drops entry i and all behind it.
func (t *tail) cut(i raft.Index) {
	if i <= t.first {
		t.restart(i)
		return
	}
	if n := int(i - t.first); n < len(t.ends) {
		t.ends = t.ends[:n]
		t.data = t.data[:t.ends[n-1]]
	}
}

// add appends e.
func (t *tail) add(e raft.Entry) error {
	stored, err := wire.AppendEntry(t.scratch[:0], e)
	if err != nil {
		return err
	}
	t.scratch = stored
	t.addStored(stored)
	return nil
}

func (t *tail) addStored(stored []byte) {
	t.data = binary.AppendUvarint(t.data, uint64(len(stored)))
	t.data = append(t.data, stored...)
	t.stored += len(stored)
	t.ends = append(t.ends, len(t.data))
}

// from returns the records of entry i and those behind it, as one slice and as
// the ends of each in it, which count from t.data's start.
func (t *tail) from(i raft.Index) (start int, ends []int) {
	if i <= t.first || len(t.ends) == 0 {
		return 0, t.ends
	}
	n := min(int(i-t.first), len(t.ends))
	return t.ends[n-1], t.ends[n:]
}

// appendCut appends the record of a cut.
func appendCut(dst []byte, i raft.Index) []byte {
	return order.AppendUint64(append(dst, 0), uint64(i))
}

// record is a decoded record: an entry or a cut.
type record struct {
	cut    raft.Index // 0: an entry
	entry  raft.Entry
	stored []byte // of the entry
}

// nextRecord decodes the first record of b and returns what follows it. Errors
// are ErrDamaged or ErrVersion.
func nextRecord(b []byte) (record, []byte, error) {
	size, n := binary.Uvarint(b)
	switch {
	case n <= 0 || size > maxRecord || size > uint64(len(b)-n):
		return record{}, nil, fmt.Errorf("%w: a record of %d bytes among %d", ErrDamaged, size, len(b))
	case size == 0 && (len(b) < cutLen || order.Uint64(b[1:]) == 0):
		return record{}, nil, fmt.Errorf("%w: a cut without an index", ErrDamaged)
	case size == 0:
		return record{cut: raft.Index(order.Uint64(b[1:]))}, b[cutLen:], nil
	}
	stored := b[n : n+int(size)]
	e, err := wire.DecodeEntry(stored)
	if err != nil {
		return record{}, nil, unreadable("a record", err)
	}
	return record{entry: e, stored: stored}, b[n+int(size):], nil
}

// grown returns b with length n, and whatever content.
func grown(b []byte, n int) []byte {
	return slices.Grow(b[:0], n)[:n]
}
