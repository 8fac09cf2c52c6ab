package boltlog

import (
	"errors"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// What a blank device promised in a founding is written a few times in its life,
// so it has no place in the ring: a save with it is a transaction. It is gone
// once the device belongs to a cluster.
var (
	bucketFounding = []byte("founding")
	keyPromised    = []byte("promised")
)

func putFounding(tx *bolt.Tx, f raft.Founding) error {
	if err := tx.DeleteBucket(bucketFounding); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
		return err
	}
	if f.IsZero() {
		return nil
	}
	stored, err := wire.AppendFounding(nil, f)
	if err != nil {
		return err
	}
	b, err := tx.CreateBucket(bucketFounding)
	if err != nil {
		return err
	}
	return b.Put(keyPromised, stored)
}

// readFounding reads what was promised; b is nil where nothing was.
func (c *content) readFounding(b *bolt.Bucket) error {
	if b == nil {
		return nil
	}
	var err error
	if c.stored.Founding, err = wire.DecodeFounding(b.Get(keyPromised)); err != nil {
		return unreadable("what was promised in a founding", err)
	}
	return nil
}
