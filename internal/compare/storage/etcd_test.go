package storage

import (
	"errors"
	"fmt"
	"path/filepath"

	"go.etcd.io/etcd/server/v3/storage/wal"
	"go.etcd.io/etcd/server/v3/storage/wal/walpb"
	"go.etcd.io/raft/v3/raftpb"
	"go.uber.org/zap"
)

type etcd struct {
	log   *wal.WAL
	batch []raftpb.Entry
}

// etcdDir is where the log is made: the wal wants to make its own directory.
func etcdDir(dir string) string { return filepath.Join(dir, "wal") }

func openEtcdWAL(dir string) (store, error) {
	w, err := wal.Create(zap.NewNop(), etcdDir(dir), nil)
	return &etcd{log: w}, err
}

func (s *etcd) save(first uint64, entries [][]byte) error {
	s.batch = s.batch[:0]
	for i, data := range entries {
		s.batch = append(s.batch, raftpb.Entry{Index: first + uint64(i), Term: 1, Data: data})
	}
	return s.log.Save(raftpb.HardState{Term: 1, Vote: 1, Commit: first - 1}, s.batch)
}

// forget does what etcd does once the snapshot itself is stored. Files that
// are no longer needed go whole; there is one for each 64 MB.
func (s *etcd) forget(upTo uint64) error {
	at := walpb.Snapshot{Index: upTo, Term: 1, ConfState: &raftpb.ConfState{Voters: []uint64{1}}}
	if err := s.log.SaveSnapshot(at); err != nil {
		return err
	}
	return s.log.ReleaseLockTo(upTo)
}

func (s *etcd) close() error { return s.log.Close() }

func readEtcdWAL(dir string) (first uint64, entries [][]byte, err error) {
	snapshots, err := wal.ValidSnapshotEntries(zap.NewNop(), etcdDir(dir))
	if err != nil {
		return 0, nil, err
	}
	if len(snapshots) == 0 {
		return 0, nil, fmt.Errorf("the log in %s does not know where it begins", dir)
	}
	from := snapshots[len(snapshots)-1]
	w, err := wal.Open(zap.NewNop(), etcdDir(dir), from)
	if err != nil {
		return 0, nil, err
	}
	_, _, stored, err := w.ReadAll()
	for _, e := range stored {
		entries = append(entries, e.Data)
	}
	return from.Index + 1, entries, errors.Join(err, w.Close())
}
