package storage

import (
	"errors"

	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/raft"
)

type edgeraft struct {
	log   *boltlog.Log
	state raft.HardState
	batch []raft.Entry
	seq   uint64
}

var boltlogOptions = boltlog.Options{ClusterName: "compared"}

func openBoltlog(dir string) (store, error) {
	l, _, err := boltlog.Open(dir, boltlogOptions)
	if err != nil {
		return nil, err
	}
	return &edgeraft{log: l, state: raft.HardState{Cluster: raft.ClusterID{1}, Term: 1, Vote: "aaaaaaaaaaaaaaaa"}}, nil
}

func (s *edgeraft) save(first uint64, entries [][]byte) error {
	s.batch = s.batch[:0]
	for i, data := range entries {
		index := first + uint64(i)
		s.batch = append(s.batch, raft.Entry{
			Index: raft.Index(index), Term: 1, Kind: raft.EntryCommand, Data: data,
			ID: raft.ProposalID(1<<40 + index), Time: raft.Time(1<<40 + index),
		})
	}
	s.seq++
	s.state.Commit = raft.Index(first - 1)
	return s.log.Save(raft.Save{Seq: s.seq, State: s.state, Entries: s.batch})
}

func (s *edgeraft) forget(upTo uint64) error {
	s.seq++
	conf := &raft.Configuration{Members: []raft.Member{{ID: s.state.Vote, Name: "a", Role: raft.Voter}}}
	return s.log.Save(raft.Save{
		Seq: s.seq, State: s.state, First: raft.Index(upTo + 1),
		Snapshot: &raft.Snapshot{Index: raft.Index(upTo), Term: 1, Config: conf, ConfigIndex: 1},
	})
}

func (s *edgeraft) close() error { return s.log.Close() }

func readBoltlog(dir string) (first uint64, entries [][]byte, err error) {
	l, opened, err := boltlog.Open(dir, boltlogOptions)
	if err != nil {
		return 0, nil, err
	}
	for i, e := range opened.Stored.Entries {
		if i == 0 {
			first = uint64(e.Index)
		}
		entries = append(entries, e.Data)
	}
	return first, entries, errors.Join(err, l.Close())
}
