package raft

import (
	"fmt"
	"hash/crc32"
)

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// Intact reports whether the data has its checksum.
func (s *Snapshot) Intact() bool { return crc32.Checksum(s.Data, castagnoli) == s.Sum }

// snapshotIndex is where the newest snapshot ends, 0 when there is none.
func (c *Core) snapshotIndex() Index {
	if c.snap == nil {
		return 0
	}
	return c.snap.Index
}

// Snapshot takes the App's state after the last entry that Ready handed out,
// so that the log up to there can go (§5.1). Entries are dropped in memory now
// and on storage together with the save of the snapshot, and only as far as
// they are durable; MaxTrailBytes of them stay for members that lag a little.
// The data must not be changed afterwards. A state that is too large, or no
// newer than the last, is refused; with ErrBusy also while a snapshot that took
// the place of the log is not durable, so that a Save that drops the log ends
// with the snapshot that stands for it, also when it is merged.
func (c *Core) Snapshot(data []byte) error {
	i := c.applied
	switch {
	case len(data) > c.cfg.MaxSnapshotBytes:
		return fmt.Errorf("take a snapshot of %d bytes where %d are allowed: %w", len(data), c.cfg.MaxSnapshotBytes, ErrTooLarge)
	case i <= c.snapshotIndex() || i < c.log.base:
		return fmt.Errorf("take a snapshot at index %d: there is one at %d: %w", i, c.snapshotIndex(), ErrUnexpected)
	case c.store.resetting():
		return fmt.Errorf("take a snapshot at index %d: that at %d is not durable yet: %w", i, c.snapshotIndex(), ErrBusy)
	}
	conf := c.confs.at(i)
	oldest := c.keepTwo()
	c.snap = &Snapshot{
		Index: i, Term: c.log.term(i), Time: c.log.time(i), Config: conf.conf, ConfigIndex: conf.index,
		Data: data, Sum: crc32.Checksum(data, castagnoli),
	}
	c.store.snapshot, c.store.dirty = c.snap, true
	needless := min(i, c.log.stable, c.log.handed)
	if oldest != nil && c.log.bytes <= c.cfg.MaxLogBytes/2 {
		// Whoever is being sent that one will need what follows on it, or on a
		// slow link it would be sent one snapshot after the other.
		needless = min(needless, oldest.Index)
	}
	if !c.store.short { // else room is worth more than a member's way to catch up
		needless = c.trail(needless)
	}
	c.log.compact(needless)
	return nil
}

// keepTwo bounds what a leader holds in memory, however many members lag: the
// newest snapshot, which is about to be taken, and the oldest that a member is
// being sent who is heard. That one will arrive, however often new ones are
// taken; members that were sent one in between begin anew. It returns that one,
// nil for none.
func (c *Core) keepTwo() (oldest *Snapshot) {
	for _, p := range c.lead.peers {
		if p.sending != nil && p.silent <= c.cfg.ElectionTicks && (oldest == nil || p.sending.Index < oldest.Index) {
			oldest = p.sending
		}
	}
	for _, p := range c.lead.peers {
		if p.sending != nil && p.sending != oldest {
			p.sending, p.waiting = nil, false
		}
	}
	return oldest
}

// trail is up to where the log may go, if up to i it is not needed, so that the
// wanted trail stays.
func (c *Core) trail(i Index) Index {
	bytes := 0
	for i > c.log.base {
		bytes += c.log.entries[i-c.log.base-1].Size()
		if bytes > c.cfg.MaxTrailBytes {
			break
		}
		i--
	}
	return i
}

// startFrom begins with a stored snapshot, if there is one, and returns the
// stored entries that follow on where the log then begins.
func (c *Core) startFrom(from Stored) ([]Entry, error) {
	s, entries := from.Snapshot, from.Entries
	if s == nil {
		return entries, nil
	}
	if s.Index == 0 || s.Term == 0 || s.Term > from.State.Term || s.Config == nil || s.ConfigIndex > s.Index {
		return nil, fmt.Errorf("raft: the stored snapshot at index %d is not one", s.Index)
	}
	c.snap, c.restore = s, s
	c.applied = s.Index
	c.confs.push(s.ConfigIndex, s.Config)
	c.joined = true
	c.log.reset(s.Index, s.Term, s.Time, s.Index)
	if len(entries) == 0 {
		return nil, nil
	}
	if first := entries[0]; first.Index <= s.Index {
		// Of the entry before it the term is not known any more, so this one
		// takes its place.
		if last := entries[len(entries)-1]; last.Index < s.Index {
			// What is stored ends before the snapshot; nothing may be stored
			// behind that gap.
			c.store.snapshot, c.store.reset, c.store.dirty = s, true, true
			return nil, nil
		}
		c.log.reset(first.Index, first.Term, first.Time, first.Index)
		entries = entries[1:]
	}
	return entries, nil
}

// sendSnapshot sends a member the next piece of the snapshot. One piece is on
// its way at a time, so that heartbeats and others get their turn, and in all
// no more than MaxSnapshotRate in a tick.
func (c *Core) sendSnapshot(to NodeID, p *progress, announce bool) {
	if p.sending == nil || p.sending.Index <= p.match {
		p.sending, p.sent, p.waiting = c.snap, 0, false
		p.probing, p.flight = true, flight{}
	}
	if announce {
		// Every log agrees before its first entry: a heartbeat for any.
		c.send(to, AppendRequest{Commit: c.commit, Read: c.lead.round, Clock: c.ClusterTime()})
	}
	s := p.sending
	if p.waiting || c.lead.snapshotBytes <= 0 {
		return
	}
	data := s.Data[p.sent:min(p.sent+c.cfg.MaxAppendBytes, len(s.Data))]
	c.lead.snapshotBytes -= len(data)
	p.waiting, p.sinceSent = true, 0
	c.send(to, SnapshotRequest{
		Index: s.Index, Term: s.Term, Time: s.Time, Config: s.Config, ConfigIndex: s.ConfigIndex,
		Size: uint64(len(s.Data)), Sum: s.Sum, Offset: uint64(p.sent), Data: data,
	})
}

// repeatPiece sends the piece under way again if it may be lost: the member
// answers heartbeats, and arrived is all it says it has. Each piece is thus
// answered or repeated, not both, or there would be ever more of them; and one
// that is gone is sent nothing but heartbeats.
func (c *Core) repeatPiece(p *progress, arrived Index) {
	if arrived < p.sending.Index && p.sinceSent >= c.cfg.HeartbeatTicks {
		p.waiting = false
	}
}

func (c *Core) receiveSnapshotResponse(m Message, b SnapshotResponse) error {
	p := c.lead.peers[m.From]
	if p == nil {
		return nil // removed meanwhile
	}
	p.silent = 0
	if p.sending == nil || p.sending.Index != b.Index || b.Offset > uint64(len(p.sending.Data)) {
		return nil // about an earlier one
	}
	if int(b.Offset) == p.sent {
		return nil // it had that piece already, or it came damaged: the next is under way, or will be repeated
	}
	if int(b.Offset) > p.sent && c.conf().IsVoter(m.From) && !c.diskBehind() {
		// What a majority lacks cannot be committed before it is there, and
		// the next leader would have to begin anew.
		c.lead.sinceCommit = 0
	}
	p.sent, p.waiting = int(b.Offset), false
	return nil
}

// incoming is a snapshot of which some is here.
type incoming struct {
	index Index
	term  Term
	size  uint64
	sum   uint32
	data  []byte
}

// receiveSnapshot takes a piece of a snapshot, and installs it when all of it is
// here and its checksum holds (§5.1, fig. 5.3).
func (c *Core) receiveSnapshot(m Message, b SnapshotRequest) error {
	if err := c.checkSnapshot(m, b); err != nil {
		return err
	}
	if c.role != Follower || c.leader != m.From {
		c.become(Follower, c.hard.Term, m.From)
	}
	c.heardLeader()
	if b.Index <= c.commit || c.log.matches(b.Index, b.Term) {
		// Its entries are here. What a leader has in a snapshot is committed.
		c.verified = max(c.verified, b.Index)
		c.commitTo(b.Index)
		c.send(m.From, c.appendAnswer())
		return nil
	}
	in := c.incoming
	if in == nil || in.index != b.Index || in.term != b.Term || in.size != b.Size || in.sum != b.Sum {
		in = &incoming{index: b.Index, term: b.Term, size: b.Size, sum: b.Sum}
		c.incoming = in
	}
	if b.Offset == uint64(len(in.data)) {
		in.data = append(in.data, b.Data...)
	}
	if uint64(len(in.data)) == in.size {
		c.incoming = nil
		whole := &Snapshot{
			Index: b.Index, Term: b.Term, Time: b.Time, Config: b.Config, ConfigIndex: b.ConfigIndex, Data: in.data, Sum: in.sum,
		}
		if whole.Intact() {
			c.install(whole)
			return nil // answered when it is durable
		}
		in = &incoming{} // damaged on the way: from the start
	}
	c.send(m.From, SnapshotResponse{Index: b.Index, Offset: uint64(len(in.data))})
	return nil
}

// checkSnapshot refuses what no correct leader of this term would send.
func (c *Core) checkSnapshot(m Message, b SnapshotRequest) error {
	unexpected := func(what string) error {
		return fmt.Errorf("snapshot from %s: %s: %w", m.From, what, ErrUnexpected)
	}
	switch {
	case c.role == Leader || c.leader != "" && c.leader != m.From:
		return unexpected("a second leader in one term")
	case b.Index == 0 || b.Index > maxIndex || b.Term == 0 || b.Term > m.Term || b.Time > maxTime || b.Config == nil || b.ConfigIndex == 0 || b.ConfigIndex > b.Index:
		return unexpected("it is none")
	case b.Size > uint64(c.cfg.MaxSnapshotBytes) || b.Offset > b.Size || uint64(len(b.Data)) > b.Size-b.Offset:
		return unexpected("its size is impossible")
	}
	return nil
}

// install puts a snapshot in the place of everything there is. Nothing is lost
// by it: the log has no entry like the snapshot's last, so what lies beyond the
// commit index conflicts with it or is not there.
func (c *Core) install(s *Snapshot) {
	durable := min(c.log.stable, c.commit)
	for k := range c.store.pending {
		c.store.pending[k].last = min(c.store.pending[k].last, c.commit)
	}
	c.log.reset(s.Index, s.Term, s.Time, durable)
	c.clock.set(s.Time, 0) // until the leader tells its own
	c.confs = confHistory{{s.ConfigIndex, s.Config}}
	c.seek(s.Config)
	c.commit, c.applied, c.verified = s.Index, s.Index, s.Index
	c.snap, c.restore = s, s
	c.proposals.skipped(s.Term)
	c.store.snapshot, c.store.reset, c.store.dirty = s, true, true
}
