package boltlog

import (
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// The layout, version 2: bucket "state" holds "format", "device", "hard",
// "ring" and, since it is counted, "spent" (spent.go); bucket "ring" the ring
// (ring.go); bucket "chunks" the entries that the ring has not (chunk.go); bucket
// "snapshot", once there is one, "head", and pieces of the data under their
// number, big-endian; bucket "founding", while a blank device founds a cluster
// with others, "promised" (founding.go). Device, hard state, ring, what was spent, and head carry a
// checksum of package wire; the head has one of the whole data.
// The format is a byte and its complement, in this and every other layout.
//
// All of "state" is small enough to lie in the root's page, and so are the
// other buckets' page numbers: a transaction writes one page for all of it.
const (
	format           = 2
	deviceVersion    = 1
	ringStateVersion = 1
)

var (
	bucketState  = []byte("state")
	bucketChunks = []byte("chunks")
	keyFormat    = []byte("format")
	keyDevice    = []byte("device")
	keyHard      = []byte("hard")
	keyRingState = []byte("ring")

	bucketSnapshot = []byte("snapshot")
	keyHead        = []byte("head")
)

// device is the stored identity.
type device struct {
	_       struct{} `cbor:",toarray"`
	ID      raft.NodeID
	Cluster string
	Boot    uint64
}

func (d *device) put(tx *bolt.Tx) error {
	b, err := wire.AppendStored(nil, deviceVersion, d)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketState).Put(keyDevice, b)
}

// ringState is what a transaction leaves for the ring: sectors of its epoch,
// and no others, count.
type ringState struct {
	_           struct{} `cbor:",toarray"`
	ID          []byte
	Epoch       uint64
	First, Last raft.Index // of the log, in chunks; Last is First-1 where it is empty
	FileBytes   uint64     // that the file was given when it was made
}

func (r *ringState) put(tx *bolt.Tx) error {
	b, err := wire.AppendStored(nil, ringStateVersion, r)
	if err != nil {
		return err
	}
	return tx.Bucket(bucketState).Put(keyRingState, b)
}

// content is all that a database holds.
type content struct {
	format byte
	device device
	ring   ringState
	stored raft.Stored

	spent      spentRecord
	spentError error // it is there, and not readable
	replayed   replayed
}

// put writes a new database, or what is new in one of format 1.
func (c *content) put(tx *bolt.Tx, slots int) error {
	r, err := tx.CreateBucket(bucketRing)
	if err != nil {
		return err
	}
	if err := r.Put(keyRing, ringValue(c.ring.ID, slots)); err != nil {
		return err
	}
	if _, err := tx.CreateBucket(bucketChunks); err != nil {
		return err
	}
	state, err := tx.CreateBucketIfNotExists(bucketState)
	if err != nil {
		return err
	}
	hard, err := wire.AppendHardState(nil, c.stored.State)
	if err != nil {
		return err
	}
	return errors.Join(state.Put(keyFormat, []byte{format, 0xff - format}), state.Put(keyHard, hard),
		c.device.put(tx), c.ring.put(tx))
}

// read fills c with what the newest transaction left, finds the ring, and checks
// everything there is to check; format 1 has its entries in another place, and
// no ring. Errors are ErrVersion or ErrDamaged.
func (c *content) read(tx *bolt.Tx, r *ring, d *disk) error {
	state := tx.Bucket(bucketState)
	if state == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	f := state.Get(keyFormat)
	if len(f) != 2 || f[0] != ^f[1] {
		return fmt.Errorf("%w: no format is named", ErrDamaged)
	}
	if c.format = f[0]; c.format != format && c.format != format1 {
		return fmt.Errorf("%w: format %d, and this version reads %d", ErrVersion, c.format, format)
	}
	if err := wire.DecodeStored(state.Get(keyDevice), deviceVersion, &c.device); err != nil {
		return unreadable("the device's identity", err)
	}
	if !c.device.ID.Valid() {
		return fmt.Errorf("%w: the device's ID is none", ErrDamaged)
	}
	var err error
	if c.stored.State, err = wire.DecodeHardState(state.Get(keyHard)); err != nil {
		return unreadable("the hard state", err)
	}
	c.readSpent(state.Get(keySpent))
	if err := c.readSnapshot(tx.Bucket(bucketSnapshot)); err != nil {
		return err
	}
	if err := c.readFounding(tx.Bucket(bucketFounding)); err != nil {
		return err
	}
	if c.format == format1 {
		return c.readEntries1(tx.Bucket(bucketEntries1))
	}
	if err := wire.DecodeStored(state.Get(keyRingState), ringStateVersion, &c.ring); err != nil {
		return unreadable("the state of the ring", err)
	}
	if len(c.ring.ID) != ringIDLen || c.ring.First == 0 || c.ring.First-1 > c.ring.Last {
		return fmt.Errorf("%w: the state of the ring is none: %+v", ErrDamaged, c.ring)
	}
	if err := r.locate(tx, d, c.ring.ID); err != nil {
		return err
	}
	if size := d.count.fileBytes.Load(); size < c.ring.FileBytes {
		return fmt.Errorf("%w: it is cut off: %d bytes of %d", ErrDamaged, size, c.ring.FileBytes)
	}
	return c.readChunks(tx.Bucket(bucketChunks), r.seed)
}

// readChunks reads the sealed entries.
func (c *content) readChunks(b *bolt.Bucket, seed uint32) error {
	if b == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	starts, err := chunkStarts(b)
	if err != nil {
		return err
	}
	next := c.ring.First // the entry after those read
	for n, first := range starts {
		if first > next || first == 0 {
			return fmt.Errorf("%w: chunk %d where entry %d is next", ErrDamaged, first, next)
		}
		chunk := b.Bucket(chunkKey(first))
		if chunk == nil {
			return fmt.Errorf("%w: chunk %d is none", ErrDamaged, first)
		}
		entries, err := decodeChunk(chunk.Get(keyChunk), first, seed)
		if err != nil {
			return err
		}
		if n > 0 && first < next { // it replaces what it overlaps
			c.stored.Entries = c.stored.Entries[:first-min(first, c.ring.First)]
		}
		if skip := c.ring.First - min(first, c.ring.First); uint64(skip) < uint64(len(entries)) {
			c.stored.Entries = append(c.stored.Entries, entries[skip:]...)
		}
		next = max(c.ring.First, first+raft.Index(len(entries)))
	}
	if next-1 != c.ring.Last {
		return fmt.Errorf("%w: the log ends with entry %d instead of %d", ErrDamaged, next-1, c.ring.Last)
	}
	return nil
}

// check holds what must be true of all of it together.
func (c *content) check() error {
	var last raft.Entry
	for i, e := range c.stored.Entries {
		switch {
		case i == 0 && e.Index > 1 && (c.stored.Snapshot == nil || e.Index > c.stored.Snapshot.Index+1):
			return fmt.Errorf("%w: the log begins with entry %d", ErrDamaged, e.Index)
		case i > 0 && e.Index != last.Index+1:
			return fmt.Errorf("%w: entry %d is followed by entry %d", ErrDamaged, last.Index, e.Index)
		case e.Term < last.Term || e.Term > c.stored.State.Term:
			return fmt.Errorf("%w: entry %d has term %d, the one before %d, the device %d",
				ErrDamaged, e.Index, e.Term, last.Term, c.stored.State.Term)
		}
		last = e
	}
	if last := c.last(); c.stored.State.Commit > last {
		return fmt.Errorf("%w: entries up to %d are committed, and only %d are there", ErrDamaged, c.stored.State.Commit, last)
	}
	return nil
}

// last is the last entry, or where the snapshot ends.
func (c *content) last() raft.Index {
	last := raft.Index(0)
	if c.stored.Snapshot != nil {
		last = c.stored.Snapshot.Index
	}
	if n := len(c.stored.Entries); n > 0 {
		last = max(last, c.stored.Entries[n-1].Index)
	}
	return last
}

// lastEntry is the last entry of the log, or the one before its first.
func (c *content) lastEntry() raft.Index {
	return c.ring.First + raft.Index(len(c.stored.Entries)) - 1
}

// unreadable sorts an error of package wire into one of ours.
func unreadable(what string, err error) error {
	if errors.Is(err, wire.ErrVersion) {
		return fmt.Errorf("%w: %s: %w", ErrVersion, what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
}
