package raft

import (
	"fmt"
	"slices"
)

// progress is what a leader knows of another member's log (§3.5).
type progress struct {
	match Index // durable there and equal to ours
	next  Index // the next entry to send
	// probing: where the logs agree is not known, so one request at a time.
	// Otherwise requests are sent on without waiting for answers (§10.2.1).
	probing bool
	waiting bool   // probing, and entries are on their way
	flight  flight // unanswered requests with entries
	// window is how many requests may be in flight. It is one after entries
	// were found missing and doubles as they arrive: a member that drops what
	// it gets, for its network or its disk, would otherwise be sent a whole
	// window again with every answer.
	window  int
	arrived Index  // the furthest it said it had received
	short   bool   // it said that its disk has no room
	silent  int    // ticks since it was heard
	readAck uint64 // the newest read round it confirmed
	// sending is the snapshot it gets, nil while it gets entries, and sent how
	// much of that it has. sinceSent counts the ticks since the last piece.
	sending   *Snapshot
	sent      int
	sinceSent int
	level     uint32 // the protocol level it spoke last, 0 before it did
	// commitSent is the commit index it was told last.
	commitSent Index
}

// flight is the requests with entries that a member has not answered.
type flight struct {
	requests []request
	bytes    int // of their entries
}

type request struct {
	last  Index // of its entries
	bytes int
}

func (f *flight) add(last Index, es []Entry) {
	r := request{last: last}
	for i := range es {
		r.bytes += es[i].Size()
	}
	f.requests = append(f.requests, r)
	f.bytes += r.bytes
}

// arrived takes out the requests whose entries up to i are all there.
func (f *flight) arrived(i Index) {
	f.requests = slices.DeleteFunc(f.requests, func(r request) bool {
		if r.last > i {
			return false
		}
		f.bytes -= r.bytes
		return true
	})
}

// hasRoom reports whether one more request with entries may be sent, by number
// and by bytes.
func (p *progress) hasRoom(maxBytes int) bool {
	n := len(p.flight.requests)
	return n == 0 || n < p.window && p.flight.bytes < maxBytes
}

// replicateAll brings every other member up to date as far as its window
// allows. A pending announcement (heartbeat, read round) goes out even to
// those who lack nothing.
func (c *Core) replicateAll() {
	announce := c.lead.announce
	c.lead.announce = false
	if announce {
		c.lead.sinceHeartbeat = 0
	}
	for _, m := range c.conf().Members {
		if p := c.lead.peers[m.ID]; p != nil {
			c.replicate(m.ID, p, announce)
		}
	}
}

func (c *Core) replicate(to NodeID, p *progress, announce bool) {
	if p.next <= c.log.base {
		c.sendSnapshot(to, p, announce)
		return
	}
	if p.sending != nil {
		p.sending, p.waiting = nil, false
	}
	level := uint32(0)
	if c.mayUse(levelLevels) {
		level = c.ClusterLevel()
	}
	for {
		var es []Entry
		// A probe carries entries once; after that only heartbeats go to a
		// member that may be gone, until it answers.
		if !p.probing && p.hasRoom(c.cfg.MaxInflightBytes) || p.probing && !p.waiting {
			es = c.understood(p, c.log.slice(p.next, c.log.last(), c.cfg.MaxAppendBytes))
		}
		if len(es) == 0 && !announce && (p.commitSent >= c.commit || p.probing) {
			return
		}
		c.send(to, AppendRequest{
			PrevIndex: p.next - 1, PrevTerm: c.log.term(p.next - 1),
			Entries: es, Commit: c.commit, Read: c.lead.round, Clock: c.ClusterTime(), Level: level,
		})
		p.commitSent = c.commit
		p.waiting = p.probing
		if len(es) == 0 || p.probing {
			return
		}
		p.next += Index(len(es))
		p.flight.add(p.next-1, es)
		announce = false
	}
}

func (c *Core) receiveAppendResponse(m Message, b AppendResponse) error {
	p := c.lead.peers[m.From]
	if p == nil {
		return nil // removed meanwhile
	}
	if max(b.Match, b.Received) > c.log.last() || b.Read > c.lead.round {
		return fmt.Errorf("append response from %s beyond the end of the log: %w", m.From, ErrUnexpected)
	}
	p.silent, p.short = 0, b.Short
	c.lead.anyShort = c.lead.anyShort || b.Short
	p.readAck = max(p.readAck, b.Read)
	c.releaseReads()
	arrived := max(b.Match, b.Received)
	if arrived > p.arrived || b.Match > p.match {
		p.arrived = max(p.arrived, arrived)
		p.window = min(2*p.window, c.cfg.MaxInflight)
	}
	p.flight.arrived(arrived)
	if b.Match > p.match {
		p.match = b.Match
		p.next = max(p.next, p.match+1)
		c.advanceCommit()
	}
	if m.From == c.lead.successor {
		c.handOver()
	}
	if b.Rejected {
		c.backUp(p, b)
		return nil
	}
	if p.sending != nil && p.next <= c.log.base {
		c.repeatPiece(p, arrived)
		return nil
	}
	p.probing, p.waiting = false, false
	return nil
}

// backUp finds an earlier place from which to send, in one step a term (§3.5).
// Rejections of requests other than the one that counts are late news.
func (c *Core) backUp(p *progress, b AppendResponse) {
	if b.Prev <= p.match || b.Prev >= p.next || p.probing && b.Prev != p.next-1 {
		return
	}
	next := b.ConflictIndex
	if b.ConflictTerm != 0 {
		// Our last entry of that term, if we have any, may be where they agree.
		i := b.Prev
		for i > p.match && c.log.term(i) > b.ConflictTerm {
			i--
		}
		if c.log.term(i) == b.ConflictTerm {
			next = i + 1
		}
	}
	p.next = max(min(next, b.Prev), p.match+1)
	p.probing, p.waiting = true, false
	p.flight, p.window = flight{}, 1
}
