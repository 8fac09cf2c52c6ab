package powercut_test

import (
	"bytes"
	"fmt"
	"reflect"
	"slices"

	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/raft"
)

// content is what a device holds. Entries are all since the last reset; those
// below First may be gone.
type content struct {
	State    raft.HardState
	Snapshot *raft.Snapshot
	Entries  []raft.Entry
	First    raft.Index
}

func (c content) last() raft.Index {
	var last raft.Index
	if c.Snapshot != nil {
		last = c.Snapshot.Index
	}
	if n := len(c.Entries); n > 0 {
		last = max(last, c.Entries[n-1].Index)
	}
	return last
}

// below returns the entries before index i, without sharing room behind them.
func below(entries []raft.Entry, i raft.Index) []raft.Entry {
	n := len(entries)
	for n > 0 && entries[n-1].Index >= i {
		n--
	}
	return slices.Clip(entries[:n])
}

// after is c after a save, in the plainest words.
func (c content) after(s raft.Save) content {
	c.State = s.State
	if s.Reset {
		c.Entries, c.First = nil, 0
	}
	if len(s.Entries) > 0 {
		c.Entries = append(below(c.Entries, s.Entries[0].Index), s.Entries...)
	}
	if s.Snapshot != nil {
		c.Snapshot = s.Snapshot
	}
	c.First = max(c.First, s.First)
	return c
}

// matches says in what got is not c; "" if it is.
func (c content) matches(got raft.Stored) string {
	if got.State != c.State {
		return fmt.Sprintf("state %+v, want %+v", got.State, c.State)
	}
	if w, g := c.Snapshot, got.Snapshot; (w == nil) != (g == nil) || w != nil && (w.Index != g.Index || w.Term != g.Term ||
		w.ConfigIndex != g.ConfigIndex || !reflect.DeepEqual(w.Config, g.Config) || !bytes.Equal(w.Data, g.Data)) {
		return "the snapshot is another"
	}
	var last raft.Index
	if got.Snapshot != nil {
		last = got.Snapshot.Index
	}
	if n := len(got.Entries); n > 0 {
		last = max(last, got.Entries[n-1].Index)
	}
	if last != c.last() {
		return fmt.Sprintf("ends at %d, want %d", last, c.last())
	}
	if need := max(c.First, 1); need <= last && len(c.Entries) > 0 && c.Entries[len(c.Entries)-1].Index >= need &&
		(len(got.Entries) == 0 || got.Entries[0].Index > need) {
		return fmt.Sprintf("entries from %d on are missing", need)
	}
	for i, e := range got.Entries {
		if i > 0 && e.Index != got.Entries[i-1].Index+1 {
			return fmt.Sprintf("entry %d follows on %d", e.Index, got.Entries[i-1].Index)
		}
		at := int(e.Index) - int(c.base()) - 1
		if at < 0 || at >= len(c.Entries) || !sameEntry(e, c.Entries[at]) {
			return fmt.Sprintf("entry %d of term %d was never saved there", e.Index, e.Term)
		}
	}
	return ""
}

// base is the index before the first of c.Entries.
func (c content) base() raft.Index {
	if len(c.Entries) == 0 {
		return 0
	}
	return c.Entries[0].Index - 1
}

func sameEntry(a, b raft.Entry) bool {
	return a.Index == b.Index && a.Term == b.Term && a.Kind == b.Kind && a.ID == b.ID && a.Time == b.Time &&
		bytes.Equal(a.Data, b.Data) && reflect.DeepEqual(a.Config, b.Config)
}

// promise is what a device owes to others at some moment.
type promise struct {
	Known    bool // an Open returned, so that the identity may be in use
	ID       raft.NodeID
	Boot     uint64
	Content  content    // acknowledged
	InFlight *raft.Save // begun and not acknowledged
}

// keeps returns which of the allowed contents was found, or an error. What is
// allowed is what was acknowledged, and that with the save in flight: with all
// of it, or, where it has but hard state and entries, with the hard state and
// the first of the entries.
func (p promise) keeps(got boltlog.Opened) (content, error) {
	if p.Known && got.Identity.ID != p.ID {
		return content{}, fmt.Errorf("identity %s, was %s", got.Identity.ID, p.ID)
	}
	if got.Identity.Boot <= p.Boot {
		return content{}, fmt.Errorf("boot %d is used again: %d was acknowledged", got.Identity.Boot, p.Boot)
	}
	why := p.Content.matches(got.Stored)
	if why == "" {
		return p.Content, nil
	}
	if p.InFlight == nil {
		return content{}, fmt.Errorf("not what was acknowledged: %s", why)
	}
	whole := p.Content.after(*p.InFlight)
	whyNot := whole.matches(got.Stored)
	if whyNot == "" {
		return whole, nil
	}
	if part, ok := p.part(got.Stored); ok {
		return part, nil
	}
	return content{}, fmt.Errorf("neither what was acknowledged (%s) nor with the save in flight (%s)", why, whyNot)
}

func (p promise) part(got raft.Stored) (content, bool) {
	s := *p.InFlight
	if s.Snapshot != nil || s.Reset {
		return content{}, false
	}
	// The commit index is a lower bound, and there may be fewer entries.
	if got.State.Commit < p.Content.State.Commit || got.State.Commit > s.State.Commit {
		return content{}, false
	}
	s.State.Commit = got.State.Commit
	all := s.Entries
	for n := range len(all) + 1 {
		s.Entries = all[:n]
		if c := p.Content.after(s); c.matches(got) == "" {
			return c, true
		}
	}
	return content{}, false
}

// mark is something that the program under test was told or answered, at a
// place in the recording.
type mark struct {
	Start   *raft.Save      // a save begins
	Done    bool            // it is acknowledged
	Refused bool            // it was not begun, for want of room
	Opened  *boltlog.Opened // Open returned this
}

// after is the promise after a mark. An error is an Open that broke it.
func (p promise) after(m mark) (promise, error) {
	switch {
	case m.Start != nil:
		p.InFlight = m.Start
	case m.Refused:
		p.InFlight = nil
	case m.Done:
		p.Content, p.InFlight = p.Content.after(*p.InFlight), nil
	case m.Opened != nil:
		c, err := p.keeps(*m.Opened)
		if err != nil {
			return p, err
		}
		id := m.Opened.Identity
		p = promise{Known: true, ID: id.ID, Boot: id.Boot, Content: c}
	}
	return p, nil
}
