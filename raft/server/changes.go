package server

import "github.com/edgeraft/edgeraft/raft"

// changes tells the Monitor what changed, without ever waiting for it.
type changes struct {
	monitor Monitor
	queue   chan Change
	quit    chan struct{}
	last    Change
	first   bool
	missed  int
}

func newChanges(m Monitor) *changes {
	return &changes{monitor: m, queue: make(chan Change, maxChanges), quit: make(chan struct{}), first: true}
}

// look compares the state with what was told last.
func (c *changes) look(core *raft.Core, foreign raft.ClusterID, from raft.NodeID) {
	if c.monitor == nil {
		return
	}
	state := core.State()
	now := Change{
		Role: core.Role(), Term: state.Term, Leader: core.Leader(),
		Cluster: state.Cluster, Config: core.Config(), Foreign: foreign,
	}
	if foreign != c.last.Foreign {
		now.ForeignFrom = from
	} else {
		now.ForeignFrom = c.last.ForeignFrom
	}
	if now == c.last && !c.first {
		return
	}
	c.first, c.last = false, now
	now.Missed = c.missed
	select {
	case c.queue <- now:
		c.missed = 0
	default:
		c.missed++
	}
}

func (c *changes) run() {
	for {
		select {
		case ch := <-c.queue:
			c.monitor.Changed(ch)
		case <-c.quit:
			return
		}
	}
}

func (c *changes) stop() { close(c.quit) }
