package raft

import "fmt"

// leaderState is what only a leader has (§3.3 fig. 3.1, "volatile state on
// leaders").
type leaderState struct {
	peers          map[NodeID]*progress  // every other member
	sinceHeartbeat int                   // ticks
	sinceCheck     int                   // ticks since it was checked that leading makes sense
	sinceCommit    int                   // ticks with work in flight, or no room for any, and nothing committed
	announce       bool                  // say something to everyone at the next Ready
	lately         Index                 // what was committed at the last of those checks
	earlier        Index                 // and at the one before that
	pending        int                   // bytes appended and not committed
	seen           map[NodeID]*seqWindow // of this term's senders, also of removed ones
	round          uint64                // read rounds announced so far
	reads          []leaderRead
	snapshotBytes  int    // of snapshots that may still be sent in this tick
	successor      NodeID // to whom leadership is being handed over, "" otherwise
	sinceTransfer  int    // ticks since that began
	anyShort       bool   // some member said, in this term, that its disk has no room
	sinceEvaded    int    // ticks since it was tried to hand over for want of room
}

// leader takes proposals, replicates and commits (§3.5, §3.6).
type leader struct{}

func (leader) enter(c *Core) {
	c.lead = leaderState{peers: map[NodeID]*progress{}, seen: map[NodeID]*seqWindow{}, announce: true, sinceEvaded: c.cfg.StallTicks, lately: maxIndex, earlier: maxIndex, snapshotBytes: c.cfg.MaxSnapshotRate}
	for _, e := range c.log.from(c.commit) {
		c.lead.pending += e.Size()
	}
	c.syncPeers()
	c.clock.set(c.ClusterTime(), c.hard.Term)
	// An entry of its own term lets a leader commit what earlier terms left
	// behind (§3.6.2), serve reads (§6.4) and change the membership.
	c.appendAsLeader(Entry{Kind: EntryNoOp})
}

func (leader) tick(c *Core) {
	l := &c.lead
	for _, p := range l.peers {
		p.silent++
		p.sinceSent++
	}
	if c.log.last() > c.commit || c.diskBehind() {
		l.sinceCommit++
	} else {
		l.sinceCommit = 0
	}
	l.snapshotBytes = c.cfg.MaxSnapshotRate
	c.tickTransfer()
	l.sinceHeartbeat++
	l.sinceCheck++
	l.sinceEvaded++
	beat := c.cfg.HeartbeatTicks
	if l.sinceHeartbeat < beat && l.sinceCheck < beat {
		return
	}
	// Rounds of reads are heartbeats too: were the check tied to those that
	// time brings, steady reads would put it off for ever.
	l.sinceCheck = 0
	l.lately, l.earlier = c.commit, l.lately
	if !c.reachesQuorum() {
		c.become(Follower, c.hard.Term, "")
		return
	}
	if c.majorityFull() {
		l.sinceCommit = 0 // another could do no better
	}
	if l.sinceCommit > c.cfg.StallTicks && !c.loneVoter() {
		c.abdicate()
		return
	}
	c.evadeFullDisk()
	l.announce = l.announce || l.sinceHeartbeat >= beat
}

// abdicate ends a leadership that achieves nothing although a quorum is heard.
// Where a voter is known whose disk holds the whole log, it is told to campaign
// at once; the others are to find out by themselves.
func (c *Core) abdicate() {
	if to := c.successor(); to != "" && c.lead.peers[to].match == c.log.last() {
		c.send(to, TimeoutNow{})
	}
	c.become(Follower, c.hard.Term, "")
}

// reachesQuorum is CheckQuorum: whether a majority was heard within the least
// election timeout (§6.2). A leader that was cut off would otherwise go on
// accepting what it cannot commit.
func (c *Core) reachesQuorum() bool {
	heard := 0
	for _, m := range c.conf().Members {
		if m.Role != Voter {
			continue
		}
		if p := c.lead.peers[m.ID]; m.ID == c.cfg.ID || p != nil && p.silent <= c.cfg.ElectionTicks {
			heard++
		}
	}
	return heard >= c.conf().Quorum()
}

func (leader) step(c *Core, m Message) error {
	switch b := m.Body.(type) {
	case AppendResponse:
		return c.receiveAppendResponse(m, b)
	case SnapshotResponse:
		return c.receiveSnapshotResponse(m, b)
	case Forward:
		return c.receiveForward(m, b)
	case ForwardChange:
		return c.receiveForwardChange(m, b)
	case TransferRequest:
		return c.Transfer(b.Successor)
	case ReadRequest:
		c.addRead(m.From, b.Seq)
		return nil
	case PreVoteResponse, VoteResponse:
		return nil // late
	}
	return fmt.Errorf("message %T from %s: %w", m.Body, m.From, ErrUnexpected)
}

// saved counts the leader itself only for what its own storage holds
// (§10.2.1).
func (leader) saved(c *Core, advanced bool) {
	if advanced {
		c.advanceCommit()
	}
}

// appendAsLeader gives e its place at the end of the log.
func (c *Core) appendAsLeader(e Entry) {
	e.Index, e.Term, e.Time = c.log.last()+1, c.hard.Term, c.ClusterTime()
	c.lead.pending += e.Size()
	c.appendLog(e)
	if e.Kind == EntryConfig {
		c.syncPeers()
	}
}

// syncPeers follows the configuration in force: a new member is probed from
// the end of the log, a removed one is no longer spoken to.
func (c *Core) syncPeers() {
	conf := c.conf()
	for _, m := range conf.Members {
		if m.ID != c.cfg.ID && c.lead.peers[m.ID] == nil {
			c.lead.peers[m.ID] = &progress{next: c.log.last() + 1, probing: true, window: c.cfg.MaxInflight}
			c.lead.announce = true
		}
	}
	for id := range c.lead.peers {
		if _, ok := conf.Member(id); !ok {
			delete(c.lead.peers, id)
		}
	}
}
