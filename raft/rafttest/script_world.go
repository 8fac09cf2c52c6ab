package rafttest

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// world is a Cluster in which nothing happens by itself. Time passes only for
// the node that a command ticks, messages wait in their link until one delivers
// them, and saves wait until one makes them durable. The invariants of the
// Cluster are checked as ever.
type world struct {
	*Cluster
	links map[link][]raft.Message // sent, and neither delivered nor lost yet
	held  map[link]bool           // run delivers nothing here
	cuts  map[link]bool           // what is sent here is lost
	stuck map[int]bool            // disks that run does not wait for
	kept  map[string]raft.Message // put aside, to be delivered late, and as often as one likes

	proposed map[string]*Op // by its data
	asked    map[string]*ReadOp

	out     []string
	loud    loudness
	sent    []string // by the event under way
	refused error    // likewise
}

// loudness says how much of what happens is printed.
type loudness int

const (
	silent loudness = iota // only what clients are told
	brief                  // and what becomes of the nodes
	full                   // and what is saved and sent
)

// scriptTimeout is the election timeout of each node in ticks: the longest, so
// that all can forget their leader before one of them campaigns.
const scriptTimeout = 2*ElectionTicks - 1

// build makes the cluster of a script. All random choices are fixed.
func (w *world) build(voters, blank, expect int, config func(*raft.Config)) {
	w.Cluster = New(Options{Seed: 1, Voters: voters, Blank: blank, Config: func(cfg *raft.Config) {
		cfg.Random = func(n int) int { return n - 1 }
		if expect > 0 { // they say that they are there only where a script says so
			cfg.Founding = raft.FoundingConfig{Expect: expect, Name: nodeName(cfg.ID), MaxVoters: 5}
		}
		config(cfg)
	}})
	w.opts.Expect = expect
	// The network loses everything: what is sent goes into the links instead.
	w.Net.Loss = 1000
	w.Tap = w.carry
	w.links, w.held, w.cuts = map[link][]raft.Message{}, map[link]bool{}, map[link]bool{}
	w.stuck, w.kept = map[int]bool{}, map[string]raft.Message{}
	w.proposed, w.asked = map[string]*Op{}, map[string]*ReadOp{}
	w.loud = full
}

// carry takes a message that a node sends.
func (w *world) carry(m raft.Message) {
	l := link{w.node(m.From).Index, w.node(m.To).Index}
	line := fmt.Sprintf("%v %s", l, tellMessage(m))
	if w.cuts[l] {
		line += ", lost"
	} else {
		w.links[l] = append(w.links[l], m)
	}
	w.sent = append(w.sent, line)
}

func (l link) String() string { return fmt.Sprintf("n%d>n%d", l.from, l.to) }

// event gives n one input, and prints what comes of it.
func (w *world) event(n *Node, input func()) {
	w.sent, w.refused = nil, nil
	before := w.picture(n)
	input()
	w.tell(n, before)
}

// hand delivers a message.
func (w *world) hand(m raft.Message) {
	to := w.node(m.To)
	if to.core == nil {
		w.say(full, "%v is down", to)
		return
	}
	w.event(to, func() {
		w.check.delivered(m)
		if w.joining(to, m) {
			return
		}
		w.input(to, "gets "+describe(m), func(core *raft.Core) { w.refused = core.Step(m) })
	})
}

// take removes a message from a link.
func (w *world) take(l link, i int) raft.Message {
	q := w.links[l]
	m := q[i]
	w.links[l] = append(q[:i:i], q[i+1:]...)
	return m
}

// persist makes the first k saves durable, and says so to nobody.
func (w *world) persist(n *Node, k int) {
	d := n.Disk
	first := d.queue[k-1].First
	d.write(k)
	d.first = max(d.first, first) // a real disk may keep more; no chance here
}

// sync makes the first k saves durable, and the node hear of it.
func (w *world) sync(n *Node, k int) {
	seq := n.Disk.queue[k-1].Seq
	w.persist(n, k)
	w.say(full, "%v save %d is durable", n, seq)
	w.event(n, func() { w.input(n, "hears of its disk", func(core *raft.Core) { core.Saved(seq) }) })
}

// crash stops a node whose disk has written only the first k saves under way.
func (w *world) crash(n *Node, k int) {
	if k > 0 {
		w.persist(n, k)
	}
	lost := len(n.Disk.queue)
	n.Disk.queue = nil
	before := w.picture(n)
	n.Crash()
	w.clients(n, before)
	if lost > 0 {
		w.say(brief, "%v crashes, and loses %d of its saves", n, lost)
	} else {
		w.say(brief, "%v crashes", n)
	}
}

func (w *world) start(n *Node) {
	w.say(brief, "%v starts; %s", n, w.disk(n))
	w.sent = nil
	n.Start()
	for _, line := range w.sent {
		w.say(full, "%s", line)
	}
}

// tick lets one tick pass on one node.
func (w *world) tick(n *Node) {
	w.event(n, func() { w.input(n, "", func(core *raft.Core) { core.Tick() }) })
}

// timeout lets time pass on one node until it campaigns, or ceases to.
func (w *world) timeout(n *Node) error {
	for range scriptTimeout + 1 {
		role := n.core.Role()
		if w.tick(n); role != n.core.Role() || len(w.sent) > 0 && role != raft.Leader {
			return nil
		}
	}
	return fmt.Errorf("%v does nothing for %d ticks", n, scriptTimeout)
}

// maxRun bounds how much may happen in one run.
const maxRun = 20000

var errEndless = errors.New("the messages never end")

// run delivers and saves everything that waits, and what comes of it, in the
// order of the nodes: first its disk, then one message of each link.
func (w *world) run() error {
	return w.runOnly(func(*Node) bool { return true }, func(raft.Message) bool { return true })
}

// runOnly does so for some disks and some messages.
func (w *world) runOnly(disk func(*Node) bool, message func(raft.Message) bool) error {
	for range maxRun {
		busy := false
		for _, n := range w.Nodes {
			if n.core != nil && len(n.Disk.queue) > 0 && !w.stuck[n.Index] && disk(n) {
				w.sync(n, len(n.Disk.queue))
				busy = true
			}
			for i := range w.Nodes {
				l := link{n.Index, i}
				if k := slices.IndexFunc(w.links[l], message); k >= 0 && !w.held[l] {
					w.hand(w.take(l, k))
					busy = true
				}
			}
		}
		if !busy {
			return nil
		}
	}
	return errEndless
}

// elect makes a node leader, by those it can speak with. Only what has to do
// with votes is delivered; the new leader's first messages and its first save
// wait.
func (w *world) elect(n *Node) error {
	for _, o := range w.Nodes {
		if o == n || o.core == nil || o.core.Role() == raft.Leader || o.core.Leader() == "" || w.cuts[link{n.Index, o.Index}] {
			continue
		}
		for range ElectionTicks {
			w.tick(o)
		}
	}
	leads := func(o *Node) bool { return o == n && n.core.Role() == raft.Leader }
	// The first attempts may only teach it the term of the others.
	for range electionAttempts {
		if err := w.timeout(n); err != nil {
			return err
		}
		err := w.runOnly(func(o *Node) bool { return !leads(o) }, func(m raft.Message) bool { return strings.Contains(kindOf(m), "vote") })
		if err != nil || leads(n) {
			return err
		}
	}
	return fmt.Errorf("%v is a %v, and should lead", n, n.core.Role())
}

const electionAttempts = 3
