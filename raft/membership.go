package raft

import "fmt"

// ProposeChange starts a membership change; only a leader can. One change of
// one member at a time keeps old and new majorities overlapping (§4.1), and
// only after an entry of the leader's own term is committed (raft-dev 2015,
// "bug in single-server membership changes"). The change is in force as soon
// as it is appended.
func (c *Core) ProposeChange(ch Change) error {
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
	if p := c.lead.peers[ch.ID]; ch.Kind == Promote && p != nil && p.match < c.confs.index() {
		// It may belong to no cluster yet as far as it knows, and then would
		// not even answer a candidate: its vote would count against the rest.
		return fmt.Errorf("member %s does not hold the configuration yet: %w", ch.ID, ErrBadChange)
	}
	c.appendAsLeader(Entry{Kind: EntryConfig, Config: next})
	return nil
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
		case !ch.ID.Valid() || len(ch.Name) > MaxNameLen:
			return bad("has no valid ID or too long a name")
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
	case Demote:
		if m.Role != Voter || lastVoter {
			return bad("is not a voter, or is the last one")
		}
		m.Role = Learner
		return c.with(m), nil
	case Remove:
		if lastVoter {
			return bad("is the last voter")
		}
		return c.without(ch.ID), nil
	}
	return bad("cannot be changed that way")
}
