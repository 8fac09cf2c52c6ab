package raft

import "fmt"

// answerPrepare promises to take part in no lower ballot, and tells what was
// accepted (phase 1b).
func (c *Core) answerPrepare(from NodeID, b FoundingPrepare) error {
	if err := c.checkBallot(from, b.Ballot, b.Expect); err != nil {
		return err
	}
	f := &c.founding
	if b.Ballot.Less(f.state.Promised) {
		c.sendFounding(from, FoundingRefused{Promised: f.state.Promised})
		return nil
	}
	c.promise(b.Ballot)
	c.sendFounding(from, FoundingPromise{
		Ballot: b.Ballot, Accepted: f.state.Accepted, Charter: f.state.Charter, Name: c.cfg.Founding.Name,
	})
	return nil
}

// answerAccept accepts a charter, unless a higher ballot was promised (phase
// 2b).
func (c *Core) answerAccept(from NodeID, b FoundingAccept) error {
	if err := c.checkBallot(from, b.Ballot, b.Expect); err != nil {
		return err
	}
	if !b.Charter.valid() {
		return fmt.Errorf("a charter from %s that founds nothing: %w", from, ErrUnexpected)
	}
	f := &c.founding
	if b.Ballot.Less(f.state.Promised) {
		c.sendFounding(from, FoundingRefused{Promised: f.state.Promised})
		return nil
	}
	c.promise(b.Ballot)
	c.accept(b.Ballot, b.Charter)
	c.sendFounding(from, FoundingAccepted{Ballot: b.Ballot})
	return nil
}

// checkBallot refuses the ballot of another than its proposer, and of one that
// expects another number of devices: quorums of different sizes need not meet.
func (c *Core) checkBallot(from NodeID, b Ballot, expect int) error {
	if b.Proposer != from || b.Round == 0 || b.Round > maxRound {
		return fmt.Errorf("ballot %d of %s from %s: %w", b.Round, b.Proposer, from, ErrUnexpected)
	}
	if expect != c.cfg.Founding.Expect {
		c.founding.other, c.founding.odd, c.founding.oddSilent = from, expect, 0
		return fmt.Errorf("%s expects %d devices, this one %d: %w", from, expect, c.cfg.Founding.Expect, ErrUnexpected)
	}
	c.hearBlank(from, "")
	return nil
}

// promise raises the promised ballot, and gives the proposer of it time.
func (c *Core) promise(b Ballot) {
	f := &c.founding
	if f.state.Promised.Less(b) {
		f.state.Promised = b
		c.keepFounding()
	}
	if b.Proposer != c.cfg.ID {
		c.yield()
	}
}

// accept takes a charter in a ballot that is promised.
func (c *Core) accept(b Ballot, h *Charter) {
	f := &c.founding
	if f.state.Accepted == b && f.state.Charter != nil {
		return
	}
	f.state.Accepted, f.state.Charter = b, h
	c.keepFounding()
}
