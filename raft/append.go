package raft

import (
	"fmt"
)

// receiveAppend handles AppendEntries of the present term (§3.5). It is correct
// for late, repeated and reordered requests: entries are only ever dropped
// where one of a different term is put in their place, and nothing below the
// commit index is touched.
func (c *Core) receiveAppend(m Message, b AppendRequest) error {
	if err := c.checkAppend(m, b); err != nil {
		return err
	}
	if c.role != Follower || c.leader != m.From {
		c.become(Follower, c.hard.Term, m.From)
	}
	c.heardLeader()
	newRound := b.Read > c.reads.round
	c.reads.round = max(c.reads.round, b.Read)

	if !c.fits(b) {
		c.send(m.From, c.rejectAppend(b))
		return nil
	}
	grew := c.takeEntries(b)
	c.hearClock(b.Clock)
	c.commitTo(min(b.Commit, c.verified))
	// What grew is answered when it is durable; a heartbeat, a repetition and
	// a question about reads are answered now, with what is durable now. So is
	// all while the disk is slow, or the leader would run out of its window
	// and this device's own clients would wait for the disk.
	if !grew || newRound || c.store.slow() {
		c.send(m.From, c.appendAnswer())
	}
	return nil
}

// checkAppend refuses what no correct leader of this term would send to a
// device in this state.
func (c *Core) checkAppend(m Message, b AppendRequest) error {
	unexpected := func(what string) error {
		return fmt.Errorf("append request from %s: %s: %w", m.From, what, ErrUnexpected)
	}
	if c.role == Leader || c.leader != "" && c.leader != m.From {
		return unexpected("a second leader in one term")
	}
	for _, e := range b.Entries {
		if e.Index > c.log.base && e.Index <= c.commit && c.log.term(e.Index) != e.Term {
			return unexpected("it contradicts a committed entry")
		}
	}
	if es := c.unknown(b.Entries); len(es) > 0 && c.fits(b) && es[0].Time < c.log.time(es[0].Index-1) {
		return unexpected("time goes back in it")
	}
	return nil
}

// fits reports whether the log agrees with the leader's up to PrevIndex.
func (c *Core) fits(b AppendRequest) bool {
	return b.PrevIndex <= c.commit || c.log.matches(b.PrevIndex, b.PrevTerm)
}

// unknown returns those of a request's entries that are not in the log.
func (c *Core) unknown(es []Entry) []Entry {
	for len(es) > 0 && (es[0].Index <= c.commit || c.log.matches(es[0].Index, es[0].Term)) {
		es = es[1:]
	}
	return es
}

// wellFormed reports whether some leader of term could have sent b.
func (b AppendRequest) wellFormed(term Term) bool {
	if (b.PrevIndex == 0) != (b.PrevTerm == 0) || b.PrevTerm > term || b.PrevIndex > maxIndex || b.Clock > maxTime {
		return false
	}
	prev := Entry{Index: b.PrevIndex, Term: b.PrevTerm}
	for _, e := range b.Entries {
		if !e.follows(prev) || e.Term > term || e.Time > b.Clock {
			return false
		}
		prev = e
	}
	return true
}

// takeEntries appends what is new and reports whether the log changed. The
// request is known to fit the log at PrevIndex.
func (c *Core) takeEntries(b AppendRequest) bool {
	es := c.unknown(b.Entries)
	verified := b.PrevIndex + Index(len(b.Entries))
	if len(es) > 0 && c.diskBehind() {
		// The disk is far behind: take no more until it has caught up. The
		// leader will send it again.
		verified = es[0].Index - 1
		es = nil
	}
	if len(es) > 0 && es[0].Index <= c.log.last() {
		c.truncateLog(es[0].Index)
	}
	c.appendLog(es...)
	c.verified = max(c.verified, verified)
	return len(es) > 0
}

// appendAnswer promises what is durable and agrees with the leader, no more.
func (c *Core) appendAnswer() AppendResponse {
	r := AppendResponse{Match: min(c.verified, c.log.stable), Read: c.reads.round}
	r.Short = c.store.short
	if c.verified > r.Match {
		r.Received = c.verified
	}
	return r
}

// rejectAppend points the leader to where the logs may agree: behind the end
// of ours, or at the first entry of the term that conflicts (§3.5).
func (c *Core) rejectAppend(b AppendRequest) AppendResponse {
	r := AppendResponse{
		Match: min(c.verified, c.log.stable), Read: c.reads.round,
		Rejected: true, Prev: b.PrevIndex, Short: c.store.short,
	}
	if b.PrevIndex > c.log.last() {
		r.ConflictIndex = c.log.last() + 1
		return r
	}
	r.ConflictTerm = c.log.term(b.PrevIndex)
	r.ConflictIndex = b.PrevIndex
	for r.ConflictIndex > c.commit+1 && c.log.term(r.ConflictIndex-1) == r.ConflictTerm {
		r.ConflictIndex--
	}
	return r
}
