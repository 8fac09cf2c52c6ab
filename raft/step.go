package raft

import (
	"errors"
	"fmt"
)

// Reasons for which Step drops a message. None of them is a fault of the
// device that drops it.
var (
	// ErrForeign: the message belongs to another cluster.
	ErrForeign = errors.New("the message belongs to another cluster")
	// ErrUnexpected: no correct member would send this message here.
	ErrUnexpected = errors.New("the message is not one that a member would send")
)

// Terms are used up one by one: some a year, or a few a second in the worst
// case. maxTermJump, 136 years of the worst case, keeps a damaged message from
// using up all of them at once, and maxTerm any number of such.
const (
	maxTermJump = Term(1) << 32
	maxTerm     = Term(1) << 62
	// maxIndex bounds indexes likewise, so that sums of them do not overflow.
	maxIndex = Index(1) << 62
)

// Step takes in a message. An error says why it was dropped; the state is then
// as before, but for a newer term that the message brought.
func (c *Core) Step(m Message) error {
	if foundingMessage(m) {
		return c.stepFounding(m)
	}
	if err := c.admit(m); err != nil {
		return err
	}
	if b, ok := m.Body.(Removed); ok {
		c.receiveRemoved(b) // committed, so it is true in any term
		return nil
	}
	switch {
	case m.Term < c.hard.Term:
		return c.stepOldTerm(m)
	case m.Term > c.hard.Term:
		if !c.stepNewTerm(m) {
			return nil
		}
	}
	defer c.learnLevel(m) // by then the leader is known
	switch b := m.Body.(type) {
	case PreVoteRequest:
		c.answerPreVote(m, b)
		return nil
	case VoteRequest:
		c.answerVote(m, b)
		return nil
	case AppendRequest:
		return c.receiveAppend(m, b)
	case SnapshotRequest:
		return c.receiveSnapshot(m, b)
	case ReadResponse:
		c.finishRead(m, b)
		return nil
	case ForwardRefused:
		c.proposals.refused(m.Term, b)
		return nil
	}
	return c.behaviour().step(c, m)
}

func (c *Core) admit(m Message) error {
	if m.To != c.cfg.ID || m.From == c.cfg.ID || !m.From.Valid() || m.Body == nil || m.Term > maxTerm {
		return fmt.Errorf("message %T from %q to %q: %w", m.Body, m.From, m.To, ErrUnexpected)
	}
	b, isAppend := m.Body.(AppendRequest)
	if isAppend && !b.wellFormed(m.Term) {
		return fmt.Errorf("append request from %s: entries out of order: %w", m.From, ErrUnexpected)
	}
	if m.Cluster == c.hard.Cluster && !m.Cluster.IsZero() {
		if m.Term > c.hard.Term && m.Term-c.hard.Term > maxTermJump {
			return fmt.Errorf("message %T from %s: term %d after term %d: %w", m.Body, m.From, m.Term, c.hard.Term, ErrUnexpected)
		}
		return nil
	}
	if c.hard.Cluster.IsZero() && !m.Cluster.IsZero() && isAppend && m.Term > 0 {
		c.hard.Cluster = m.Cluster
		c.store.dirty = true
		c.leaveFounding()
		return nil
	}
	return fmt.Errorf("message %T from %s: %w", m.Body, m.From, ErrForeign)
}

// stepOldTerm handles a message of an earlier term. Its sender is told the
// term where that helps: a leader or candidate of the past then steps down.
func (c *Core) stepOldTerm(m Message) error {
	switch b := m.Body.(type) {
	case AppendRequest:
		c.send(m.From, AppendResponse{Rejected: true, Prev: b.PrevIndex})
	case SnapshotRequest:
		c.send(m.From, AppendResponse{Rejected: true})
	case PreVoteRequest:
		c.send(m.From, PreVoteResponse{For: m.Term + 1})
		c.TellRemoved(m.From)
	case VoteRequest:
		c.send(m.From, VoteResponse{})
	case PreVoteResponse:
		// Not of the past: it carries the term of the one who answers, which
		// may lag behind. PreVoteResponse.For ties it to the question.
		return c.behaviour().step(c, m)
	}
	return nil
}

// stepNewTerm takes over a higher term where the message warrants it, and
// reports whether to go on with the message.
func (c *Core) stepNewTerm(m Message) bool {
	switch b := m.Body.(type) {
	case PreVoteRequest:
		return true // a question about the future binds nobody (§9.6)
	case VoteRequest:
		if c.hearsLeader() && !b.Transfer {
			return false // §4.2.3: a server that cannot hear the leader must not disturb those that can
		}
	}
	leader := NodeID("")
	switch m.Body.(type) {
	case AppendRequest, SnapshotRequest:
		leader = m.From
	}
	c.become(Follower, m.Term, leader)
	return true
}
