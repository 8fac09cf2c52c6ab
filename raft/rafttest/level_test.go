package rafttest

import (
	"errors"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// newKind begins a command that only level 2 knows, as those of restores.
const newKind = 0xfe

func levelOf(data []byte) uint32 {
	if len(data) > 0 && data[0] == newKind {
		return 2
	}
	return 1
}

// mixed is a cluster of devices of old and new versions, which change under load.
type mixed struct {
	*Cluster
	levels map[raft.NodeID]uint32
	rng    *Rand
	ops    []*Op // with commands of the new kind
}

func newMixed(seed uint64, trace int) *mixed {
	m := &mixed{levels: map[raft.NodeID]uint32{}, rng: NewRand(seed ^ 0x6c657665)}
	voters := 3 + m.rng.Intn(3)
	for i := range voters + 1 {
		m.levels[nodeID(i)] = 2 - uint32(m.rng.Intn(3)/2)
	}
	m.Cluster = New(Options{Seed: seed, Voters: voters, Blank: 1, Trace: trace, Config: func(cfg *raft.Config) {
		cfg.Level, cfg.CommandLevel = m.levels[cfg.ID], levelOf
		if cfg.Level < 2 {
			cfg.CommandLevel = nil // an old version has no such thing
		}
	}})
	m.Net.Loss, m.Net.Duplicate = m.rng.Intn(150), m.rng.Intn(100)
	m.Net.MaxDelay = Tick
	return m
}

// holdsNew reports whether a device has an entry of the new kind, in its memory or
// on its disk.
func holdsNew(n *Node) bool {
	for _, es := range [][]raft.Entry{n.log.entries, n.Disk.entries.entries} {
		for _, e := range es {
			if e.Kind == raft.EntryCommand && levelOf(e.Data) > 1 {
				return true
			}
		}
	}
	return false
}

// reinstall stops a device and starts it with another version, which takes longer
// than the messages that are on their way to it live; not an old one where its disk
// holds what that would take for something else.
func (m *mixed) reinstall(n *Node) {
	n.Crash()
	m.After(3*HeartbeatTicks+3+m.rng.Intn(60), func() {
		if m.levels[n.ID] = 2; m.rng.Chance(500) && !holdsNew(n) {
			m.levels[n.ID] = 1
		}
		m.tracef("%v is of level %d now", n, m.levels[n.ID])
		n.Start()
	})
}

func (m *mixed) step() {
	n := m.Nodes[m.rng.Intn(len(m.Nodes))]
	switch d := m.rng.Intn(20); {
	case d < 12:
		m.Propose(n.Index, []byte{1})
	case d < 17 && m.levels[n.ID] >= 2:
		m.ops = append(m.ops, m.Propose(n.Index, []byte{newKind}))
	case d == 17 && n.Up():
		m.reinstall(n)
	case d == 18:
		m.Net.Isolate(len(m.Nodes), n.Index)
	case d == 19:
		m.Net.Repair()
	}
	if lead := m.Leader(); lead != nil && m.rng.Chance(30) {
		_ = m.Change(lead.Index, raft.Change{Kind: raft.AddLearner, ID: m.Nodes[len(m.Nodes)-1].ID})
	}
	m.clock.after(m.rng.Between(1, 3*Tick), m.step)
}

// oldHoldsNew is the first device of an old version that has what it would take for
// something else, nil for none.
func (m *mixed) oldHoldsNew() *Node {
	for _, n := range m.Nodes {
		if n.Up() && m.levels[n.ID] < 2 && holdsNew(n) {
			return n
		}
	}
	return nil
}

// TestNoOldDeviceGetsNewCommands: whoever leads, comes, goes or returns, no device of
// an older version is given a command that it does not know; and where all know
// them, they are committed.
//
//	go test ./raft/rafttest -run NoOldDevice -seed 17 -events 300
func TestNoOldDeviceGetsNewCommands(t *testing.T) {
	seeds, first := uint64(defaultRescues), uint64(1)
	if *oneSeed != 0 {
		seeds, first = *oneSeed, *oneSeed
	}
	committed, refused, unknown := 0, 0, 0
	for seed := first; seed <= seeds; seed++ {
		m := newMixed(seed, *traced)
		m.step()
		if m.RunUntil(500, func() bool { return m.oldHoldsNew() != nil }) {
			m.violate("old devices get nothing new", "%v is of an older version, and has a command that it does not know", m.oldHoldsNew())
		}
		if v := m.Failed(); v != nil {
			t.Fatal(v)
		}
		for _, op := range m.ops {
			switch {
			case op.Outcome == Committed:
				committed++
			case errors.Is(op.Err, raft.ErrLevel):
				refused++
			default:
				unknown++
			}
		}
	}
	t.Logf("new commands: %d committed, %d refused, %d otherwise", committed, refused, unknown)
	if *oneSeed == 0 && (committed < 100 || refused < 100) {
		t.Errorf("new commands: %d committed, %d refused: too few of one to show anything", committed, refused)
	}
}

// TestOneThatIsGoneKeepsNothingBack: a member of which nobody knows the version is
// waited for, and then not any more; when it comes back with an old one it gets the
// log up to what it does not know, and the rest goes on.
func TestOneThatIsGoneKeepsNothingBack(t *testing.T) {
	levels := map[raft.NodeID]uint32{nodeID(0): 2, nodeID(1): 2, nodeID(2): 1}
	c := New(Options{Seed: 3, Voters: 3, Trace: *traced, Config: func(cfg *raft.Config) {
		if cfg.Level = levels[cfg.ID]; cfg.Level == 2 {
			cfg.CommandLevel = levelOf
		}
	}})
	c.Nodes[2].Crash()
	if !c.RunUntil(300, func() bool { return c.Leader() != nil }) {
		t.Fatal("no leader")
	}
	early := c.Propose(c.Leader().Index, []byte{newKind})
	c.RunFor(1)
	if early.Outcome != Failed || !errors.Is(early.Err, raft.ErrLevel) {
		t.Errorf("before the others were heard: %v, %v", early.Outcome, early.Err)
	}
	c.RunFor(3 * ElectionTicks)
	for i := range 2 {
		op := c.Propose(i, []byte{newKind})
		c.RunFor(ElectionTicks)
		if op.Outcome != Committed {
			t.Errorf("on n%d, with one gone: %v, %v", i, op.Outcome, op.Err)
		}
	}
	c.Nodes[2].Start()
	c.RunFor(10 * ElectionTicks)
	old := c.Propose(1, []byte{1})
	late := c.Propose(1, []byte{newKind})
	c.RunFor(10 * ElectionTicks)
	if old.Outcome != Committed || late.Outcome != Failed || !errors.Is(late.Err, raft.ErrLevel) {
		t.Errorf("with an old one back: %v, and the new kind %v, %v", old.Outcome, late.Outcome, late.Err)
	}
	if n := c.Nodes[2]; holdsNew(n) || n.Status().Leader == "" {
		t.Errorf("the old one: %+v", n.Status())
	}
	c.Nodes[2].Crash()
	levels[nodeID(2)] = 2
	c.Nodes[2].Start()
	c.RunFor(10 * ElectionTicks)
	if s := c.Nodes[2].Status(); s.Applied != c.Leader().Status().Commit {
		t.Errorf("updated, it has %d of %d", s.Applied, c.Leader().Status().Commit)
	}
	if v := c.Failed(); v != nil {
		t.Fatal(v)
	}
}

// TestALevelIsForgotten: what a member said it knows counts for a moment only. One
// that is silent may be on its way back with an older version.
func TestALevelIsForgotten(t *testing.T) {
	levels := map[raft.NodeID]uint32{nodeID(0): 2, nodeID(1): 2, nodeID(2): 2}
	c := New(Options{Seed: 4, Voters: 3, Trace: *traced, Config: func(cfg *raft.Config) {
		if cfg.Level = levels[cfg.ID]; cfg.Level == 2 {
			cfg.CommandLevel = levelOf
		}
	}})
	if !c.RunUntil(300, func() bool { return c.Leader() != nil }) {
		t.Fatal("no leader")
	}
	lead := c.Leader().Index
	back := (lead + 1) % 3
	c.RunFor(5 * HeartbeatTicks)
	c.Nodes[back].Crash()
	levels[nodeID(back)] = 1
	c.RunFor(3 * HeartbeatTicks)
	c.Net.Cut(back, lead) // so that what it says now is not heard
	c.Nodes[back].Start()
	op := c.Propose(lead, []byte{newKind})
	c.RunFor(ElectionTicks)
	if op.Outcome != Committed || holdsNew(c.Nodes[back]) || c.Failed() != nil {
		t.Errorf("%v, %v; the old one holds it: %v; %v", op.Outcome, op.Err, holdsNew(c.Nodes[back]), c.Failed())
	}
}
