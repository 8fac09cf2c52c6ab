package rafttest

import (
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// Options say what a Cluster consists of.
type Options struct {
	Seed   uint64
	Voters int // devices that are a cluster from the start
	Blank  int // devices beside them that belong to no cluster yet
	// Expect is how many of the blank ones found a cluster together; 0: they wait.
	Expect int
	// Config may change limits and timing; it is called for each start.
	Config func(*raft.Config)
	// SnapshotBytes is how much a node applies between two snapshots; 0: it
	// takes none of its own accord.
	SnapshotBytes int
	// App makes the state machine of a node, at each start; nil: a digest.
	App func(n *Node) App
	// Sleepy devices wake only when TicksUntilWork says so, as real ones do.
	// The others wake at every tick.
	Sleepy bool
	// Trace is how many of the newest events are kept for the report on a
	// failure.
	Trace int
}

// ClusterID is that of the devices that are a cluster from the start.
var ClusterID = raft.ClusterIDFrom([16]byte{0xed, 0x6e})

// Cluster is a set of nodes in a virtual world. It is not safe for concurrent
// use.
type Cluster struct {
	Net   *Network
	Nodes []*Node
	// Tap, when set, sees each message as it is sent.
	Tap func(raft.Message)

	// successor is a cluster recovered from this one, of which devices hear as soon
	// as they start; zero for none.
	successor raft.ClusterID

	opts   Options
	clock  *clock
	rng    *Rand
	check  checker
	ops    map[raft.ProposalID]*Op
	open   []*Op
	trace  []string
	events int
	// How many snapshots were taken, and restored.
	snapshots, restores int
	failed              *Violation
}

// Violation is an invariant that did not hold, and how it came to that.
type Violation struct {
	Seed      uint64
	Invariant string
	What      string
	Time      Time
	Trace     []string // newest last
}

// Error is the whole report.
func (v *Violation) Error() string {
	return fmt.Sprintf("seed %d, time %.2f ticks: invariant %q: %s\n%s",
		v.Seed, float64(v.Time)/float64(Tick), v.Invariant, v.What, strings.Join(v.Trace, "\n"))
}

// New makes a cluster in which all nodes run.
func New(o Options) *Cluster {
	c := &Cluster{opts: o, clock: &clock{}, rng: NewRand(o.Seed), ops: map[raft.ProposalID]*Op{}}
	c.Net = perfectNetwork(c.rng.Fork())
	c.check.init(c)
	var start raft.Stored
	if o.Voters > 0 {
		conf := &raft.Configuration{}
		for i := range o.Voters {
			conf.Members = append(conf.Members, raft.Member{ID: nodeID(i), Name: fmt.Sprint("n", i), Role: raft.Voter})
		}
		start.State = raft.HardState{Cluster: ClusterID, Term: 1, Commit: 1}
		start.Entries = []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryConfig, Config: conf}}
	}
	for i := range o.Voters + o.Blank {
		n := &Node{Index: i, ID: nodeID(i), cluster: c, rng: c.rng.Fork(), tickLen: Tick}
		n.Disk = &Disk{MinDelay: 1, MaxDelay: Tick / 4, first: 1, cluster: c, node: n, rng: n.rng.Fork()}
		if i < o.Voters {
			n.Disk.state = start.State
			n.Disk.entries.replace(start.Entries)
		}
		c.Nodes = append(c.Nodes, n)
	}
	for _, n := range c.Nodes {
		n.Start()
		if o.Expect > 0 {
			c.planHello(n)
		}
	}
	return c
}

// nodeID keeps the order of the numbers: a, b, c ...
func nodeID(i int) raft.NodeID {
	return raft.NodeID(strings.Repeat(string(rune('a'+i)), raft.NodeIDLen))
}

// Now is the virtual time.
func (c *Cluster) Now() Time { return c.clock.now }

// Events is how many events were processed.
func (c *Cluster) Events() int { return c.events }

// Failed is the first violation, nil while all is well.
func (c *Cluster) Failed() *Violation { return c.failed }

// RunFor lets time pass, until the first violation.
func (c *Cluster) RunFor(ticks int) {
	deadline := c.clock.now + Time(ticks)*Tick
	for c.failed == nil && c.clock.next(deadline) {
		c.events++
	}
}

// RunUntil lets time pass until ok, which is asked after every event, at most
// so many ticks. It reports whether ok held in the end.
func (c *Cluster) RunUntil(ticks int, ok func() bool) bool {
	deadline := c.clock.now + Time(ticks)*Tick
	for c.failed == nil && !ok() {
		if !c.clock.next(deadline) {
			return false
		}
		c.events++
	}
	return c.failed == nil
}

// After plans something; it happens during a run.
func (c *Cluster) After(ticks int, do func()) { c.clock.after(Time(ticks)*Tick, do) }

// violate notes the first violation; the run ends with the present event.
func (c *Cluster) violate(invariant, format string, args ...any) {
	if c.failed == nil {
		c.failed = &Violation{
			Seed: c.opts.Seed, Invariant: invariant, What: fmt.Sprintf(format, args...),
			Time: c.clock.now, Trace: c.trace,
		}
	}
}

func (c *Cluster) tracef(format string, args ...any) {
	if c.opts.Trace == 0 {
		return
	}
	line := fmt.Sprintf("%10.2f  ", float64(c.clock.now)/float64(Tick)) + fmt.Sprintf(format, args...)
	if c.trace = append(c.trace, line); len(c.trace) > c.opts.Trace {
		c.trace = c.trace[1:]
	}
}

// node finds a node by its ID; nil for a stranger's.
func (c *Cluster) node(id raft.NodeID) *Node {
	if i := int(id[0] - 'a'); i >= 0 && i < len(c.Nodes) && c.Nodes[i].ID == id {
		return c.Nodes[i]
	}
	return nil
}

// send puts a message on the network.
func (c *Cluster) send(from *Node, m raft.Message) {
	to := c.node(m.To)
	if to == nil || to == from {
		c.violate("addresses", "%v sends %T to %q", from, m.Body, m.To)
		return
	}
	c.check.sent(from, m)
	if c.Tap != nil {
		c.Tap(m)
	}
	delays := c.Net.copies(from.Index, to.Index)
	if c.opts.Trace > 0 {
		c.tracef("%v -> %v  %s%s", from, to, describe(m), [...]string{" LOST", "", " TWICE"}[min(len(delays), 2)])
	}
	for _, d := range delays {
		m := c.damage(m)
		c.clock.after(d, func() { c.deliver(to, m) })
	}
}

// damage changes a byte of a piece of a snapshot, as often as the network does
// that. The messages of a real device are protected; what they carry was not
// when it was read from a disk.
func (c *Cluster) damage(m raft.Message) raft.Message {
	b, ok := m.Body.(raft.SnapshotRequest)
	if !ok || len(b.Data) == 0 || !c.Net.rng.Chance(c.Net.Damage) {
		return m
	}
	b.Data = append([]byte(nil), b.Data...)
	b.Data[c.Net.rng.Intn(len(b.Data))]++
	m.Body = b
	return m
}

func (c *Cluster) deliver(to *Node, m raft.Message) {
	if to.moved != nil {
		to.moved.cluster.deliverForeign(to.moved, m)
		return
	}
	if to.core == nil {
		return
	}
	c.check.delivered(m)
	if c.joining(to, m) {
		return
	}
	what := ""
	if c.opts.Trace > 0 {
		what = fmt.Sprintf("gets %s from %v", describe(m), c.node(m.From))
	}
	c.input(to, what, func(core *raft.Core) {
		if err := core.Step(m); err != nil {
			c.tracef("%v refuses it: %v", to, err)
		}
	})
}
