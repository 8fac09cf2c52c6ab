package raft

import "slices"

// attempt is a ballot of this device's own. The zero value is none.
type attempt struct {
	ballot   Ballot
	charter  *Charter // nil: still asking for promises
	promises map[NodeID]FoundingPromise
	accepted map[NodeID]bool
	since    int // ticks since it asked last
	asked    int // times
}

func (a *attempt) running() bool { return a.ballot.Round > 0 }

// The patience of blank devices, in heartbeat intervals.
const (
	// silentBlank is how long one may be silent until it does not count as
	// heard any more. It says that it is there every 4 at least.
	silentBlank = 64
	// maxAsking is how seldom a proposer asks again.
	maxAsking = 4
	// maxRank bounds how long the higher IDs let the lower ones go first.
	maxRank = 8
	// maxTries bounds the doubling of the wait between two ballots, each of
	// which every device writes to its card: 256 times 4 election timeouts.
	maxTries = 8
)

// tickFounding advances a founding by a tick.
func (c *Core) tickFounding() {
	if !c.founds() {
		return
	}
	f := &c.founding
	for id, d := range f.heard {
		if d.silent++; d.silent > silentBlank*c.cfg.HeartbeatTicks {
			delete(f.heard, id)
		}
	}
	if f.oddSilent++; f.oddSilent > silentBlank*c.cfg.HeartbeatTicks {
		f.other = ""
	}
	f.hold = max(f.hold-1, 0)
	f.wait = max(f.wait-1, 0)
	switch {
	case f.attempt.running():
		if f.attempt.since++; f.attempt.since >= c.askingPause() {
			c.ask()
		}
	case !c.mayPropose():
		f.enough = false
	case !f.enough:
		f.enough = true
		f.wait = max(f.wait, c.myTurn())
	case f.wait == 0:
		c.proposeFounding()
	}
}

// mayPropose reports whether this device has reason to begin a ballot: a quorum
// is heard, and no cluster, and nobody who would found another.
func (c *Core) mayPropose() bool {
	f := &c.founding
	return f.hold == 0 && f.other == "" && f.chosen == nil && len(f.heard)+1 >= c.foundingQuorum()
}

// myTurn lets the device with the lowest ID go first: two that propose at the
// same time keep each other from being heard.
func (c *Core) myTurn() int {
	rank := 0
	for _, id := range c.blanks() {
		if id < c.cfg.ID {
			rank++
		}
	}
	beat := c.cfg.HeartbeatTicks
	return 1 + 2*beat*min(rank, maxRank) + c.cfg.Random(beat)
}

// yield gives up a ballot of its own, and leaves time to that of another.
func (c *Core) yield() {
	f := &c.founding
	f.attempt = attempt{}
	f.wait = max(f.wait, (4*c.cfg.ElectionTicks)<<min(f.tries, maxTries)+c.myTurn())
}

// proposeFounding begins a ballot above all that are known (phase 1a). It is
// promised to itself first, and that is durable before anybody hears of it, so
// no ballot is used twice, whatever crashes.
func (c *Core) proposeFounding() {
	f := &c.founding
	b := Ballot{Round: max(f.state.Promised.Round, f.known) + 1, Proposer: c.cfg.ID}
	if b.Round > maxRound {
		return
	}
	f.tries++
	f.attempt = attempt{ballot: b, promises: map[NodeID]FoundingPromise{}, accepted: map[NodeID]bool{}}
	c.promise(b)
	// It goes on when that is saved.
}

// askingPause is how many ticks pass before it asks again. It asks all, also
// those that have answered, so that they know that it is there.
func (c *Core) askingPause() int {
	return c.cfg.HeartbeatTicks * min(1+c.founding.attempt.asked/8, maxAsking)
}

func (c *Core) ask() {
	a := &c.founding.attempt
	a.since = 0
	if a.charter == nil && !c.foundingDurable() {
		return
	}
	a.asked++
	var question Body = FoundingPrepare{Ballot: a.ballot, Expect: c.cfg.Founding.Expect}
	if a.charter != nil {
		question = FoundingAccept{Ballot: a.ballot, Expect: c.cfg.Founding.Expect, Charter: a.charter}
	}
	for _, id := range c.blanks() {
		c.sendFounding(id, question)
	}
}

func (c *Core) receivePromise(from NodeID, b FoundingPromise) {
	a := &c.founding.attempt
	c.hearBlank(from, b.Name)
	if c.founding.heard[from] == nil {
		return // more than there can be
	}
	if !a.running() || b.Ballot != a.ballot || a.charter != nil || b.Charter != nil && !b.Charter.valid() {
		return
	}
	a.promises[from] = b
	c.countFounding()
}

func (c *Core) receiveAccepted(from NodeID, b FoundingAccepted) {
	a := &c.founding.attempt
	c.hearBlank(from, "")
	if !a.running() || b.Ballot != a.ballot || a.charter == nil || c.founding.heard[from] == nil {
		return
	}
	a.accepted[from] = true
	c.countFounding()
}

// receiveRefused gives way to a higher ballot.
func (c *Core) receiveRefused(from NodeID, b FoundingRefused) {
	f := &c.founding
	c.hearBlank(from, "")
	if !f.attempt.running() || !f.attempt.ballot.Less(b.Promised) || b.Promised.Round > maxRound {
		return
	}
	f.known = max(f.known, b.Promised.Round)
	c.yield()
}

// countFounding goes on when a quorum has answered. This device counts for what
// is durable here.
func (c *Core) countFounding() {
	f := &c.founding
	if !f.attempt.running() || !c.foundingDurable() {
		return
	}
	a := &f.attempt
	if a.charter == nil {
		a.promises[c.cfg.ID] = FoundingPromise{
			Ballot: a.ballot, Accepted: f.state.Accepted, Charter: f.state.Charter, Name: c.cfg.Founding.Name,
		}
		if len(a.promises) < c.foundingQuorum() {
			return
		}
		a.charter, a.asked = c.chooseCharter(), 0
		c.accept(a.ballot, a.charter)
		c.ask()
	}
	if !c.foundingDurable() || f.state.Accepted != a.ballot {
		return
	}
	a.accepted[c.cfg.ID] = true
	if len(a.accepted) >= c.foundingQuorum() {
		c.establish(a.charter)
	}
}

// chooseCharter is the one that was accepted in the highest ballot that anybody
// of the quorum knows: it may have been chosen. Without one it is free (phase
// 2a).
func (c *Core) chooseCharter() *Charter {
	a := &c.founding.attempt
	var known FoundingPromise
	for _, p := range a.promises {
		if p.Charter != nil && (known.Charter == nil || known.Accepted.Less(p.Accepted)) {
			known = p
		}
	}
	if known.Charter != nil {
		return known.Charter
	}
	return c.newCharter()
}

// newCharter makes those of the quorum with the lowest IDs the founders, as
// many as are expected, and gives a vote to an odd number of them, or to both
// of two.
func (c *Core) newCharter() *Charter {
	var ids []NodeID
	for id := range c.founding.attempt.promises {
		ids = append(ids, id)
	}
	slices.Sort(ids)
	ids = ids[:c.cfg.Founding.Expect]
	voters := min(len(ids), max(c.cfg.Founding.MaxVoters, 1))
	if voters > 2 && voters%2 == 0 {
		voters--
	}
	conf := &Configuration{}
	for i, id := range ids {
		m := Member{ID: id, Name: c.founding.attempt.promises[id].Name, Role: Learner}
		if i < voters {
			m.Role = Voter
		}
		conf.Members = append(conf.Members, m)
	}
	var random [16]byte
	for i := range random {
		random[i] = byte(c.cfg.Random(256))
	}
	return &Charter{Cluster: ClusterIDFrom(random), Config: conf}
}

// ticksUntilFounding is how many ticks may pass before one does anything.
func (c *Core) ticksUntilFounding() int {
	f := &c.founding
	switch {
	case f.attempt.running():
		return c.askingPause() - f.attempt.since
	case f.other != "":
		return silentBlank*c.cfg.HeartbeatTicks - f.oddSilent + 1
	case f.hold > 0:
		return f.hold
	case c.mayPropose():
		return f.wait
	}
	return c.cfg.ElectionTicks
}
