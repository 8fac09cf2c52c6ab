package raft

import "slices"

// advanceCommit commits what a majority of voters holds on stable storage, if
// it is of this term: counting entries of earlier terms would be unsafe
// (§3.6.2, fig. 3.7).
func (c *Core) advanceCommit() {
	matches := make([]Index, 0, 8)
	for _, m := range c.conf().Members {
		if m.Role != Voter {
			continue
		}
		if m.ID == c.cfg.ID {
			matches = append(matches, c.log.stable)
		} else if p := c.lead.peers[m.ID]; p != nil {
			matches = append(matches, p.match)
		}
	}
	if len(matches) == 0 {
		return
	}
	slices.Sort(matches)
	// The quorum-th largest: that many voters have at least this much.
	i := matches[len(matches)-c.conf().Quorum()]
	if i <= c.commit || c.log.term(i) != c.hard.Term {
		return
	}
	for _, e := range c.log.from(c.commit)[:i-c.commit] {
		c.lead.pending -= e.Size()
	}
	c.lead.sinceCommit = 0
	c.commitTo(i)
	if !c.conf().IsVoter(c.cfg.ID) && c.confs.index() <= i {
		// Removed or demoted, and the others have it: the last duty is done
		// (§4.2.2).
		c.replicateAll()
		c.become(Follower, c.hard.Term, "")
	}
}

// commitTo raises the commit index; it never falls.
func (c *Core) commitTo(i Index) {
	c.commit = max(c.commit, i)
	if c.incoming != nil && c.incoming.index <= c.commit {
		c.incoming = nil // the entries came another way
	}
}

// ownTermCommitted reports whether a leader has committed an entry of its own
// term, without which it may neither serve reads (§6.4) nor change the
// membership (raft-dev 2015).
func (c *Core) ownTermCommitted() bool { return c.log.term(c.commit) == c.hard.Term }
