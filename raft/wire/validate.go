package wire

import (
	"fmt"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/raft"
)

// checkMessage holds what the types of a message cannot: it is asked before
// encoding and after decoding.
func checkMessage(m raft.Message) error {
	if !m.From.Valid() {
		return fmt.Errorf("%w: the sender %q is not an ID", ErrMalformed, clip(m.From))
	}
	if _, joins := m.Body.(raft.Join); !joins || m.To != "" {
		if !m.To.Valid() {
			return fmt.Errorf("%w: the addressee %q is not an ID", ErrMalformed, clip(m.To))
		}
	}
	if m.Wall > raft.MaxWall {
		return fmt.Errorf("%w: a wall clock of %d s", ErrMalformed, m.Wall)
	}
	switch b := m.Body.(type) {
	case raft.AppendRequest:
		return checkAppendRequest(m.Term, b)
	case raft.Forward:
		return checkForward(b)
	case raft.ForwardRefused:
		if b.Reason < raft.RefusedBusy || b.Reason > raft.RefusedLevel {
			return fmt.Errorf("%w: reason %d of a refusal is unknown", ErrMalformed, b.Reason)
		}
	case raft.Join:
		if err := checkIDOrNone("member to replace", b.Replaces); err != nil {
			return err
		}
		if err := checkText("the version", b.Version, raft.MaxVersionLen); err != nil {
			return err
		}
		return checkText("the name", b.Name, raft.MaxNameLen)
	case raft.SnapshotRequest:
		return checkSnapshot(b)
	case raft.ForwardChange:
		return checkChange(b.Change)
	case raft.TransferRequest:
		return checkIDOrNone("successor", b.Successor)
	case raft.JoinAnswer:
		if err := checkIDOrNone("leader", b.Leader); err != nil {
			return err
		}
		if err := checkText("the version", b.Version, raft.MaxVersionLen); err != nil {
			return err
		}
		return checkText("the reason", b.Reason, raft.MaxReasonLen)
	}
	return checkFounding(m.Body)
}

// checkAppendRequest holds that entries follow on PrevIndex and that terms
// and times never fall along the log nor exceed the sender's (thesis §3.5, log
// matching).
func checkAppendRequest(term raft.Term, b raft.AppendRequest) error {
	if len(b.Entries) > MaxItems {
		return fmt.Errorf("%w: %d entries, the limit is %d", ErrMalformed, len(b.Entries), MaxItems)
	}
	prevIndex, prevTerm, prevTime := b.PrevIndex, b.PrevTerm, raft.Time(0)
	for _, e := range b.Entries {
		if err := checkEntry(e); err != nil {
			return err
		}
		if e.Index != prevIndex+1 {
			return fmt.Errorf("%w: entry %d follows on entry %d", ErrMalformed, e.Index, prevIndex)
		}
		if e.Term < prevTerm {
			return fmt.Errorf("%w: entry %d has term %d after term %d", ErrMalformed, e.Index, e.Term, prevTerm)
		}
		if e.Time < prevTime || e.Time > b.Clock {
			return fmt.Errorf("%w: entry %d is of time %d, after %d, by a clock of %d", ErrMalformed, e.Index, e.Time, prevTime, b.Clock)
		}
		prevIndex, prevTerm, prevTime = e.Index, e.Term, e.Time
	}
	if prevTerm > term {
		return fmt.Errorf("%w: entries of term %d from a sender in term %d", ErrMalformed, prevTerm, term)
	}
	return nil
}

func checkForward(b raft.Forward) error {
	if len(b.Proposals) > MaxItems {
		return fmt.Errorf("%w: %d proposals, the limit is %d", ErrMalformed, len(b.Proposals), MaxItems)
	}
	for _, p := range b.Proposals {
		if len(p.Data) > MaxData {
			return fmt.Errorf("%w: proposal %d has %d bytes, the limit is %d", ErrTooLarge, p.Seq, len(p.Data), MaxData)
		}
	}
	return nil
}

func checkSnapshot(b raft.SnapshotRequest) error {
	switch {
	case b.Index == 0 || b.Term == 0 || b.ConfigIndex > b.Index || b.Config == nil:
		return fmt.Errorf("%w: no snapshot ends at index %d, term %d", ErrMalformed, b.Index, b.Term)
	case b.Offset > b.Size || uint64(len(b.Data)) > b.Size-b.Offset:
		return fmt.Errorf("%w: %d bytes at %d of a snapshot of %d", ErrMalformed, len(b.Data), b.Offset, b.Size)
	case len(b.Data) > MaxData:
		return fmt.Errorf("%w: a piece of %d bytes, the limit is %d", ErrTooLarge, len(b.Data), MaxData)
	}
	return checkConfiguration(*b.Config)
}

func checkChange(c raft.Change) error {
	if !c.ID.Valid() {
		return fmt.Errorf("%w: the member %q to change is not an ID", ErrMalformed, clip(c.ID))
	}
	if c.Kind < raft.AddLearner || c.Kind > raft.StandDown {
		return fmt.Errorf("%w: the unknown kind of change %d", ErrMalformed, c.Kind)
	}
	return checkText("the name of a member", c.Name, raft.MaxNameLen)
}

// checkEntry holds that an entry has what its kind asks for and nothing else.
func checkEntry(e raft.Entry) error {
	if e.Index == 0 {
		return fmt.Errorf("%w: an entry with index 0", ErrMalformed)
	}
	if len(e.Data) > MaxData {
		return fmt.Errorf("%w: entry %d has %d bytes, the limit is %d", ErrTooLarge, e.Index, len(e.Data), MaxData)
	}
	var fits bool
	switch e.Kind {
	case raft.EntryNoOp:
		fits = len(e.Data) == 0 && e.Config == nil
	case raft.EntryCommand:
		fits = e.Config == nil
	case raft.EntryConfig:
		fits = len(e.Data) == 0 && e.Config != nil
	default:
		return fmt.Errorf("%w: entry %d is of the unknown kind %d", ErrMalformed, e.Index, e.Kind)
	}
	if !fits {
		return fmt.Errorf("%w: the content of entry %d does not fit its kind %d", ErrMalformed, e.Index, e.Kind)
	}
	if e.Config != nil {
		return checkConfiguration(*e.Config)
	}
	return nil
}

// checkConfiguration holds what Configuration promises: sorted, without
// repeats, bounded.
func checkConfiguration(c raft.Configuration) error {
	if len(c.Members) > raft.MaxMembers {
		return fmt.Errorf("%w: %d members, the limit is %d", ErrMalformed, len(c.Members), raft.MaxMembers)
	}
	for i, m := range c.Members {
		if !m.ID.Valid() {
			return fmt.Errorf("%w: the member %q is not an ID", ErrMalformed, clip(m.ID))
		}
		if i > 0 && m.ID <= c.Members[i-1].ID {
			return fmt.Errorf("%w: member %s follows on %s", ErrMalformed, m.ID, c.Members[i-1].ID)
		}
		if m.Role < raft.Learner || m.Role > raft.HeldLearner {
			return fmt.Errorf("%w: member %s has the unknown role %d", ErrMalformed, m.ID, m.Role)
		}
		if err := checkText("the name of a member", m.Name, raft.MaxNameLen); err != nil {
			return err
		}
	}
	return nil
}

func checkIDOrNone(what string, id raft.NodeID) error {
	if id != "" && !id.Valid() {
		return fmt.Errorf("%w: the %s %q is not an ID", ErrMalformed, what, clip(id))
	}
	return nil
}

func checkText(what, s string, limit int) error {
	if len(s) > limit {
		return fmt.Errorf("%w: %s has %d bytes, the limit is %d", ErrTooLarge, what, len(s), limit)
	}
	if !utf8.ValidString(s) {
		return fmt.Errorf("%w: %s is not UTF-8", ErrMalformed, what)
	}
	return nil
}

// clip keeps errors about hostile input short.
func clip(id raft.NodeID) raft.NodeID {
	if len(id) > 2*raft.NodeIDLen {
		return id[:2*raft.NodeIDLen]
	}
	return id
}
