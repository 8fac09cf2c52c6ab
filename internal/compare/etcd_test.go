package compare

import (
	"fmt"
	"io"
	"log"

	"go.etcd.io/raft/v3"
	"go.etcd.io/raft/v3/raftpb"
)

type etcd struct {
	nodes    [members]*raft.RawNode
	storages [members]*raft.MemoryStorage
	apps     [members]application
	queue    []*raftpb.Message
	// together: a batch is proposed in one message.
	together bool
}

func newEtcd() (cluster, error) { return startEtcd(false) }

func newEtcdTogether() (cluster, error) { return startEtcd(true) }

func startEtcd(together bool) (cluster, error) {
	c := &etcd{together: together}
	quiet := &raft.DefaultLogger{Logger: log.New(io.Discard, "", 0)}
	for i := range members {
		// The way in that the documentation of NewRawNode recommends.
		start := &raftpb.Snapshot{Metadata: &raftpb.SnapshotMetadata{
			Index: new(uint64(1)), Term: new(uint64(1)),
			ConfState: &raftpb.ConfState{Voters: []uint64{1, 2, 3}},
		}}
		c.storages[i] = raft.NewMemoryStorage()
		if err := c.storages[i].ApplySnapshot(start); err != nil {
			return nil, err
		}
		node, err := raft.NewRawNode(&raft.Config{
			ID: uint64(i + 1), ElectionTick: 10, HeartbeatTick: 1, PreVote: true, CheckQuorum: true,
			Storage:                   c.storages[i],
			Logger:                    quiet,
			MaxSizePerMsg:             maxMessageBytes,
			MaxInflightMsgs:           maxInflight,
			MaxUncommittedEntriesSize: maxBytes,
		})
		if err != nil {
			return nil, err
		}
		c.nodes[i] = node
	}
	if err := c.nodes[0].Campaign(); err != nil {
		return nil, err
	}
	for busy := true; busy; {
		var err error
		if busy, err = c.hop(); err != nil {
			return nil, err
		}
	}
	if s := c.nodes[0].BasicStatus(); s.RaftState != raft.StateLeader {
		return nil, fmt.Errorf("the first member is %s, not the leader", s.RaftState)
	}
	return c, nil
}

func (c *etcd) member(i int) *application { return &c.apps[i] }

func (c *etcd) propose(batch [][]byte) error {
	if c.together {
		entries := make([]raftpb.Entry, len(batch))
		m := &raftpb.Message{Type: raftpb.MsgProp.Enum(), From: new(uint64(1)), Entries: make([]*raftpb.Entry, len(batch))}
		for i := range batch {
			entries[i].Data = batch[i]
			m.Entries[i] = &entries[i]
		}
		return c.nodes[0].Step(m)
	}
	for _, command := range batch {
		if err := c.nodes[0].Propose(command); err != nil {
			return err
		}
	}
	return nil
}

func (c *etcd) hop() (bool, error) {
	busy := false
	for i, node := range c.nodes {
		for node.HasReady() {
			busy = true
			rd := node.Ready()
			if err := c.carryOut(i, &rd); err != nil {
				return false, fmt.Errorf("etcd, member %d: %w", i+1, err)
			}
			node.Advance(rd)
		}
	}
	for _, m := range c.queue {
		if err := c.nodes[m.GetTo()-1].Step(m); err != nil {
			return false, fmt.Errorf("etcd, message %s from %d: %w", m.GetType(), m.GetFrom(), err)
		}
	}
	c.queue = c.queue[:0]
	return busy, nil
}

// carryOut does what member i wants done.
func (c *etcd) carryOut(i int, rd *raft.Ready) error {
	storage, app := c.storages[i], &c.apps[i]
	if err := storage.Append(rd.Entries); err != nil {
		return err
	}
	if !raft.IsEmptyHardState(rd.HardState) {
		if err := storage.SetHardState(rd.HardState); err != nil {
			return err
		}
	}
	c.queue = append(c.queue, rd.Messages...)
	for _, e := range rd.CommittedEntries {
		// An empty one is a new leader's.
		if e.GetType() == raftpb.EntryNormal && len(e.Data) > 0 {
			if err := app.apply(e.Data); err != nil {
				return err
			}
		}
	}
	if !app.snapshotDue() {
		return nil
	}
	at := rd.CommittedEntries[len(rd.CommittedEntries)-1].GetIndex()
	if _, err := storage.CreateSnapshot(at, nil, snapshotData); err != nil {
		return err
	}
	// The first entry is that of the snapshot it began with.
	if at <= trail+1 {
		return nil
	}
	return storage.Compact(at - trail)
}
