package raft

import (
	"fmt"
	"slices"
	"strings"
)

// Founding by several blank devices (bootstrap_expect) is single-decree Paxos
// (L. Lamport, "Paxos Made Simple", 2001) on one question: which cluster, and
// of whom? Every device that takes part is proposer and acceptor. Nobody knows
// how many there are, so both quorums are Expect of them, of whatever others:
// as long as there are fewer than twice as many, any two groups of Expect share
// a device, and two charters can never both be chosen. With exactly Expect of
// them all are needed, which is what the setting says.
//
// founding.go has what is stored and said, founding_accept.go the acceptor,
// founding_propose.go the proposer, founding_end.go how a device leaves.

// MaxExpect is the most devices that may found a cluster together: with one
// less than twice as many there are as many as a cluster may have.
const MaxExpect = (MaxMembers + 1) / 2

// FoundingConfig is how a blank device founds a cluster together with others.
type FoundingConfig struct {
	// Expect is how many devices found it, 2 to MaxExpect; 0: this one takes no
	// part. A device that belonged to a cluster before, and lost it with its
	// storage, must take no part.
	Expect int
	Name   string // this device's label
	// MaxVoters is to how many of the founders a vote is given at most; odd.
	MaxVoters int
}

// Ballot numbers the attempts. No two proposers use the same, and no proposer
// uses one twice. The zero Ballot is below all others.
type Ballot struct {
	Round    uint64
	Proposer NodeID
}

// Less orders ballots.
func (b Ballot) Less(o Ballot) bool {
	return b.Round < o.Round || b.Round == o.Round && b.Proposer < o.Proposer
}

// maxRound keeps a damaged message from using up all rounds.
const maxRound = 1 << 62

// Charter is what is decided: the new cluster and its first configuration.
type Charter struct {
	Cluster ClusterID
	Config  *Configuration
}

// valid reports whether a correct proposer could have made it.
func (h *Charter) valid() bool {
	return h != nil && !h.Cluster.IsZero() && h.Config != nil && h.Config.Voters() > 0 && len(h.Config.Members) <= MaxExpect &&
		slices.IsSortedFunc(h.Config.Members, func(a, b Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
}

// Founding is what a blank device has promised. Like a vote it must be on
// stable storage before anybody hears of it. The zero value is no promise.
type Founding struct {
	Promised Ballot   // it takes part in no attempt below
	Accepted Ballot   // the attempt in which it accepted the Charter
	Charter  *Charter // nil: none was accepted
}

// IsZero reports whether nothing was promised.
func (f *Founding) IsZero() bool { return *f == Founding{} }

// FoundingPrepare asks for the promise to take part in no lower ballot (phase
// 1a).
type FoundingPrepare struct {
	Ballot Ballot
	Expect int // of the sender; who expects another number takes no part
}

// FoundingPromise answers a FoundingPrepare (phase 1b).
type FoundingPromise struct {
	Ballot   Ballot // the one that was asked for
	Accepted Ballot // of the Charter
	Charter  *Charter
	Name     string // the sender's label
}

// FoundingAccept asks to accept a charter (phase 2a).
type FoundingAccept struct {
	Ballot  Ballot
	Expect  int
	Charter *Charter
}

// FoundingAccepted answers a FoundingAccept (phase 2b).
type FoundingAccepted struct{ Ballot Ballot }

// FoundingRefused tells a proposer that a higher ballot was promised.
type FoundingRefused struct{ Promised Ballot }

// Founded tells a founder that the charter was chosen. That is true for ever.
type Founded struct{ Charter *Charter }

func (FoundingPrepare) body()  {}
func (FoundingPromise) body()  {}
func (FoundingAccept) body()   {}
func (FoundingAccepted) body() {}
func (FoundingRefused) body()  {}
func (Founded) body()          {}

// blankDevice is another device that belongs to no cluster and expects as many
// as this one.
type blankDevice struct {
	name   string
	silent int // ticks since it was heard
}

// founding is a blank device's part in a founding.
type founding struct {
	state Founding // durable once store.done has reached ticket
	// ticket is the save that makes state durable.
	ticket uint64
	heard  map[NodeID]*blankDevice
	// other is a blank device that expects another number, odd how many, and
	// oddSilent how long ago it was heard.
	other     NodeID
	odd       int
	oddSilent int
	hold      int // ticks for which a cluster that was heard keeps this device from founding
	wait      int // ticks before this device may propose
	enough    bool
	tries     int    // ballots it began
	known     uint64 // the highest round that it was refused for
	attempt   attempt
	// chosen is what was chosen without this device among the founders.
	chosen *Charter
}

// blank reports whether this device belongs to no cluster and never did.
func (c *Core) blank() bool {
	return c.hard.Cluster.IsZero() && c.hard.Term == 0 && c.log.last() == 0
}

// Founds reports whether this device is to found a cluster together with others.
func (c *Core) Founds() bool { return c.founds() }

// founds reports whether this device takes part in a founding.
func (c *Core) founds() bool { return c.cfg.Founding.Expect > 0 && c.blank() }

func (c *Core) initFounding(from Founding) {
	c.founding = founding{state: from, heard: map[NodeID]*blankDevice{}}
	// First it listens: there may be a cluster already.
	c.founding.wait = 2 * c.cfg.ElectionTicks
}

// keepFounding notes that what was promised changed, and is to be saved.
func (c *Core) keepFounding() {
	c.store.founding, c.store.dirty = true, true
	c.founding.ticket = c.store.ticket()
}

// foundingDurable reports whether what was promised is on stable storage.
func (c *Core) foundingDurable() bool { return c.store.done >= c.founding.ticket }

// sendFounding sends what blank devices say to each other. A promise waits for
// the save that makes it durable.
func (c *Core) sendFounding(to NodeID, body Body) {
	m := Message{From: c.cfg.ID, To: to, Body: body}
	switch body.(type) {
	case FoundingPromise, FoundingAccepted:
		if !c.foundingDurable() {
			c.store.hold(c.founding.ticket, m)
			return
		}
	}
	c.out = append(c.out, m)
}

// foundingSaved goes on with what waited for storage.
func (c *Core) foundingSaved() {
	if !c.founds() || !c.foundingDurable() {
		return
	}
	if a := &c.founding.attempt; a.running() && a.asked == 0 {
		c.ask()
	}
	c.countFounding()
}

// foundingMessage reports whether m is about a founding.
func foundingMessage(m Message) bool {
	switch m.Body.(type) {
	case FoundingPrepare, FoundingPromise, FoundingAccept, FoundingAccepted, FoundingRefused, Founded:
		return true
	}
	return false
}

// stepFounding takes in a message about a founding.
func (c *Core) stepFounding(m Message) error {
	if m.To != c.cfg.ID || m.From == c.cfg.ID || !m.From.Valid() {
		return fmt.Errorf("message %T from %q to %q: %w", m.Body, m.From, m.To, ErrUnexpected)
	}
	if b, ok := m.Body.(Founded); ok {
		return c.receiveFounded(m.From, b)
	}
	if !c.blank() {
		c.TellFounded(m.From)
		return nil
	}
	if c.cfg.Founding.Expect == 0 || c.founding.hold > 0 {
		return nil // to be silent breaks no promise
	}
	if c.founding.chosen != nil {
		c.TellFounded(m.From)
		return nil
	}
	switch b := m.Body.(type) {
	case FoundingPrepare:
		return c.answerPrepare(m.From, b)
	case FoundingAccept:
		return c.answerAccept(m.From, b)
	case FoundingPromise:
		c.receivePromise(m.From, b)
	case FoundingAccepted:
		c.receiveAccepted(m.From, b)
	case FoundingRefused:
		c.receiveRefused(m.From, b)
	}
	return nil
}

// HearJoin notes what a device said that asked to be admitted, if it is blank:
// this one may found a cluster with it.
func (c *Core) HearJoin(from NodeID, cluster ClusterID, b Join) {
	if !c.founds() || !cluster.IsZero() || b.Member || b.Expect <= 0 || from == c.cfg.ID || !from.Valid() {
		return
	}
	if b.Expect != c.cfg.Founding.Expect {
		c.founding.other, c.founding.odd, c.founding.oddSilent = from, b.Expect, 0
		return
	}
	if c.founding.chosen != nil {
		c.TellFounded(from)
	}
	if c.hearBlank(from, b.Name) {
		c.sendFounding(from, Join{Name: c.cfg.Founding.Name, Expect: c.cfg.Founding.Expect})
	}
}

// hearBlank notes that a blank device was heard, and reports whether it is new.
func (c *Core) hearBlank(id NodeID, name string) bool {
	d := c.founding.heard[id]
	if d == nil && len(c.founding.heard) >= MaxMembers {
		return false
	}
	fresh := d == nil
	if fresh {
		d = &blankDevice{}
		c.founding.heard[id] = d
	}
	d.silent = 0
	if name != "" {
		d.name = name
	}
	return fresh
}

// HearCluster notes that a member of a cluster was heard: a blank device then
// joins that, and does not found another, unless it falls silent.
func (c *Core) HearCluster() {
	if c.founds() {
		c.founding.hold = 10 * c.cfg.ElectionTicks
	}
}

// blanks returns the blank devices that were heard lately, in the order of IDs.
func (c *Core) blanks() []NodeID {
	ids := make([]NodeID, 0, len(c.founding.heard))
	for id := range c.founding.heard {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	return ids
}

// foundingQuorum is how many devices must agree: as many as are expected, and
// more than half of those that are heard, should that be more: then too many
// were given this setting, and two groups of Expect need not share a device.
func (c *Core) foundingQuorum() int {
	return max(c.cfg.Founding.Expect, (len(c.founding.heard)+1)/2+1)
}
