package rafttest

import (
	"errors"

	"github.com/edgeraft/edgeraft/raft"
)

// Outcome is how a proposal ended.
type Outcome uint8

// The outcomes of a proposal.
const (
	Open      Outcome = iota // not yet
	Committed                // acknowledged
	Failed                   // surely without effect
	Unknown                  // the node crashed, or was sent a snapshot, or it was cancelled too late
)

// Op is a proposal made by a client on a node.
type Op struct {
	Node    *Node
	ID      raft.ProposalID
	Outcome Outcome
	Index   raft.Index // Committed
	Err     error      // Failed
	Result  []byte     // Committed: what the App made of it
	// Then, when not nil, is called once, when the outcome is there. It must not
	// give any node an input.
	Then func()
	boot uint64
}

// ReadOp is a linearizable read asked of a node.
type ReadOp struct {
	Node  *Node
	Done  bool
	Lost  bool       // the node crashed first
	Index raft.Index // to be applied before it is served
	// Then, when not nil, is called once the App has applied Index. It must not
	// give any node an input.
	Then  func()
	floor raft.Index // the newest commit known to anyone when it was asked
	seq   uint64
}

// Propose makes a proposal on node i. When the node is down, or refuses, the
// outcome is Failed at once.
func (c *Cluster) Propose(i int, data []byte) *Op {
	return c.ask(i, "gets a proposal", func(core *raft.Core) (raft.ProposalID, error) { return core.Propose(data) })
}

// RequestChange wishes a membership change on node i.
func (c *Cluster) RequestChange(i int, ch raft.Change) *Op {
	return c.ask(i, "gets a wish for a membership change", func(core *raft.Core) (raft.ProposalID, error) { return core.RequestChange(ch) })
}

func (c *Cluster) ask(i int, what string, do func(*raft.Core) (raft.ProposalID, error)) *Op {
	n := c.Nodes[i]
	op := &Op{Node: n, boot: n.boot, Outcome: Failed, Err: errDown}
	if n.paused > c.clock.now {
		return op
	}
	c.input(n, what, func(core *raft.Core) {
		id, err := do(core)
		if op.Err = err; err != nil {
			return
		}
		if c.ops[id] != nil || id == 0 {
			c.violate("unique IDs", "%v: proposal ID %d is used twice", n, id)
		}
		op.ID, op.Outcome = id, Open
		c.ops[id] = op
		c.open = append(c.open, op)
	})
	return op
}

var errDown = errors.New("the device is down")

// Cancel gives up waiting for a proposal.
func (c *Cluster) Cancel(op *Op) {
	if op.Outcome != Open || op.Node.paused > c.clock.now {
		return
	}
	c.input(op.Node, "has a proposal cancelled", func(core *raft.Core) {
		if core.Cancel(op.ID) {
			c.end(op, Unknown)
			return
		}
		op.Err = raft.ErrNoLeader
		c.end(op, Failed)
		c.check.ineffective(op)
	})
}

func (c *Cluster) end(op *Op, o Outcome) {
	if op.Outcome != Open {
		c.violate("one outcome", "%v: proposal %d ended with outcome %d, and then with %d", op.Node, op.ID, op.Outcome, o)
	}
	op.Outcome = o
	if op.Then != nil {
		op.Then()
	}
}

// OpenOps returns the proposals that have not ended.
func (c *Cluster) OpenOps() []*Op {
	kept := c.open[:0]
	for _, op := range c.open {
		if op.Outcome == Open {
			kept = append(kept, op)
		}
	}
	c.open = kept
	return kept
}

// lose ends what clients of a crashed node waited for.
func (c *Cluster) lose(n *Node) {
	for _, op := range c.OpenOps() {
		if op.Node == n {
			c.end(op, Unknown)
		}
	}
}

// apply is the App of node n, and the acknowledgement to the client.
func (c *Cluster) apply(n *Node, e raft.Entry) {
	c.check.applying(n, e)
	n.Applied = append(n.Applied, e)
	var result []byte
	if n.app != nil {
		result = n.app.Apply(e)
	}
	if e.ID != 0 && e.ID == n.due {
		n.due = 0
	}
	n.sinceSnapshot += e.Size()
	if op := c.ops[e.ID]; e.ID != 0 && op != nil && op.Node == n && op.boot == n.boot && op.Outcome == Open {
		op.Index, op.Result = e.Index, result
		c.end(op, Committed)
	}
}

func (c *Cluster) fail(n *Node, f raft.Failed) {
	if f.ID == n.due && f.ID != 0 {
		n.due = 0
		return
	}
	op := c.ops[f.ID]
	if op == nil || op.Node != n || op.boot != n.boot {
		c.violate("one outcome", "%v: proposal %d failed, which it does not have", n, f.ID)
		return
	}
	if op.Outcome != Open {
		return // cancelled meanwhile
	}
	if errors.Is(f.Err, raft.ErrOutcomeUnknown) {
		c.end(op, Unknown)
	} else {
		op.Err = f.Err
		c.end(op, Failed)
		c.check.ineffective(op)
	}
}

// Read asks for a linearizable read on node i; nil when the node is down.
func (c *Cluster) Read(i int) *ReadOp {
	n := c.Nodes[i]
	if n.core == nil || n.paused > c.clock.now {
		return nil
	}
	r := &ReadOp{Node: n, floor: c.check.committed.last()}
	c.input(n, "gets a read", func(core *raft.Core) {
		r.seq = core.Read()
		n.reads = append(n.reads, r)
	})
	return r
}

func (c *Cluster) finishReads(n *Node, d raft.ReadDone) {
	kept := n.reads[:0]
	for _, r := range n.reads {
		if r.seq > d.Seq {
			kept = append(kept, r)
			continue
		}
		r.Done, r.Index = true, d.Index
		if r.Then != nil {
			n.served = append(n.served, r)
		}
		if d.Index < r.floor {
			c.violate("linearizable reads", "%v: read %d may be served at index %d, but %d was committed before it was asked", n, r.seq, d.Index, r.floor)
		}
		if known := max(c.check.committed.last(), n.core.Status().Commit); d.Index > known {
			c.violate("linearizable reads", "%v: read %d waits for index %d, and only %d are committed", n, r.seq, d.Index, known)
		}
	}
	n.reads = kept
}

// serveReads serves the reads whose index is applied.
func (c *Cluster) serveReads(n *Node) {
	kept := n.served[:0]
	for _, r := range n.served {
		if r.Index > raft.Index(len(n.Applied)) {
			kept = append(kept, r)
			continue
		}
		r.Then()
	}
	n.served = kept
}

// OpenReads returns the reads that wait on node i.
func (c *Cluster) OpenReads(i int) []*ReadOp { return c.Nodes[i].reads }

// Change proposes a membership change on node i.
func (c *Cluster) Change(i int, ch raft.Change) error {
	err := errDown
	c.input(c.Nodes[i], "gets a membership change", func(core *raft.Core) { err = core.ProposeChange(ch) })
	return err
}

// Transfer asks node i to have leadership handed over; to no node in particular
// with to < 0.
func (c *Cluster) Transfer(i, to int) error {
	successor := raft.NodeID("")
	if to >= 0 {
		successor = c.Nodes[to].ID
	}
	err := errDown
	c.input(c.Nodes[i], "is asked to hand over", func(core *raft.Core) { err = core.RequestTransfer(successor) })
	return err
}

// Suspect tells node i that node j is said to be gone.
func (c *Cluster) Suspect(i, j int) {
	c.input(c.Nodes[i], "hears that "+c.Nodes[j].String()+" is gone", func(core *raft.Core) { core.SuspectLeader(c.Nodes[j].ID) })
}

// Found makes node i the first member of a new cluster.
func (c *Cluster) Found(i int, id raft.ClusterID) error {
	err := errDown
	c.input(c.Nodes[i], "founds a cluster", func(core *raft.Core) { err = core.Found(id, "n") })
	return err
}

// Deliver hands a message straight to its addressee.
func (c *Cluster) Deliver(m raft.Message) error {
	err := errDown
	c.input(c.node(m.To), "gets "+describe(m), func(core *raft.Core) { err = core.Step(m) })
	return err
}
