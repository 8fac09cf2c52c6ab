package boltlog

import (
	"bytes"
	"fmt"
	"hash/fnv"
	"io"
	"os"
)

// What is needed of bbolt's file format 2. It is little-endian on every
// platform that is built for.
const (
	boltMagic      = 0xED0CDAED
	boltVersion    = 2
	boltNoFreelist = ^uint64(0)

	headerLen  = 16 // id 8, flags 2, count 2, overflow 4
	elementLen = 16 // branch: pos 4, ksize 4, page 8; leaf: flags 4, pos 4, ksize 4, vsize 4
	bucketLen  = 16 // root page 8, sequence 8; an inline bucket's page follows

	branchPage  = 1
	leafPage    = 2
	bucketValue = 1 // flag of a leaf element whose value is a bucket

	// maxRun is the most pages of one leaf. bbolt keeps up to 4 values
	// together whatever their size, and one is little over 1 MiB; the largest
	// ring has 4 MiB.
	maxRun = 8 << 20 / pageSize
	// maxDepth of a tree: 4 would hold more pages than MaxFileSize.
	maxDepth = 16
)

// verify reads every page of the newest transaction and checks all that bbolt
// relies on: with a wrong length or page number it reads outside its map, or
// panics in a goroutine of its own, and both kill the process. The checksums of
// the values are looked at later, when they are read.
func verify(f *os.File) error {
	info, err := f.Stat()
	if err != nil {
		return err
	}
	return verifyPages(f, f, uint64(info.Size()))
}

// verifyPages verifies a file of so many bytes, whose meta pages are read from
// metas and all others from pages.
func verifyPages(metas, pages io.ReaderAt, size uint64) error {
	if size < 2*pageSize {
		return fmt.Errorf("%w: it has only %d bytes", ErrDamaged, size)
	}
	m, err := newestMeta(metas)
	if err != nil {
		return err
	}
	if m.pageSize != pageSize || m.freelist != boltNoFreelist {
		return fmt.Errorf("%w: it was written with other settings than the agent's", ErrDamaged)
	}
	if m.pages > size/pageSize {
		return fmt.Errorf("%w: it is cut off: %d bytes of %d pages", ErrDamaged, size, m.pages)
	}
	w := walker{f: pages, seen: make([]bool, m.pages)}
	if err := w.tree(m.root, 0, span{level: rootLevel}); err != nil {
		return fmt.Errorf("%w: %w", ErrDamaged, err)
	}
	return nil
}

// meta is a meta page: which pages make up a transaction.
type meta struct {
	pageSize                    uint32
	root, freelist, pages, txid uint64
}

// newestMeta returns the later of the two meta pages that are whole.
func newestMeta(f io.ReaderAt) (meta, error) {
	var newest meta
	found := false
	for slot := range int64(2) {
		m, whole, err := readMeta(f, slot)
		if err != nil {
			return meta{}, err
		}
		if whole && (!found || m.txid > newest.txid) {
			newest, found = m, true
		}
	}
	if !found {
		return meta{}, fmt.Errorf("%w: neither of its two first pages is whole", ErrDamaged)
	}
	return newest, nil
}

// readMeta reads one of the two meta pages, and whether it is whole.
func readMeta(f io.ReaderAt, slot int64) (m meta, whole bool, err error) {
	const length, summed = 64, 56
	var b [length]byte
	if _, err := f.ReadAt(b[:], slot*pageSize+headerLen); err != nil {
		return m, false, fmt.Errorf("read meta page %d: %w", slot, err)
	}
	sum := fnv.New64a()
	sum.Write(b[:summed])
	if order.Uint32(b[0:]) != boltMagic || order.Uint32(b[4:]) != boltVersion || order.Uint64(b[summed:]) != sum.Sum64() {
		return m, false, nil
	}
	return meta{
		pageSize: order.Uint32(b[8:]), root: order.Uint64(b[16:]), freelist: order.Uint64(b[32:]),
		pages: order.Uint64(b[40:]), txid: order.Uint64(b[48:]),
	}, true, nil
}

// walker goes through the trees of a file.
type walker struct {
	f    io.ReaderAt
	seen []bool // by page; its length is the number of pages
}

// span is what the keys of a page must lie in, and what its values are.
type span struct {
	from, to []byte // from <= key < to; nil: no bound
	level    int    // how many buckets it is in
}

// What values may be: in the root only buckets, in those either, in those below
// only data.
const (
	rootLevel  = 0
	chunkLevel = 2
)

func (w *walker) tree(id uint64, depth int, s span) error {
	if depth > maxDepth {
		return fmt.Errorf("page %d is too deep", id)
	}
	page, err := w.read(id)
	if err != nil {
		return err
	}
	elements, err := parse(page, s)
	if err != nil {
		return fmt.Errorf("page %d: %w", id, err)
	}
	for i, e := range elements {
		switch {
		case e.child != 0:
			child := span{from: e.key, to: s.to, level: s.level}
			if i+1 < len(elements) {
				child.to = elements[i+1].key
			}
			err = w.tree(e.child, depth+1, child)
		case e.bucket:
			err = w.bucket(e.value, depth+1, s.level+1)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// bucket checks a bucket, which is either a tree or, when small, a page inside
// its value.
func (w *walker) bucket(value []byte, depth, level int) error {
	if len(value) < bucketLen {
		return fmt.Errorf("a bucket of %d bytes", len(value))
	}
	if root := order.Uint64(value); root != 0 {
		return w.tree(root, depth, span{level: level})
	}
	inline := value[bucketLen:]
	if len(inline) < headerLen || order.Uint16(inline[8:]) != leafPage {
		return fmt.Errorf("an inline bucket that is no leaf")
	}
	_, err := parse(inline, span{level: chunkLevel})
	return err
}

// read returns a page with those that continue it.
func (w *walker) read(id uint64) ([]byte, error) {
	pages := uint64(len(w.seen))
	if id < 2 || id >= pages {
		return nil, fmt.Errorf("page %d is none of the %d", id, pages)
	}
	var header [headerLen]byte
	if _, err := w.f.ReadAt(header[:], int64(id)*pageSize); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	run := 1 + uint64(order.Uint32(header[12:]))
	if got := order.Uint64(header[:]); got != id || run > maxRun || run > pages-id {
		return nil, fmt.Errorf("page %d says that it is page %d and has %d pages", id, got, run)
	}
	for i := id; i < id+run; i++ {
		if w.seen[i] {
			return nil, fmt.Errorf("page %d is used twice", i)
		}
		w.seen[i] = true
	}
	page := make([]byte, run*pageSize)
	if _, err := w.f.ReadAt(page, int64(id)*pageSize); err != nil {
		return nil, fmt.Errorf("read page %d: %w", id, err)
	}
	return page, nil
}

// element is a key with the page below it, or with its value.
type element struct {
	key, value []byte
	child      uint64
	bucket     bool // the value is one
}

// parse checks the elements of a page and returns them.
func parse(page []byte, s span) ([]element, error) {
	kind, count := order.Uint16(page[8:]), int(order.Uint16(page[10:]))
	if kind != branchPage && kind != leafPage || kind == branchPage && count == 0 {
		return nil, fmt.Errorf("%d elements of kind %d", count, kind)
	}
	data := headerLen + count*elementLen
	if data > len(page) {
		return nil, fmt.Errorf("%d elements do not fit", count)
	}
	elements := make([]element, count)
	last := s.from
	for i := range elements {
		at := headerLen + i*elementLen
		b := page[at:]
		var pos, keyLen, valueLen, flags uint32
		if kind == branchPage {
			pos, keyLen, elements[i].child = order.Uint32(b), order.Uint32(b[4:]), order.Uint64(b[8:])
		} else {
			flags, pos, keyLen, valueLen = order.Uint32(b), order.Uint32(b[4:]), order.Uint32(b[8:]), order.Uint32(b[12:])
		}
		start := uint64(at) + uint64(pos)
		end := start + uint64(keyLen) + uint64(valueLen)
		if start < uint64(data) || end > uint64(len(page)) || keyLen == 0 {
			return nil, fmt.Errorf("element %d lies outside", i)
		}
		elements[i].bucket = flags == bucketValue
		if kind == branchPage && elements[i].child == 0 || flags > bucketValue ||
			kind == leafPage && (s.level == rootLevel && flags == 0 || s.level == chunkLevel && flags != 0) {
			return nil, fmt.Errorf("element %d is of another kind", i)
		}
		key := page[start : start+uint64(keyLen)]
		if c := bytes.Compare(last, key); last != nil && (c > 0 || c == 0 && i > 0) || s.to != nil && bytes.Compare(key, s.to) >= 0 {
			return nil, fmt.Errorf("element %d is out of order", i)
		}
		last, elements[i].key, elements[i].value = key, key, page[start+uint64(keyLen):end]
	}
	return elements, nil
}
