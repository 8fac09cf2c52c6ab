package raft

import "fmt"

// establish ends a founding: the charter is chosen. All who are heard are told;
// whom that does not reach asks again, and is told by those who know.
func (c *Core) establish(h *Charter) {
	blanks := c.blanks()
	c.founding.attempt = attempt{}
	if _, founder := h.Config.Member(c.cfg.ID); founder {
		c.beFounded(h)
		c.elapsed = c.timeout // somebody has to begin
	} else {
		c.founding.chosen = h
	}
	for _, id := range blanks {
		c.tell(id, h)
	}
}

// receiveFounded makes this device a member of the cluster that it helped to
// found, or that was founded with it among the founders.
func (c *Core) receiveFounded(from NodeID, b Founded) error {
	if !b.Charter.valid() {
		return fmt.Errorf("a charter from %s that founds nothing: %w", from, ErrUnexpected)
	}
	if !c.blank() {
		return nil
	}
	if _, founder := b.Charter.Config.Member(c.cfg.ID); founder {
		c.beFounded(b.Charter)
	} else if c.founds() {
		c.founding.attempt, c.founding.chosen = attempt{}, b.Charter
	}
	return nil
}

// beFounded begins the log that all founders begin with. Who of them is never
// told gets it from the leader like any other.
func (c *Core) beFounded(h *Charter) {
	c.hard.Cluster = h.Cluster
	c.become(Follower, 1, "")
	c.appendLog(Entry{Index: 1, Term: 1, Kind: EntryConfig, Config: h.Config})
	c.leaveFounding()
}

// leaveFounding forgets the founding of a device that belongs to a cluster now.
// Its promises may go: it is silent from now on, which breaks none.
func (c *Core) leaveFounding() {
	if !c.founding.state.IsZero() {
		c.founding.state = Founding{}
		c.keepFounding()
	}
	c.founding.heard, c.founding.attempt, c.founding.chosen = nil, attempt{}, nil
}

// TellFounded tells a blank device that it is a founder of this cluster, or of
// one that this device saw founded. Once a cluster has shortened its log there
// is a leader, which tells it. A cluster that was recovered has its first entry of
// the one before it: founders that believed that configuration would be a majority
// of it beside the new one, under the new one's ID.
func (c *Core) TellFounded(to NodeID) {
	h := c.founding.chosen
	if e, ok := c.Entry(1); ok && e.Kind == EntryConfig && e.Term == 1 && !c.hard.Cluster.recovered() {
		h = &Charter{Cluster: c.hard.Cluster, Config: e.Config}
	}
	if h != nil {
		c.tell(to, h)
	}
}

func (c *Core) tell(to NodeID, h *Charter) {
	if _, founder := h.Config.Member(to); founder {
		c.out = append(c.out, Message{Cluster: h.Cluster, From: c.cfg.ID, To: to, Body: Founded{Charter: h}})
	}
}

// FoundingStatus is how a founding stands, for people.
type FoundingStatus struct {
	Expect int
	Heard  []Member // the other blank devices that were heard lately; roles are not known
	// Other expects another number, Odd, so that this device waits; "" for none.
	Other NodeID
	Odd   int
	// Hold: a cluster was heard, which this device waits to join.
	Hold bool
	// Accepted is the charter that this device accepted, nil for none.
	Accepted *Charter
}

// foundingStatus is nil where this device takes no part in a founding, and never
// did.
func (c *Core) foundingStatus() *FoundingStatus {
	f := &c.founding
	if !c.blank() || c.cfg.Founding.Expect == 0 && f.state.Charter == nil {
		return nil
	}
	s := &FoundingStatus{Expect: c.cfg.Founding.Expect, Other: f.other, Odd: f.odd, Hold: f.hold > 0, Accepted: f.state.Charter}
	for _, id := range c.blanks() {
		s.Heard = append(s.Heard, Member{ID: id, Name: f.heard[id].name})
	}
	return s
}
