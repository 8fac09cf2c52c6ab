package boltlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// The layout, version 1: bucket "state" holds "format", "device" and "hard";
// bucket "entries" holds an entry under its index, big-endian; bucket
// "snapshot", once there is one, "head", and pieces of the data under their
// number, big-endian. All values but the format and the pieces carry a checksum
// of package wire; the head has one of the whole data. The format is a byte and its
// complement, in this and every later layout.
const (
	format        = 1
	deviceVersion = 1
)

var (
	bucketState   = []byte("state")
	bucketEntries = []byte("entries")
	keyFormat     = []byte("format")
	keyDevice     = []byte("device")
	keyHard       = []byte("hard")

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

// content is all that a database holds.
type content struct {
	device device
	stored raft.Stored
}

// put writes a new database.
func (c *content) put(tx *bolt.Tx) error {
	if _, err := tx.CreateBucket(bucketEntries); err != nil {
		return err
	}
	state, err := tx.CreateBucket(bucketState)
	if err != nil {
		return err
	}
	hard, err := wire.AppendHardState(nil, c.stored.State)
	if err != nil {
		return err
	}
	return errors.Join(state.Put(keyFormat, []byte{format, 0xff - format}), state.Put(keyHard, hard), c.device.put(tx))
}

// read fills c and checks everything there is to check. Errors are ErrVersion
// or ErrDamaged.
func (c *content) read(tx *bolt.Tx) error {
	state, entries := tx.Bucket(bucketState), tx.Bucket(bucketEntries)
	if state == nil || entries == nil {
		return fmt.Errorf("%w: a bucket is missing", ErrDamaged)
	}
	switch f := state.Get(keyFormat); {
	case len(f) != 2 || f[0] != ^f[1]:
		return fmt.Errorf("%w: no format is named", ErrDamaged)
	case f[0] != format:
		return fmt.Errorf("%w: format %d, and this version reads %d", ErrVersion, f[0], format)
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
	if err := c.readSnapshot(tx.Bucket(bucketSnapshot)); err != nil {
		return err
	}
	if err := c.readEntries(entries); err != nil {
		return err
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

func (c *content) readEntries(b *bolt.Bucket) error {
	var last raft.Entry
	if key, _ := b.Cursor().First(); c.stored.Snapshot != nil && len(key) == 8 {
		// The snapshot stands for what is before the first.
		if first := raft.Index(binary.BigEndian.Uint64(key)); first > 0 && first <= c.stored.Snapshot.Index+1 {
			last.Index = first - 1
		}
	}
	return b.ForEach(func(key, value []byte) error {
		if len(key) != 8 || raft.Index(binary.BigEndian.Uint64(key)) != last.Index+1 {
			return fmt.Errorf("%w: entry %d is followed by key %x", ErrDamaged, last.Index, key)
		}
		e, err := wire.DecodeEntry(value)
		if err != nil {
			return unreadable(fmt.Sprintf("entry %d", last.Index+1), err)
		}
		switch {
		case e.Index != last.Index+1:
			return fmt.Errorf("%w: entry %d is stored as entry %d", ErrDamaged, e.Index, last.Index+1)
		case e.Term < last.Term || e.Term > c.stored.State.Term:
			return fmt.Errorf("%w: entry %d has term %d, the one before %d, the device %d",
				ErrDamaged, e.Index, e.Term, last.Term, c.stored.State.Term)
		}
		c.stored.Entries = append(c.stored.Entries, e)
		last = e
		return nil
	})
}

// unreadable sorts an error of package wire into one of ours.
func unreadable(what string, err error) error {
	if errors.Is(err, wire.ErrVersion) {
		return fmt.Errorf("%w: %s: %w", ErrVersion, what, err)
	}
	return fmt.Errorf("%w: %s: %w", ErrDamaged, what, err)
}
