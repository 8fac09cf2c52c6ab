package raft

// pendingSave is a save that was handed out and not yet reported durable.
type pendingSave struct {
	seq  uint64
	term Term
	vote NodeID
	last Index // the last entry it makes durable; lowered when that is truncated
}

// withheld is a message that may leave only after save seq is durable.
type withheld struct {
	seq uint64
	msg Message
}

// storage tracks what is durable, and holds back what depends on it.
type storage struct {
	dirty     bool      // term, vote, cluster, entries, snapshot or founding changed since the last Save
	founding  bool      // what was promised in a founding must go with the next Save
	snapshot  *Snapshot // to be in the next Save
	reset     bool      // what is stored of the log must go with the next Save
	resetSeq  uint64    // the last Save with which that was so
	seq       uint64    // of the last Save handed out
	done      uint64    // the last one reported durable
	savedTerm Term      // the term that is durable
	savedVote NodeID    // and the vote with it
	pending   []pendingSave
	age       int  // ticks since storage last reported progress, with saves pending
	short     bool // it has no room for further commands
	held      []withheld
}

// maxWithheld bounds the messages waiting for storage. Beyond it the oldest is
// dropped, as a network might: whoever asked will ask again.
const maxWithheld = 256

// maxPendingSaves bounds the saves under way. Beyond it the next one waits and
// collects, so that a stuck disk costs a bounded amount of memory; but see urgent.
const maxPendingSaves = 64

// slowTicks is how many ticks without progress make storage count as slow.
const slowTicks = 2

// resetting reports whether a Save that drops the stored log is not durable yet.
func (s *storage) resetting() bool { return s.reset || s.resetSeq > s.done }

func (s *storage) slow() bool { return s.age >= slowTicks }

func (s *storage) tick() {
	if len(s.pending) > 0 {
		s.age++
	}
}

// diskBehind reports whether so much waits for storage that no more is taken.
func (c *Core) diskBehind() bool { return c.log.unsaved > c.cfg.MaxUnsavedBytes }

// ticket is the save that makes the present state durable.
func (s *storage) ticket() uint64 {
	if s.dirty {
		return s.seq + 1
	}
	return s.seq
}

func (s *storage) hold(seq uint64, m Message) {
	if len(s.held) >= maxWithheld {
		s.held = s.held[1:]
	}
	s.held = append(s.held, withheld{seq, m})
}

// takeSave makes the Save for everything that changed since the last one, or
// nil if nothing did.
func (c *Core) takeSave() *Save {
	s := &c.store
	if !s.dirty || len(s.pending) >= maxPendingSaves && !c.urgent() {
		return nil
	}
	s.dirty = false
	s.seq++
	c.hard.Commit = c.commit
	save := &Save{Seq: s.seq, State: c.hard}
	if last := c.log.last(); c.log.handed < last {
		es := c.log.from(c.log.handed)
		save.Entries = es[:len(es):len(es)]
		c.log.handed = last
	}
	save.Snapshot, save.Reset, save.First = s.snapshot, s.reset, c.log.base+1
	if s.reset {
		s.resetSeq = s.seq
	}
	if s.founding {
		promised := c.founding.state
		save.Founding, s.founding = &promised, false
	}
	s.snapshot, s.reset = nil, false
	if len(s.pending) >= maxPendingSaves { // what it says of the one before holds a little later
		s.pending = s.pending[:len(s.pending)-1]
	}
	s.pending = append(s.pending, pendingSave{s.seq, c.hard.Term, c.hard.Vote, c.log.last()})
	return save
}

// urgent reports whether the next Save has what must not wait for those under way:
// these may wait for room on a full disk, which has some left for votes, and for
// the snapshot that makes room.
func (c *Core) urgent() bool {
	s := &c.store
	newest := s.pending[len(s.pending)-1]
	return newest.term != c.hard.Term || newest.vote != c.hard.Vote || s.snapshot != nil
}

// Saved reports that every Save up to and including seq is on stable storage.
// A seq that was never handed out, or was reported before, is ignored.
func (c *Core) Saved(seq uint64) {
	s := &c.store
	if seq <= s.done || seq > s.seq {
		return
	}
	s.done, s.age = seq, 0
	before, voting := c.log.stable, c.voting()
	n := 0
	for _, p := range s.pending {
		if p.seq > seq {
			break
		}
		c.log.markStable(p.last)
		s.savedTerm, s.savedVote = p.term, p.vote
		n++
	}
	s.pending = append(s.pending[:0], s.pending[n:]...)
	c.releaseHeld(seq, true)
	if voting && !c.voting() {
		c.elapsed = 0 // only now may it have come of anything
	}
	c.behaviour().saved(c, c.log.stable > before)
	c.foundingSaved()
}

// SavedState reports that the hard state of Save seq is on stable storage, but for
// its commit index, which must be one that was stored with its entries, while
// its entries, and perhaps those of earlier ones, are not: a full disk still has
// room for votes and terms. What is withheld depends on those alone, since an answer
// tells what of the log was durable when it was made; but for what was promised in
// a founding, which waits for Saved.
func (c *Core) SavedState(seq uint64) {
	s := &c.store
	if seq <= s.done || seq > s.seq {
		return
	}
	voting := c.voting()
	for _, p := range s.pending {
		if p.seq <= seq {
			s.savedTerm, s.savedVote = p.term, p.vote
		}
	}
	c.releaseHeld(seq, false)
	if voting && !c.voting() {
		c.elapsed = 0
	}
	c.behaviour().saved(c, false)
}

// SetShort tells whether storage has so little room left that no further command
// should be taken: what there is, is for votes, membership changes, snapshots and
// what is under way. A leader then hands over to a voter that has room, and while
// there is none refuses commands.
func (c *Core) SetShort(short bool) {
	was := c.store.short
	c.store.short = short
	if short && !was && c.role == Leader {
		c.lead.sinceEvaded = c.cfg.StallTicks
		c.evadeFullDisk()
	}
}

// releaseHeld lets go what waited for save seq, of which the whole is durable or
// the hard state alone.
func (c *Core) releaseHeld(seq uint64, whole bool) {
	s := &c.store
	kept := s.held[:0]
	for _, h := range s.held {
		if h.seq > seq || !whole && foundingMessage(h.msg) {
			kept = append(kept, h)
			continue
		}
		c.out = append(c.out, h.msg)
	}
	clear(s.held[len(kept):])
	s.held = kept
}

// truncateLog drops the entries from i on, everywhere they are known: a save
// still under way must not vouch for them, and a configuration among them is
// no longer in force (§4.1).
func (c *Core) truncateLog(i Index) {
	c.log.truncate(i)
	for k := range c.store.pending {
		c.store.pending[k].last = min(c.store.pending[k].last, i-1)
	}
	c.confs.truncate(i)
	c.verified = min(c.verified, i-1)
	c.store.dirty = true
}

// appendLog adds entries at the end of the log. A configuration is in force
// from here on, committed or not (§4.1).
func (c *Core) appendLog(es ...Entry) {
	if len(es) == 0 {
		return
	}
	c.log.append(es...)
	for _, e := range es {
		if e.Kind == EntryConfig {
			c.hold(e.Index, e.Config)
		}
		c.proposals.seen(e.ID)
	}
	c.store.dirty = true
}

// send stamps m and lets it go: at once, or, when it is a promise or carries a
// term that is not durable yet, after the save that covers the present state.
func (c *Core) send(to NodeID, body Body) {
	m := Message{Cluster: c.hard.Cluster, From: c.cfg.ID, To: to, Term: c.hard.Term, Body: body}
	promise := c.store.savedTerm != c.hard.Term
	switch body.(type) {
	case VoteRequest, VoteResponse:
		promise = promise || c.store.savedVote != c.hard.Vote
	}
	if t := c.store.ticket(); promise && t > c.store.done {
		c.store.hold(t, m)
		return
	}
	c.out = append(c.out, m)
}
