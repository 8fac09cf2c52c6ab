package boltlog

import (
	"encoding/binary"
	"errors"
	"fmt"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// snapshotPiece is how much of a snapshot is one value: a few pages, so that
// bbolt finds room for it among pages that became free.
const snapshotPiece = 32 << 10

// putSnapshot replaces the stored snapshot, by one in pieces of size.
func putSnapshot(tx *bolt.Tx, s *raft.Snapshot, size int) error {
	head, err := wire.AppendSnapshotHead(nil, *s)
	if err != nil {
		return err
	}
	if err := tx.DeleteBucket(bucketSnapshot); err != nil && !errors.Is(err, bolterrors.ErrBucketNotFound) {
		return err
	}
	b, err := tx.CreateBucket(bucketSnapshot)
	if err != nil {
		return err
	}
	b.FillPercent = 1
	for i := 0; i*size < len(s.Data); i++ {
		piece := s.Data[i*size : min((i+1)*size, len(s.Data))]
		if err := b.Put(pieceKey(i), piece); err != nil {
			return err
		}
	}
	return b.Put(keyHead, head)
}

// readSnapshot fills in the stored snapshot, if there is one.
func (c *content) readSnapshot(b *bolt.Bucket) error {
	if b == nil {
		return nil
	}
	s, size, err := wire.DecodeSnapshotHead(b.Get(keyHead))
	if err != nil {
		return unreadable("the snapshot", err)
	}
	if size > MaxFileSize {
		return fmt.Errorf("%w: a snapshot of %d bytes", ErrDamaged, size)
	}
	s.Data = make([]byte, 0, size)
	for i := 0; uint64(len(s.Data)) < size; i++ {
		piece := b.Get(pieceKey(i))
		if len(piece) == 0 {
			return fmt.Errorf("%w: piece %d of the snapshot is missing", ErrDamaged, i)
		}
		s.Data = append(s.Data, piece...)
	}
	if uint64(len(s.Data)) != size || !s.Intact() {
		return fmt.Errorf("%w: the snapshot at index %d does not have its checksum", ErrDamaged, s.Index)
	}
	c.stored.Snapshot = &s
	return nil
}

func pieceKey(i int) []byte { return binary.BigEndian.AppendUint64(nil, uint64(i)) }
