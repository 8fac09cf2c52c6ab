package compare

import (
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

type edgeraft struct {
	cores [members]*raft.Core
	apps  [members]application
	queue []raft.Message
}

func edgeraftID(i int) raft.NodeID {
	return raft.NodeID(strings.Repeat(string(rune('a'+i)), raft.NodeIDLen))
}

func newEdgeraft() (cluster, error) {
	conf := &raft.Configuration{}
	for i := range members {
		conf.Members = append(conf.Members, raft.Member{ID: edgeraftID(i), Role: raft.Voter})
	}
	from := raft.Stored{
		State:   raft.HardState{Cluster: raft.ClusterID{1}, Term: 1, Commit: 1},
		Entries: []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryConfig, Config: conf}},
	}
	c := &edgeraft{}
	for i := range members {
		core, err := raft.New(raft.Config{
			ID: edgeraftID(i), ElectionTicks: 10, HeartbeatTicks: 1, Boot: 1, ProposalBase: uint64(i+1) << 40,
			Random:           func(int) int { return 0 },
			MaxAppendBytes:   maxMessageBytes,
			MaxApplyBytes:    maxMessageBytes,
			MaxInflight:      maxInflight,
			MaxProposals:     maxProposals,
			MaxProposalBytes: maxBytes,
			MaxUnsavedBytes:  maxBytes,
			MaxPendingBytes:  maxBytes,
			MaxLogBytes:      maxBytes,
			MaxTrailBytes:    trail * raft.Entry{Data: commands[0]}.Size(),
		}, from)
		if err != nil {
			return nil, err
		}
		c.cores[i] = core
	}
	for range 10 {
		c.cores[0].Tick()
	}
	for busy := true; busy; {
		var err error
		if busy, err = c.hop(); err != nil {
			return nil, err
		}
	}
	if role := c.cores[0].Role(); role != raft.Leader {
		return nil, fmt.Errorf("the first member is %s, not the leader", role)
	}
	return c, nil
}

func (c *edgeraft) member(i int) *application { return &c.apps[i] }

func (c *edgeraft) propose(batch [][]byte) error {
	for _, command := range batch {
		if _, err := c.cores[0].Propose(command); err != nil {
			return err
		}
	}
	return nil
}

func (c *edgeraft) hop() (bool, error) {
	busy := false
	for i := range members {
		for {
			rd := c.cores[i].Ready()
			if rd.Empty() {
				break
			}
			busy = true
			if err := c.carryOut(i, &rd); err != nil {
				return false, fmt.Errorf("edgeraft, member %d: %w", i+1, err)
			}
		}
	}
	for _, m := range c.queue {
		if err := c.cores[m.To[0]-'a'].Step(m); err != nil {
			return false, fmt.Errorf("edgeraft, message %T from %s: %w", m.Body, m.From, err)
		}
	}
	c.queue = c.queue[:0]
	return busy, nil
}

// carryOut does what member i wants done.
func (c *edgeraft) carryOut(i int, rd *raft.Ready) error {
	core, app := c.cores[i], &c.apps[i]
	if len(rd.Failed) > 0 {
		return rd.Failed[0].Err
	}
	if rd.Save != nil {
		core.Saved(rd.Save.Seq)
	}
	c.queue = append(c.queue, rd.Messages...)
	for k := range rd.Committed {
		if e := &rd.Committed[k]; e.Kind == raft.EntryCommand {
			if err := app.apply(e.Data); err != nil {
				return err
			}
		}
	}
	if app.snapshotDue() {
		return core.Snapshot(snapshotData)
	}
	return nil
}
