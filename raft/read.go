package raft

// localReads are the reads that wait on this device. They are numbered, and
// whatever is fresh enough for one is so for all before it, so a single
// question to the leader stands for all of them.
type localReads struct {
	want  uint64 // the newest read asked for
	got   uint64 // the newest answered
	since int    // ticks since the leader was asked
	done  []ReadDone
	// round is the leader's newest read round this device confirmed in this
	// term, as a follower.
	round uint64
}

func (r *localReads) waiting() bool { return r.got < r.want }

// leaderRead is a read that the leader confirms, its own or another's.
type leaderRead struct {
	from  NodeID
	seq   uint64
	index Index
	round uint64 // that must be confirmed; 0 until announced
}

// Read asks for a linearizable read and returns its number: once Ready brings
// a ReadDone with at least that number, a state that has applied its Index
// holds everything that was acknowledged anywhere before this call (§6.4). No
// clock is involved. Call it once for a batch of waiting readers.
func (c *Core) Read() uint64 {
	if c.reads.want == 0 {
		// An answer meant for an earlier boot must not look like ours.
		c.reads.want = c.cfg.Boot << 32
		c.reads.got = c.reads.want
	}
	c.reads.want++
	c.askRead()
	return c.reads.want
}

func (c *Core) askRead() {
	c.reads.since = 0
	switch c.leader {
	case "":
	case c.cfg.ID:
		c.addRead(c.cfg.ID, c.reads.want)
	default:
		c.send(c.leader, ReadRequest{Seq: c.reads.want})
	}
}

// tickReads asks again: questions and answers may be lost, and leaders change.
func (c *Core) tickReads() {
	if !c.reads.waiting() {
		return
	}
	if c.reads.since++; c.reads.since >= c.cfg.HeartbeatTicks {
		c.askRead()
	}
}

// finishRead takes the leader's answer.
func (c *Core) finishRead(m Message, b ReadResponse) {
	if m.From == c.leader && b.Seq > c.reads.got && b.Seq <= c.reads.want {
		c.reads.got = b.Seq
		c.reads.done = append(c.reads.done, ReadDone{Seq: b.Seq, Index: b.Index})
	}
}

// addRead notes a read to be confirmed. One that is too many is dropped: it
// will be asked again.
func (c *Core) addRead(from NodeID, seq uint64) {
	for _, r := range c.lead.reads {
		if r.from == from && r.seq == seq {
			return
		}
	}
	if len(c.lead.reads) < c.cfg.MaxPendingReads {
		c.lead.reads = append(c.lead.reads, leaderRead{from: from, seq: seq})
	}
}

// confirmReads gives the reads that came since the last round the present
// commit index, and starts the round in which a majority must confirm that
// this is still the leader (§6.4 steps 1 to 3).
func (c *Core) confirmReads() {
	if !c.ownTermCommitted() {
		return // the commit index may lag behind until then (§6.4 step 1)
	}
	fresh := false
	for i := range c.lead.reads {
		if r := &c.lead.reads[i]; r.round == 0 {
			r.index, r.round = c.commit, c.lead.round+1
			fresh = true
		}
	}
	if fresh {
		c.lead.round++
		c.lead.announce = true
	}
	// A lone voter needs nobody's word, nor one that has just become it.
	c.releaseReads()
}

// releaseReads answers the reads whose round a majority of voters confirmed.
func (c *Core) releaseReads() {
	reads := c.lead.reads
	n := 0
	for n < len(reads) && reads[n].round != 0 && c.roundConfirmed(reads[n].round) {
		n++
	}
	if n == 0 {
		return
	}
	c.lead.reads = append([]leaderRead(nil), reads[n:]...)
	for _, r := range reads[:n] {
		answer := ReadResponse{Seq: r.seq, Index: r.index}
		if r.from == c.cfg.ID {
			c.finishRead(Message{From: c.cfg.ID}, answer)
		} else {
			c.send(r.from, answer)
		}
	}
}

func (c *Core) roundConfirmed(round uint64) bool {
	n := 0
	for _, m := range c.conf().Members {
		if p := c.lead.peers[m.ID]; m.Role == Voter && (m.ID == c.cfg.ID || p != nil && p.readAck >= round) {
			n++
		}
	}
	return n >= c.conf().Quorum()
}
