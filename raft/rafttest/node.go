package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Timing of the Cores, in ticks, unless Options.Config says otherwise.
const (
	ElectionTicks  = 10
	HeartbeatTicks = 2
	StallTicks     = 60
)

// Node is one device: a Core, its disk, its clock, its App.
type Node struct {
	Index int
	ID    raft.NodeID
	Disk  *Disk
	// Applied is what the App was given since the last start.
	Applied []raft.Entry

	cluster *Cluster
	rng     *Rand
	gone    bool       // for good
	moved   *Node      // what it is in a cluster that was recovered from its own
	core    *raft.Core // nil while the node is down
	boot    uint64
	log     history // the Core's log

	tickLen Time      // of this node's clock
	ticked  Time      // up to here ticks were passed on
	zero    raft.Time // what its clock showed at virtual time 0
	planned int       // ticks the node means to sleep
	quiet   int       // ticks for which the Core said it has nothing to do
	plan    int       // tells outdated wake-ups
	paused  Time      // no input is processed before

	app     App             // nil: a digest of what was applied
	due     raft.ProposalID // a command of the App's under way, 0 for none
	dueNext raft.Time       // by the node's clock: not before

	reads         []*ReadOp
	served        []*ReadOp  // answered; their index may not be applied yet
	sinceSnapshot int        // bytes applied since the last one
	restored      raft.Index // the newest snapshot restored since the start
	base          raft.Index // at the end of the event before, the log was dropped up to here

	commit raft.Index          // at the end of the event before
	config *raft.Configuration // likewise
}

func (n *Node) String() string { return fmt.Sprint("n", n.Index) }

// Core gives access to the real thing; nil while the node is down. Inputs must
// go through the Cluster, or their effects would go unnoticed until the next.
func (n *Node) Core() *raft.Core { return n.core }

// Up reports whether the node runs.
func (n *Node) Up() bool { return n.core != nil }

// Status is the Core's; the zero Status while the node is down.
func (n *Node) Status() raft.Status {
	if n.core == nil {
		return raft.Status{}
	}
	return n.core.Status()
}

// Start boots the node from what its disk holds.
func (n *Node) Start() {
	if n.core != nil || n.gone {
		return
	}
	c := n.cluster
	n.boot++
	boot := n.rng.Fork()
	n.zero = raft.Time(boot.Intn(1 << 20)) // after a start clocks show anything
	cfg := raft.Config{
		ID: n.ID, ElectionTicks: ElectionTicks, HeartbeatTicks: HeartbeatTicks, StallTicks: StallTicks,
		Random: boot.Intn, Boot: n.boot, Now: n.now(), ProposalBase: mix(uint64(n.Index+1)<<32 | n.boot),
	}
	if c.opts.Expect > 0 {
		cfg.Founding = raft.FoundingConfig{Expect: c.opts.Expect, Name: n.String(), MaxVoters: 5}
	}
	if c.opts.Config != nil {
		c.opts.Config(&cfg)
	}
	stored := n.Disk.stored()
	n.Disk.last = n.Disk.entries.last()
	core, err := raft.New(cfg, stored)
	if err != nil {
		c.violate("restart", "%v: %v", n, err)
		return
	}
	core.HearOf(c.successor)
	n.core, n.Applied, n.commit, n.config, n.quiet = core, nil, 0, nil, 0
	n.sinceSnapshot, n.restored, n.base = 0, 0, 0
	n.due, n.dueNext = 0, 0
	if c.opts.App != nil {
		n.app = c.opts.App(n)
	}
	n.log = history{}
	n.log.replace(n.Disk.entries.entries)
	if stored.Snapshot != nil {
		n.restored = stored.Snapshot.Index // begins below it or there
	}
	n.ticked, n.planned, n.paused = c.clock.now, 1, 0
	c.tracef("%v starts (boot %d) with term %d, vote %q, snapshot at %d, entries %d to %d", n, n.boot, stored.State.Term, stored.State.Vote, n.restored, n.Disk.first, n.Disk.last)
	c.settle(n)
	if n.Disk.full {
		n.Disk.tellShort(true)
	}
}

// Crash stops the node at once. What its disk has not written is lost.
func (n *Node) Crash() {
	if n.core == nil {
		return
	}
	n.core = nil
	n.plan++
	n.Disk.crash()
	for _, r := range n.reads {
		r.Lost = true
	}
	n.reads, n.served = nil, nil
	n.cluster.lose(n)
	n.cluster.tracef("%v crashes; its disk holds term %d, vote %q, %d entries", n, n.Disk.state.Term, n.Disk.state.Vote, n.Disk.entries.last())
}

// Pause keeps the node from processing anything for a while: a suspended or
// starved process. Its disk goes on.
func (n *Node) Pause(ticks int) { n.paused = n.cluster.clock.now + Time(ticks)*Tick }

// SetClock makes the node's ticks so many thousandths of a nominal tick long.
func (n *Node) SetClock(permille int) {
	n.tickLen = Tick * Time(permille) / 1000
	n.cluster.check.times.fastest = min(n.cluster.check.times.fastest, n.tickLen)
}

// now is what the node's own clock shows.
func (n *Node) now() raft.Time {
	return n.zero + raft.Time(n.cluster.clock.now*Tick/n.tickLen)
}

// input gives the Core of n one input, and carries out what comes of it.
func (c *Cluster) input(n *Node, what string, do func(*raft.Core)) {
	if n.core == nil {
		return
	}
	if n.paused > c.clock.now {
		boot := n.boot
		c.clock.at(n.paused, func() {
			if n.boot == boot {
				c.input(n, what, do)
			}
		})
		return
	}
	defer c.recoverPanic(n)
	c.passTime(n)
	if what != "" {
		c.tracef("%v %s", n, what)
	}
	n.quiet = 0 // whatever was planned, an input changes it
	do(n.core)
	c.settle(n)
}

// recoverPanic turns a panic of the Core into a violation.
func (c *Cluster) recoverPanic(n *Node) {
	if r := recover(); r != nil {
		c.violate("no panics", "%v: %v", n, r)
	}
}

// passTime gives the Core the ticks that have passed. Of a time in which the
// node did not run, most is forgiven, as in a real device.
func (c *Cluster) passTime(n *Node) {
	n.core.SetNow(n.now())
	ticks := int((c.clock.now - n.ticked) / n.tickLen)
	if most := n.planned + HeartbeatTicks; ticks > most {
		ticks = most
		n.ticked = c.clock.now
	} else {
		n.ticked += Time(ticks) * n.tickLen
	}
	for range ticks {
		role := n.core.Role()
		n.core.Tick()
		if n.quiet--; n.quiet <= 0 {
			continue
		}
		rd := n.core.Ready()
		if !rd.Empty() || role != n.core.Role() {
			c.violate("sleep", "%v (%v) had work %d ticks before TicksUntilWork said: %+v", n, role, n.quiet, rd)
		}
	}
}

// wake is due when the node's clock says so.
func (c *Cluster) wake(n *Node) {
	if n.core == nil {
		return
	}
	if n.paused > c.clock.now {
		plan := n.plan
		c.clock.at(n.paused, func() {
			if plan == n.plan {
				c.wake(n)
			}
		})
		return
	}
	defer c.recoverPanic(n)
	c.passTime(n)
	c.settle(n)
}

// maxReady bounds how often a Core may want something after one input.
const maxReady = 1000

// settle carries out all that the Core wants done, checks what must hold, and
// plans the next wake-up.
func (c *Cluster) settle(n *Node) {
	for rounds := 0; ; rounds++ {
		rd := n.core.Ready()
		if rd.Empty() {
			break
		}
		if rounds >= maxReady {
			c.violate("rest", "%v still wants something after %d calls of Ready: %+v", n, rounds, rd)
			return
		}
		c.carryOut(n, rd)
		// Also while more is committed than applied.
		if limit := c.opts.SnapshotBytes; limit > 0 && n.sinceSnapshot >= limit {
			c.check.node(n)
			c.takeSnapshot(n)
		}
	}
	proposed, due := c.proposeDue(n)
	if proposed {
		n.quiet = 0
		c.settle(n)
		return
	}
	c.check.node(n)
	c.check.time(n)
	c.serveReads(n)
	ticks := n.core.TicksUntilWork()
	if ticks < 1 {
		c.violate("sleep", "%v: TicksUntilWork is %d", n, ticks)
	}
	if n.quiet <= 0 {
		n.quiet = ticks
	}
	if due > 0 {
		ticks = min(ticks, due)
	}
	if !c.opts.Sleepy {
		ticks = 1
	}
	n.planned = ticks
	n.plan++
	plan := n.plan
	c.clock.at(n.ticked+Time(ticks)*n.tickLen, func() {
		if plan == n.plan {
			c.wake(n)
		}
	})
}

func (c *Cluster) carryOut(n *Node, rd raft.Ready) {
	if rd.Save != nil {
		c.check.saving(n, *rd.Save)
		n.Disk.submit(*rd.Save)
	}
	for _, m := range rd.Messages {
		c.send(n, m)
	}
	c.restore(n, rd.Restore)
	for _, e := range rd.Committed {
		c.apply(n, e)
	}
	for _, r := range rd.Reads {
		c.finishReads(n, r)
	}
	for _, f := range rd.Failed {
		c.fail(n, f)
	}
}
