package storage

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/hashicorp/raft"
	raftboltdb "github.com/hashicorp/raft-boltdb/v2"
	wal "github.com/hashicorp/raft-wal"
	"github.com/hashicorp/raft-wal/metadb"
)

// logStore is what hashicorp's raft asks of a log.
type logStore interface {
	raft.LogStore
	io.Closer
}

type hashicorp struct {
	log   logStore
	first uint64
	batch []*raft.Log
}

func openRaftBoltdb(dir string) (store, error) {
	l, err := raftboltdb.NewBoltStore(filepath.Join(dir, "raft.db"))
	return &hashicorp{log: l, first: 1}, err
}

// raftWAL closes its database of segments too, which its own Close leaves open
// and locked.
type raftWAL struct {
	*wal.WAL
	segments *metadb.BoltMetaDB
}

func (l raftWAL) Close() error { return errors.Join(l.WAL.Close(), l.segments.Close()) }

func openRaftWAL(dir string) (store, error) {
	segments := &metadb.BoltMetaDB{} // the default
	l, err := wal.Open(dir, wal.WithMetaStore(segments))
	return &hashicorp{log: raftWAL{l, segments}, first: 1}, err
}

func (s *hashicorp) save(first uint64, entries [][]byte) error {
	s.batch = s.batch[:0]
	now := time.Now()
	for i, data := range entries {
		s.batch = append(s.batch, &raft.Log{Index: first + uint64(i), Term: 1, Type: raft.LogCommand, Data: data, AppendedAt: now})
	}
	return s.log.StoreLogs(s.batch)
}

func (s *hashicorp) forget(upTo uint64) error {
	first := s.first
	s.first = upTo + 1
	return s.log.DeleteRange(first, upTo)
}

func (s *hashicorp) close() error { return s.log.Close() }

func readRaftBoltdb(dir string) (uint64, [][]byte, error) { return readHashicorp(openRaftBoltdb(dir)) }

func readRaftWAL(dir string) (uint64, [][]byte, error) { return readHashicorp(openRaftWAL(dir)) }

func readHashicorp(s store, err error) (first uint64, entries [][]byte, _ error) {
	if err != nil {
		return 0, nil, err
	}
	defer s.close()
	l := s.(*hashicorp).log
	first, err = l.FirstIndex()
	if err != nil {
		return 0, nil, err
	}
	last, err := l.LastIndex()
	if err != nil {
		return 0, nil, err
	}
	for i := first; i <= last; i++ {
		var e raft.Log
		if err := l.GetLog(i, &e); err != nil {
			return 0, nil, fmt.Errorf("entry %d: %w", i, err)
		}
		entries = append(entries, e.Data)
	}
	return first, entries, nil
}
