package raft

import "fmt"

// Transfer hands leadership to another voter (§3.10): the leader takes no new
// proposals, brings the successor's log up to date, and tells it to campaign at
// once. With to == "" it picks the voter that is furthest. Proposals wait
// meanwhile, and go to the successor. If nothing came of it within the least
// election timeout the leader goes on as before. Status shows how it ended.
func (c *Core) Transfer(to NodeID) error {
	if c.role != Leader {
		return fmt.Errorf("hand over leadership: %w", ErrNotLeader)
	}
	if to == "" {
		to = c.successor()
	}
	if p := c.lead.peers[to]; p == nil || !c.conf().IsVoter(to) || p.silent > c.cfg.ElectionTicks {
		return fmt.Errorf("hand over leadership to %q: %w", to, ErrNoSuccessor)
	}
	c.lead.successor, c.lead.sinceTransfer = to, 0
	c.lead.announce = true // to learn how far the successor is
	c.handOver()
	return nil
}

// RequestTransfer asks the leader, whichever device it is, to hand over. The
// question may get lost; Status shows what came of it.
func (c *Core) RequestTransfer(to NodeID) error {
	switch c.leader {
	case "":
		return fmt.Errorf("hand over leadership: %w", ErrNoLeader)
	case c.cfg.ID:
		return c.Transfer(to)
	}
	if to != "" && !c.conf().IsVoter(to) {
		return fmt.Errorf("hand over leadership to %q: %w", to, ErrNoSuccessor)
	}
	c.send(c.leader, TransferRequest{Successor: to})
	return nil
}

// evadeFullDisk has a leader that can take no commands for want of room hand over
// to a voter that can. One that was heard in this term said whether it can; so
// leadership comes to rest. When that fails commands are refused for a while.
func (c *Core) evadeFullDisk() {
	if !c.store.short || c.transferring() || c.lead.sinceEvaded < c.cfg.StallTicks {
		return
	}
	to := c.successor()
	if p := c.lead.peers[to]; p == nil || p.short || !c.caughtUp(p) {
		return
	}
	c.lead.sinceEvaded = 0
	if c.Transfer(to) != nil {
		return // not possible just now
	}
}

// majorityFull reports whether so many voters have no room that nothing can be
// committed, whoever leads.
func (c *Core) majorityFull() bool {
	if !c.lead.anyShort { // by far the most frequent case
		return false
	}
	room := 0
	for _, m := range c.conf().Members {
		if m.Role != Voter {
			continue
		}
		if p := c.lead.peers[m.ID]; p != nil && !p.short || m.ID == c.cfg.ID && !c.store.short {
			room++
		}
	}
	return room < c.conf().Quorum()
}

// successor is the voter, of those that are heard, that holds most of the log
// and has room for more; of equals the first by ID.
func (c *Core) successor() NodeID {
	var best NodeID
	for _, m := range c.conf().Members {
		p := c.lead.peers[m.ID]
		if p == nil || m.Role != Voter || p.silent > c.cfg.ElectionTicks {
			continue
		}
		if b := c.lead.peers[best]; b == nil || b.short && !p.short || b.short == p.short && p.match > b.match {
			best = m.ID
		}
	}
	return best
}

// Transferring reports whether this device is handing leadership over.
func (c *Core) Transferring() bool { return c.role == Leader && c.transferring() }

// transferring reports whether a transfer is under way: then no proposal is
// taken, as the successor must come to hold all of the log.
func (c *Core) transferring() bool { return c.lead.successor != "" }

// handOver tells the successor to campaign as soon as it holds the whole log.
func (c *Core) handOver() {
	if p := c.lead.peers[c.lead.successor]; p != nil && p.match == c.log.last() {
		c.send(c.lead.successor, TimeoutNow{})
	}
}

// tickTransfer gives up a transfer that leads to nothing.
func (c *Core) tickTransfer() {
	if !c.transferring() {
		return
	}
	if c.lead.sinceTransfer++; c.lead.sinceTransfer >= c.cfg.ElectionTicks || c.lead.peers[c.lead.successor] == nil {
		c.lead.successor = ""
	}
}

// receiveTimeoutNow campaigns without asking first: the leader wants it so.
func (c *Core) receiveTimeoutNow(m Message) {
	if m.From == c.leader && c.mayCampaign() {
		c.handedOver = true
		c.become(Candidate, c.hard.Term+1, "")
	}
}
