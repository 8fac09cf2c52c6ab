package raft

import (
	"fmt"
	"math"
)

// A proposal made on any device reaches the log at most once, although messages
// may be lost and repeated and leaders change, without any replicated record:
//
//   - The leader of a term takes each number of a sender once (seqWindow), so
//     a device may repeat a Forward for as long as that term lasts.
//   - A proposal handed on in term t can only get into the log as an entry of
//     term t. Terms never decrease along a log (§3.6.3). So once an entry of a
//     later term is committed and the proposal was not before it, it never
//     will be, and may be handed on anew.

// proposals are those of this device that are not committed yet.
type proposals struct {
	max     int
	window  uint64
	boot    uint64
	base    uint64
	made    uint64 // how many were made; the last one's ID is base+made
	lastSeq uint64 // the last number used with a leader
	list    []*proposal
	bytes   int // sum of their sizes
	byID    map[ProposalID]*proposal
	top     Term // the term of the last committed entry
	failed  []Failed
}

type proposal struct {
	id   ProposalID
	data []byte
	// change, when not nil, is a membership change; there is no data then.
	change *Change
	term   Term   // in which it was handed on; 0 while it surely is in no log
	seq    uint64 // its number with the leader of term
	in     bool   // it is in this device's log
	age    int    // ticks since it was handed on
	tries  int    // how often it was, in term
}

func (p *proposal) size() int { return entryOverhead + len(p.data) }

func (ps *proposals) init(cfg Config) {
	ps.max, ps.window = cfg.MaxProposals, uint64(cfg.MaxForwardWindow)
	ps.boot, ps.base = cfg.Boot, cfg.ProposalBase
	ps.byID = map[ProposalID]*proposal{}
}

// Propose takes a command that is to be committed, on whichever device. The
// ID comes back in the committed entry, or in Ready.Failed. Until there is a
// leader the proposal waits; Cancel ends that. The data must not be changed
// afterwards.
func (c *Core) Propose(data []byte) (ProposalID, error) {
	if len(data) > c.cfg.MaxCommandBytes {
		return 0, fmt.Errorf("propose %d bytes where %d are allowed: %w", len(data), c.cfg.MaxCommandBytes, ErrTooLarge)
	}
	return c.addProposal(&proposal{data: data})
}

func (c *Core) addProposal(p *proposal) (ProposalID, error) {
	ps := &c.proposals
	switch {
	case c.hard.Cluster.IsZero():
		return 0, fmt.Errorf("propose: %w", ErrNotFounded)
	case len(ps.list) >= ps.max || len(ps.list) > 0 && ps.bytes+p.size() > c.cfg.MaxProposalBytes:
		return 0, fmt.Errorf("propose: %d are waiting here: %w", len(ps.list), ErrBusy)
	}
	ps.made++
	p.id = ProposalID(ps.base + ps.made)
	ps.list = append(ps.list, p)
	ps.byID[p.id] = p
	ps.bytes += p.size()
	return p.id, nil
}

// Cancel forgets a proposal and reports whether it may still take effect.
func (c *Core) Cancel(id ProposalID) (mayTakeEffect bool) {
	p := c.proposals.byID[id]
	if p == nil {
		return false
	}
	c.proposals.drop(p)
	return p.term != 0
}

func (ps *proposals) drop(p *proposal) {
	delete(ps.byID, p.id)
	ps.bytes -= p.size()
	if len(ps.list) > 1 && ps.list[0] == p { // by far the most frequent case
		ps.list[0] = nil
		ps.list = ps.list[1:]
		return
	}
	for i := range ps.list {
		if ps.list[i] == p {
			ps.list = append(ps.list[:i], ps.list[i+1:]...)
			return
		}
	}
}

func (ps *proposals) fail(p *proposal, err error) {
	ps.drop(p)
	ps.failed = append(ps.failed, Failed{p.id, err})
}

func (ps *proposals) tick() {
	for _, p := range ps.list {
		p.age++
	}
}

// seen notes that a proposal reached this device's log: no need to repeat it.
func (ps *proposals) seen(id ProposalID) {
	if p := ps.byID[id]; p != nil {
		p.in = true
	}
}

// committed ends the proposal of a committed entry, and frees those that can
// no longer be in the log of an earlier term.
func (ps *proposals) committed(e Entry) {
	if p := ps.byID[e.ID]; p != nil && e.ID != 0 {
		ps.drop(p)
	}
	if e.Term <= ps.top {
		return
	}
	ps.top = e.Term
	for _, p := range ps.list {
		if p.term != 0 && p.term < e.Term {
			p.term, p.in = 0, false
		}
	}
}

// skipped ends the proposals that may be among entries which were never seen
// here, because a snapshot up to an entry of term stood for them.
func (ps *proposals) skipped(term Term) {
	for i := 0; i < len(ps.list); {
		if p := ps.list[i]; p.term != 0 {
			ps.fail(p, fmt.Errorf("this device was sent a snapshot: %w", ErrOutcomeUnknown))
			continue
		}
		i++
	}
	ps.top = max(ps.top, term)
}

// refused ends a proposal that the leader of term declined.
func (ps *proposals) refused(term Term, b ForwardRefused) {
	for _, p := range ps.list {
		if b.Boot == ps.boot && p.seq == b.Seq && p.term == term && !p.in {
			ps.fail(p, fmt.Errorf("the leader declined: %w", b.Reason.err()))
			return
		}
	}
}

func (r RefusalReason) err() error {
	switch r {
	case RefusedLogFull:
		return ErrLogFull
	case RefusedDiskFull:
		return ErrDiskFull
	case RefusedTooLarge:
		return ErrTooLarge
	case RefusedChangePending:
		return ErrChangePending
	case RefusedBadChange:
		return ErrBadChange
	case RefusedBehind:
		return ErrBehind
	case RefusedLevel:
		return ErrLevel
	}
	return ErrBusy
}

// routeProposals hands on what has not been handed on, and repeats what the
// present leader may have missed.
func (c *Core) routeProposals() {
	switch {
	case len(c.proposals.list) == 0 || c.leader == "" || c.transferring():
	case c.role == Leader:
		c.takeOwnProposals()
	default:
		c.forwardProposals()
	}
}

func (c *Core) takeOwnProposals() {
	ps := &c.proposals
	for i := 0; i < len(ps.list); {
		p := ps.list[i]
		if p.term != 0 {
			i++
			continue
		}
		if err := c.takeProposal(p); err != nil {
			ps.fail(p, err)
			continue
		}
		p.term = c.hard.Term
		i++
	}
}

// takeProposal appends a proposal of this device, which leads.
func (c *Core) takeProposal(p *proposal) error {
	if p.change != nil {
		return c.startChange(*p.change, p.id)
	}
	if reason := c.refuse(p.data); reason != 0 {
		return fmt.Errorf("propose: %w", reason.err())
	}
	c.appendAsLeader(Entry{Kind: EntryCommand, ID: p.id, Data: p.data})
	return nil
}

// forwardProposals sends proposals to the leader, as many to a message as an
// AppendRequest would hold. Numbers are given out only as far ahead of the
// oldest open one as the leader's memory of them reaches.
func (c *Core) forwardProposals() {
	ps := &c.proposals
	var batch []ForwardedProposal
	size := 0
	flush := func() {
		if len(batch) > 0 {
			c.send(c.leader, Forward{Boot: ps.boot, Proposals: batch})
			batch, size = nil, 0
		}
	}
	oldest := ps.lastSeq + 1
	c.keepBack()
	for _, p := range ps.list {
		if c.onItsWay(p) {
			oldest = min(oldest, p.seq)
		}
	}
	for _, p := range ps.list {
		fresh := p.term == 0 && ps.lastSeq+1-oldest < ps.window
		again := c.onItsWay(p) && p.age >= c.repeatTicks(p)
		if !fresh && !again {
			continue
		}
		if fresh {
			ps.lastSeq++
			p.seq, p.term, p.tries = ps.lastSeq, c.hard.Term, 0
		}
		p.age = 0
		p.tries++
		if p.change != nil {
			c.send(c.leader, ForwardChange{Boot: ps.boot, Seq: p.seq, ID: p.id, Change: *p.change})
			continue
		}
		if size += p.size(); size > c.cfg.MaxAppendBytes {
			flush()
		}
		batch = append(batch, ForwardedProposal{Seq: p.seq, ID: p.id, Data: p.data})
	}
	flush()
}

// keepBack ends the proposals that the leader would append, and not know.
func (c *Core) keepBack() {
	ps := &c.proposals
	for i := 0; i < len(ps.list); {
		if p := ps.list[i]; p.term == 0 && p.change == nil && !c.leaderKnows(p.data) {
			ps.fail(p, fmt.Errorf("propose: the leader: %w", ErrLevel))
			continue
		}
		i++
	}
}

// onItsWay reports whether p was handed to the present leader and was not seen
// in the log since.
func (c *Core) onItsWay(p *proposal) bool { return p.term == c.hard.Term && !p.in }

// maxBackoff is how often the time until the next repetition is doubled.
const maxBackoff = 2

// repeatTicks is after how long a proposal on its way is sent again: two
// heartbeats, then four, then eight.
func (c *Core) repeatTicks(p *proposal) int {
	return 2 * c.cfg.HeartbeatTicks << min(p.tries-1, maxBackoff)
}

// ticksUntilRepeat is when forwardProposals will next have to repeat one.
func (c *Core) ticksUntilRepeat() int {
	n := math.MaxInt
	if c.leader == "" || c.role == Leader {
		return n
	}
	for _, p := range c.proposals.list {
		if c.onItsWay(p) {
			n = min(n, c.repeatTicks(p)-p.age)
		}
	}
	return n
}

// maxSenders bounds the members whose numbers a leader remembers. A removed
// member's are kept: it may be admitted again while copies of what it handed on
// are still under way. Beyond the bound, which takes a whole membership replaced
// three times in one term, it takes nothing from further senders.
const maxSenders = 4 * MaxMembers

// senderWindow returns what is remembered of a sender's numbers, nil for one
// from before its restart, for which nobody waits any more.
func (c *Core) senderWindow(from NodeID, boot uint64) (*seqWindow, error) {
	if c.lead.peers[from] == nil {
		return nil, fmt.Errorf("proposals from %s, which is no member: %w", from, ErrUnexpected)
	}
	w := c.lead.seen[from]
	switch {
	case w == nil && len(c.lead.seen) >= maxSenders:
		return nil, fmt.Errorf("proposals from %s, after those of %d others in this term: %w", from, maxSenders, ErrUnexpected)
	case w == nil || boot > w.boot:
		w = newSeqWindow(boot, 2*c.cfg.MaxForwardWindow)
		c.lead.seen[from] = w
	case boot < w.boot:
		return nil, nil
	}
	return w, nil
}

// receiveForward appends what a member hands on, each proposal once.
func (c *Core) receiveForward(m Message, b Forward) error {
	w, err := c.senderWindow(m.From, b.Boot)
	if err != nil || w == nil || c.transferring() {
		return err // during a transfer: they are handed on again, to the successor
	}
	for _, p := range b.Proposals {
		switch {
		case len(p.Data) > c.cfg.MaxCommandBytes:
			// The sender's limit is another. This leader's stays what it is.
			c.send(m.From, ForwardRefused{Boot: b.Boot, Seq: p.Seq, Reason: RefusedTooLarge})
		case w.take(p.Seq):
			if c.refuse(p.Data) == 0 {
				c.appendAsLeader(Entry{Kind: EntryCommand, ID: p.ID, Data: p.Data})
				continue
			}
			w.refuse(p.Seq)
			c.decline(m.From, b.Boot, p)
		case w.wasRefused(p.Seq):
			// Once refused it stays so, also when there is room again, but
			// the answer may have been lost.
			c.decline(m.From, b.Boot, p)
		}
	}
	return nil
}

func (c *Core) decline(from NodeID, boot uint64, p ForwardedProposal) {
	reason := c.refuse(p.Data)
	if reason == 0 {
		reason = RefusedBusy
	}
	c.send(from, ForwardRefused{Boot: boot, Seq: p.Seq, Reason: reason})
}

// refuse says why a leader cannot take a command at present, 0 if it can.
func (c *Core) refuse(data []byte) RefusalReason {
	switch {
	case !c.allKnow(data):
		return RefusedLevel
	case c.store.short || c.majorityFull():
		return RefusedDiskFull
	case c.log.bytes > c.cfg.MaxLogBytes:
		return RefusedLogFull
	case c.lead.pending > c.cfg.MaxPendingBytes || c.diskBehind():
		return RefusedBusy
	}
	return 0
}
