package boltlog

import (
	"bytes"
	"fmt"
	"hash/crc32"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

// The ring is the value "r" of bucket "ring": a head that fills the rest of its
// page, then slots of one page each. Slot 0 is for the boot, the others take
// the saves in turn, each in slots that hold nothing acknowledged. It is made
// once, with the database, and no transaction may change anything in its bucket:
// bbolt would move it. Its sectors are written beside bbolt, in place.
//
// The head is "edgeraft ring 1\n" and the ring's ID, 16 random bytes; then zeros.
const (
	ringMagic = "edgeraft ring 1\n"
	ringIDLen = 16
	ringHead  = pageSize - valueStart

	bootSlot  = 0
	firstSlot = 1
	minSlots  = 4
	maxSlots  = 1024
)

var (
	bucketRing = []byte("ring")
	keyRing    = []byte("r")
)

// ring is the place where saves are written.
type ring struct {
	page  int // of the value
	slots int // with that of the boot
	seed  uint32

	epoch uint64 // of what is being written
	next  int    // free slot
	start uint64 // bytes of this epoch's stream so far
	buf   []byte
}

// ringValue is the value of a new ring.
func ringValue(id []byte, slots int) []byte {
	value := make([]byte, ringHead+slots*sectorSize)
	copy(value[copy(value, ringMagic):], id)
	return value
}

func ringSeed(id []byte) uint32 { return crc32.Checksum(id, castagnoli) }

// locate finds the ring of this ID in the file. bbolt tells the page, and where
// in it the value starts is this package's assumption: so it is proven, by
// reading the head past bbolt and comparing.
func (r *ring) locate(tx *bolt.Tx, d *disk, id []byte) error {
	b := tx.Bucket(bucketRing)
	if b == nil || b.Sequence() != 0 {
		return fmt.Errorf("%w: it has no ring", ErrDamaged)
	}
	value := b.Get(keyRing)
	slots := (len(value) - ringHead) / sectorSize
	if len(value) != ringHead+slots*sectorSize || slots < minSlots || slots > maxSlots {
		return fmt.Errorf("%w: the ring has %d bytes", ErrDamaged, len(value))
	}
	r.page, r.slots, r.seed = int(b.RootPage()), slots, ringSeed(id)
	info, err := tx.Page(r.page)
	if err != nil {
		return err
	}
	if info == nil || info.Type != "leaf" || info.Count != 1 || info.OverflowCount != slots {
		return fmt.Errorf("%w: the ring is not in a leaf of its own: %+v", ErrDamaged, info)
	}
	head := make([]byte, ringHead)
	if _, err := d.file.ReadAt(head, int64(r.page)*pageSize+valueStart); err != nil {
		return err
	}
	want := append([]byte(ringMagic), id...)
	if !bytes.Equal(head, value[:ringHead]) || !bytes.HasPrefix(head, want) {
		return fmt.Errorf("%w: the ring is not where it should be, on page %d", ErrDamaged, r.page)
	}
	return nil
}

// read returns all slots, as they are in the file and not in bbolt's map.
func (r *ring) read(d *disk) ([]byte, error) {
	all := make([]byte, r.slots*sectorSize)
	if _, err := d.file.ReadAt(all, r.offset(0)); err != nil {
		return nil, fmt.Errorf("read the ring: %w", err)
	}
	return all, nil
}

// offset is where a slot lies in the file.
func (r *ring) offset(slot int) int64 { return int64(r.page+1+slot) * pageSize }

// restart begins an epoch. The slots may be written from here on.
func (r *ring) restart(epoch uint64) { r.epoch, r.next, r.start = epoch, firstSlot, 0 }

// holds reports whether a save with so many bytes of payload fits, and one
// sector more, for Close.
func (r *ring) holds(payload int) bool { return sectorsFor(payload) < r.slots-r.next }

// save writes a save's hard state and its payload, which is in two parts, and
// makes it durable: one write, one sync.
func (r *ring) save(d *disk, state raft.HardState, cut, records []byte) error {
	off := r.offset(r.next)
	if err := d.write(r.sectors(state, cut, records), off, &d.count.logBytes); err != nil {
		return err
	}
	return d.sync()
}

// sectors makes the next sectors, of a save, and takes their slots. They are
// valid until the next call.
func (r *ring) sectors(state raft.HardState, cut, records []byte) []byte {
	n := sectorsFor(len(cut) + len(records))
	r.buf = grown(r.buf, n*sectorSize)
	s := sector{epoch: r.epoch, first: uint32(r.next), last: uint32(r.next + n - 1), state: state}
	for i := range n {
		b := r.buf[i*sectorSize : (i+1)*sectorSize]
		used := copy(b[sectorHead:], cut)
		cut = cut[used:]
		more := copy(b[sectorHead+used:], records)
		records = records[more:]
		used += more
		s.slot, s.start = uint32(r.next), r.start
		s.encode(b, used, r.seed)
		r.next++
		r.start += uint64(used)
	}
	return r.buf
}

// writeBoot writes the number of the boot that epoch begins with, for the next
// sync to make durable. Nothing acknowledged is in its slot: where the sector
// is not whole, the database has the number.
func (r *ring) writeBoot(d *disk, epoch, boot uint64, state raft.HardState) error {
	b := make([]byte, sectorSize)
	order.PutUint64(b[sectorHead:], boot)
	s := sector{epoch: epoch, slot: bootSlot, first: bootSlot, last: bootSlot, state: state}
	s.encode(b, 8, r.seed)
	return d.write(b, r.offset(bootSlot), &d.count.otherBytes)
}
