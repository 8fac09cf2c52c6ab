package raft

import (
	"fmt"
	"unicode/utf8"
)

// RequestChange asks for a membership change, on whichever device. Like a
// command it reaches the log at most once; the ID comes back in the committed
// entry, or in Ready.Failed.
func (c *Core) RequestChange(ch Change) (ProposalID, error) {
	return c.addProposal(&proposal{change: &ch})
}

// ProposeChange starts a membership change; only a leader can. One change of
// one member at a time keeps old and new majorities overlapping (§4.1), and
// only after an entry of the leader's own term is committed (raft-dev 2015,
// "bug in single-server membership changes"). The change is in force as soon
// as it is appended.
func (c *Core) ProposeChange(ch Change) error { return c.startChange(ch, 0) }

func (c *Core) startChange(ch Change, id ProposalID) error {
	if c.role != Leader {
		return fmt.Errorf("change the membership: %w", ErrNotLeader)
	}
	if c.confs.index() > c.commit || !c.ownTermCommitted() || c.transferring() {
		return fmt.Errorf("change the membership: %w", ErrChangePending)
	}
	next, err := c.conf().apply(ch)
	if err != nil {
		return err
	}
	if p := c.lead.peers[ch.ID]; ch.Kind == Promote && p != nil && !c.caughtUp(p) {
		// Commits would have to wait for it (§4.2.1). One that lacks even the
		// configuration may belong to no cluster as far as it knows, and would
		// not answer a candidate: its vote would count against the rest.
		return fmt.Errorf("member %s has %d of %d entries: %w", ch.ID, p.match, c.commit, ErrBehind)
	}
	if r := c.replacement(ch); r != "" {
		next, err = c.conf().apply(Change{Kind: Promote, ID: r})
		if err == nil {
			c.appendAsLeader(Entry{Kind: EntryConfig, Config: next})
		}
		return fmt.Errorf("first %s becomes a voter in the place of %s: %w", r, ch.ID, ErrChangePending)
	}
	c.appendAsLeader(Entry{Kind: EntryConfig, ID: id, Config: next})
	return nil
}

// replacement is the learner that gets a vote before a voter loses its own, ""
// for none. Three voters minus one would be two, of which both are needed; four
// for a moment stand the loss of any one. It is the first by ID that is heard
// and caught up, and that nobody holds back.
func (c *Core) replacement(ch Change) NodeID {
	voters := c.conf().Voters()
	if ch.Kind != Remove && ch.Kind != Demote && ch.Kind != StandDown || !c.conf().IsVoter(ch.ID) || voters < 3 || voters%2 == 0 {
		return ""
	}
	for _, m := range c.conf().Members {
		p := c.lead.peers[m.ID]
		if m.Role == Learner && p != nil && p.silent <= c.cfg.ElectionTicks && c.caughtUp(p) {
			return m.ID
		}
	}
	return ""
}

// receiveForwardChange starts the change that a member wishes, once.
func (c *Core) receiveForwardChange(m Message, b ForwardChange) error {
	w, err := c.senderWindow(m.From, b.Boot)
	if err != nil || w == nil || c.transferring() {
		return err
	}
	if w.take(b.Seq) {
		if c.startChange(b.Change, b.ID) == nil {
			return nil
		}
		w.refuse(b.Seq)
	}
	if w.wasRefused(b.Seq) { // now or before: the answer may have been lost
		c.send(m.From, ForwardRefused{Boot: b.Boot, Seq: b.Seq, Reason: c.refuseChange(b.Change)})
	}
	return nil
}

// refuseChange says why a leader did not start a change that fits by now, or
// still does not.
func (c *Core) refuseChange(ch Change) RefusalReason {
	if _, err := c.conf().apply(ch); err != nil {
		return RefusedBadChange
	}
	if p := c.lead.peers[ch.ID]; ch.Kind == Promote && p != nil && !c.caughtUp(p) {
		return RefusedBehind
	}
	return RefusedChangePending
}

// maxPromotionLag is how many entries a learner may be behind when it gets its
// vote: so few that it catches up within a round trip or two (§4.2.1).
const maxPromotionLag = 64

// caughtUp reports whether a learner may get its vote: if it lacks few entries,
// or none that were committed a heartbeat ago. Under a steady load one that is
// never more than a moment behind would otherwise wait for ever.
func (c *Core) caughtUp(p *progress) bool {
	return p.match >= c.confs.index() && (p.match+maxPromotionLag >= c.commit || p.match >= c.lead.earlier)
}

// TellRemoved tells a device that thinks it is a member that it is none, if
// that is committed. A removed server gets no entries, so it would never learn
// it from the log (§4.2.3).
func (c *Core) TellRemoved(to NodeID) {
	_, member := c.conf().Member(to)
	if i := c.confs.index(); !member && i > 0 && i <= c.commit {
		c.send(to, Removed{Index: i})
	}
}

// receiveRemoved stops campaigning. Should this device be admitted again, that
// is a later configuration, and ends it.
func (c *Core) receiveRemoved(b Removed) {
	if b.Index <= c.confs.index() || c.role == Leader {
		return
	}
	c.removedAt = max(c.removedAt, b.Index)
	if c.role != Follower {
		c.become(Follower, c.hard.Term, "")
	}
}

// hold puts a configuration in force.
func (c *Core) hold(i Index, conf *Configuration) {
	c.confs.push(i, conf)
	c.seek(conf)
}

// seek looks for this device in a configuration that is in force.
func (c *Core) seek(conf *Configuration) {
	if _, member := conf.Member(c.cfg.ID); member {
		c.joined = true
	}
}

// Removed reports whether this device is known to be no member any more. One
// that was never in a configuration that it has is still catching up: the one
// that admits it comes later in the log.
func (c *Core) Removed() bool {
	_, member := c.conf().Member(c.cfg.ID)
	i := c.confs.index()
	return c.removedAt > i || i > 0 && i <= c.commit && !member && c.joined
}

// apply returns the configuration after the change, or ErrBadChange.
func (c *Configuration) apply(ch Change) (*Configuration, error) {
	bad := func(why string) (*Configuration, error) {
		return nil, fmt.Errorf("member %s %s: %w", ch.ID, why, ErrBadChange)
	}
	m, known := c.Member(ch.ID)
	if ch.Kind != AddLearner && !known {
		return bad("is not in the configuration")
	}
	lastVoter := m.Role == Voter && c.Voters() == 1
	switch ch.Kind {
	case AddLearner:
		switch {
		case !ch.ID.Valid() || len(ch.Name) > MaxNameLen || !utf8.ValidString(ch.Name):
			return bad("has no valid ID, or a name that is too long or no UTF-8")
		case known:
			return bad("is in the configuration already")
		case len(c.Members) >= MaxMembers:
			return bad(fmt.Sprintf("would be more than the %d members a cluster may have", MaxMembers))
		}
		return c.with(Member{ID: ch.ID, Name: ch.Name, Role: Learner}), nil
	case Promote:
		if m.Role == Voter {
			return bad("is a voter already")
		}
		m.Role = Voter
		return c.with(m), nil
	case Demote, StandDown:
		if m.Role != Voter || lastVoter {
			return bad("is not a voter, or is the last one")
		}
		if m.Role = HeldLearner; ch.Kind == StandDown {
			m.Role = Learner
		}
		return c.with(m), nil
	case Remove:
		if lastVoter {
			return bad("is the last voter")
		}
		return c.without(ch.ID), nil
	}
	return bad("cannot be changed that way")
}
