package boltlog

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"
	"slices"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// A chunk is a run of entries that is written once. It is the value "c" of a
// bucket of its own, whose name is the first entry's index, big-endian, in
// bucket "chunks", and fills the pages it lies in. It begins with (little-endian):
//
//	 0  CRC-32C of the ring's ID and of the next 28 bytes
//	 4  version, 1 byte; 3 bytes 0
//	 8  epoch that it ended, 8 bytes; first index, 8 bytes
//	24  number of records, 4 bytes; bytes of records, 4 bytes
//	32  records, each with a checksum of its own; then zeros
//
// Where a chunk starts at or before the end of the one before, it replaces what
// is there: that is how a conflict overwrites sealed entries.
const (
	chunkHead    = 32
	chunkVersion = 1
	// chunkSize is the most pages' bytes of a chunk, unless it holds a single
	// larger entry: small enough that bbolt finds room for it among freed pages.
	chunkSize = 64 << 10
	// valueStart is where the only value of a bucket starts in the bucket's
	// page: behind the page's header, one element, and a key of one byte.
	valueStart = headerLen + elementLen + 1
)

var keyChunk = []byte("c")

// encodeChunk appends a chunk of the records, whose ends count from base, to dst.
func encodeChunk(dst []byte, epoch uint64, first raft.Index, count int, records []byte, seed uint32) []byte {
	at := len(dst)
	size := pagesFor(chunkHead+len(records))*pageSize - valueStart
	dst = slices.Grow(dst, size)[:at+size]
	b := dst[at:]
	clear(b[:chunkHead])
	b[4] = chunkVersion
	order.PutUint64(b[8:], epoch)
	order.PutUint64(b[16:], uint64(first))
	order.PutUint32(b[24:], uint32(count))
	order.PutUint32(b[28:], uint32(len(records)))
	order.PutUint32(b, crc32.Update(seed, castagnoli, b[4:chunkHead]))
	clear(b[chunkHead+copy(b[chunkHead:], records):])
	return dst
}

// pagesFor is how many pages a value of so many bytes fills, alone in a bucket.
func pagesFor(value int) int { return (valueStart + value + pageSize - 1) / pageSize }

// decodeChunk returns the entries of a chunk that starts with entry first.
// Errors are ErrDamaged or ErrVersion.
func decodeChunk(b []byte, first raft.Index, seed uint32) ([]raft.Entry, error) {
	if len(b) < chunkHead || order.Uint32(b) != crc32.Update(seed, castagnoli, b[4:chunkHead]) {
		return nil, fmt.Errorf("%w: chunk %d does not begin as one", ErrDamaged, first)
	}
	if b[4] != chunkVersion {
		return nil, fmt.Errorf("%w: chunk %d has version %d", ErrVersion, first, b[4])
	}
	count, used := order.Uint32(b[24:]), order.Uint32(b[28:])
	if i := raft.Index(order.Uint64(b[16:])); i != first || uint64(used) > uint64(len(b)-chunkHead) || count > used {
		return nil, fmt.Errorf("%w: chunk %d says that it is chunk %d, of %d entries in %d bytes", ErrDamaged, first, i, count, used)
	}
	records := b[chunkHead : chunkHead+used]
	var entries []raft.Entry
	for i := first; len(records) > 0; i++ {
		r, rest, err := nextRecord(records)
		if err != nil {
			return nil, fmt.Errorf("entry %d in chunk %d: %w", i, first, err)
		}
		if r.cut != 0 || r.entry.Index != i {
			return nil, fmt.Errorf("%w: entry %d is stored as entry %d", ErrDamaged, r.entry.Index, i)
		}
		entries, records = append(entries, r.entry), rest
	}
	if len(entries) != int(count) || count == 0 {
		return nil, fmt.Errorf("%w: chunk %d has %d entries instead of %d", ErrDamaged, first, len(entries), count)
	}
	return entries, nil
}

// putChunks stores the entries of t from first on in b, in as few chunks of size
// as hold them.
func (l *Log) putChunks(b *bolt.Bucket, t *tail, first raft.Index, size int) error {
	b.FillPercent = 1 // keys only grow: a page that is split stays as it is
	start, ends := t.from(first)
	first = max(first, t.first)
	for len(ends) > 0 {
		n := 1
		for n < len(ends) && pagesFor(chunkHead+ends[n]-start)*pageSize <= size {
			n++
		}
		// Not in a buffer that is used again: bbolt refers to it until the commit.
		value := encodeChunk(nil, l.ring.epoch, first, n, t.data[start:ends[n-1]], l.ring.seed)
		chunk, err := b.CreateBucket(chunkKey(first))
		if err != nil {
			return fmt.Errorf("chunk %d: %w", first, err)
		}
		if err := chunk.Put(keyChunk, value); err != nil {
			return fmt.Errorf("chunk %d: %w", first, err)
		}
		first, start, ends = first+raft.Index(n), ends[n-1], ends[n:]
	}
	return nil
}

// dropChunks deletes the chunks from entry cut on, and those that hold nothing
// from first to last.
func dropChunks(b *bolt.Bucket, cut, first, last raft.Index) error {
	starts, err := chunkStarts(b)
	if err != nil {
		return err
	}
	end := min(cut-1, last) // of what the chunk at hand contributes
	for _, i := range slices.Backward(starts) {
		if i >= cut || end < first {
			if err := b.DeleteBucket(chunkKey(i)); err != nil {
				return fmt.Errorf("chunk %d: %w", i, err)
			}
		}
		if i < cut {
			end = i - 1
		}
	}
	return nil
}

// chunkPages is how many pages the chunks take that hold nothing from first on.
func chunkPages(b *bolt.Bucket, first raft.Index) (int, error) {
	starts, err := chunkStarts(b)
	n := 0
	for i := 1; i < len(starts) && starts[i] <= first; i++ {
		if chunk := b.Bucket(chunkKey(starts[i-1])); chunk != nil {
			n += pagesFor(len(chunk.Get(keyChunk)))
		}
	}
	return n, err
}

// chunkStarts returns the first indexes of the chunks, ascending.
func chunkStarts(b *bolt.Bucket) ([]raft.Index, error) {
	var starts []raft.Index
	err := b.ForEach(func(key, value []byte) error {
		if len(key) != 8 || value != nil {
			return fmt.Errorf("%w: %x is no chunk", ErrDamaged, key)
		}
		starts = append(starts, raft.Index(binary.BigEndian.Uint64(key)))
		return nil
	})
	return starts, err
}

// chunkKey keeps the chunks in the order of their first entries.
func chunkKey(first raft.Index) []byte {
	return binary.BigEndian.AppendUint64(nil, uint64(first))
}
