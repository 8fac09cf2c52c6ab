package wire

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// snapshotVersion is the version of a stored snapshot's head.
const snapshotVersion = 2

// snapshotHead is raft.Snapshot without its data.
type snapshotHead struct {
	_           struct{} `cbor:",toarray"`
	Index       raft.Index
	Term        raft.Term
	ConfigIndex raft.Index
	Members     []member
	Size        uint64
	Sum         uint32
	Time        raft.Time
}

// snapshotHead1 is what version 1 stored.
type snapshotHead1 struct {
	_           struct{} `cbor:",toarray"`
	Index       raft.Index
	Term        raft.Term
	ConfigIndex raft.Index
	Members     []member
	Size        uint64
	Sum         uint32
}

// AppendSnapshotHead appends the stored form of all of s but its data to dst.
func AppendSnapshotHead(dst []byte, s raft.Snapshot) ([]byte, error) {
	if s.Config == nil {
		return dst, fmt.Errorf("encode the snapshot at %d: %w: it has no configuration", s.Index, ErrMalformed)
	}
	w := snapshotHead{
		Index: s.Index, Term: s.Term, ConfigIndex: s.ConfigIndex, Members: fromConfiguration(s.Config),
		Size: uint64(len(s.Data)), Sum: s.Sum, Time: s.Time,
	}
	return AppendStored(dst, snapshotVersion, &w)
}

// DecodeSnapshotHead reads it back, and the size of the data.
func DecodeSnapshotHead(b []byte) (s raft.Snapshot, size uint64, err error) {
	w, err := decodeSnapshotHead(b)
	if err != nil {
		return raft.Snapshot{}, 0, fmt.Errorf("decode a stored snapshot: %w", err)
	}
	s = raft.Snapshot{Index: w.Index, Term: w.Term, Time: w.Time, ConfigIndex: w.ConfigIndex, Config: toConfiguration(w.Members), Sum: w.Sum}
	if err := checkConfiguration(*s.Config); err != nil {
		return raft.Snapshot{}, 0, fmt.Errorf("decode a stored snapshot: %w", err)
	}
	return s, w.Size, nil
}

func decodeSnapshotHead(b []byte) (snapshotHead, error) {
	if len(b) > 0 && b[0] == 1 { // from before entries had a time
		var w snapshotHead1
		err := DecodeStored(b, 1, &w)
		return snapshotHead{
			Index: w.Index, Term: w.Term, ConfigIndex: w.ConfigIndex, Members: w.Members, Size: w.Size, Sum: w.Sum,
		}, err
	}
	var w snapshotHead
	err := DecodeStored(b, snapshotVersion, &w)
	return w, err
}
