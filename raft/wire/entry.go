package wire

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// entryVersion is the version of a stored entry.
const entryVersion = 2

// storedEntry is raft.Entry as it is stored; fields as in entry.
type storedEntry struct {
	_       struct{} `cbor:",toarray"`
	Index   raft.Index
	Term    raft.Term
	Kind    raft.EntryKind
	ID      raft.ProposalID
	Data    []byte
	Members []member
	Time    raft.Time
}

// entry is raft.Entry as it is sent, and was stored as version 1, but for its
// time: a message has that in a list of its own. Members is empty unless the
// entry holds a configuration.
type entry struct {
	_       struct{} `cbor:",toarray"`
	Index   raft.Index
	Term    raft.Term
	Kind    raft.EntryKind
	ID      raft.ProposalID
	Data    []byte
	Members []member
}

// member is raft.Member as it is encoded.
type member struct {
	_    struct{} `cbor:",toarray"`
	ID   raft.NodeID
	Name string
	Role raft.MemberRole
}

// AppendEntry appends the stored form of e to dst.
func AppendEntry(dst []byte, e raft.Entry) ([]byte, error) {
	if err := checkEntry(e); err != nil {
		return dst, fmt.Errorf("encode entry %d: %w", e.Index, err)
	}
	w := fromEntry(e)
	out, err := AppendStored(dst, entryVersion, &storedEntry{
		Index: w.Index, Term: w.Term, Kind: w.Kind, ID: w.ID, Data: w.Data, Members: w.Members, Time: e.Time,
	})
	if err != nil {
		return dst, fmt.Errorf("encode entry %d: %w", e.Index, err)
	}
	return out, nil
}

// DecodeEntry reads the stored form of an entry. Data without bytes is nil.
func DecodeEntry(b []byte) (raft.Entry, error) {
	w, time, err := decodeStoredEntry(b)
	if err != nil {
		return raft.Entry{}, fmt.Errorf("decode a stored entry: %w", err)
	}
	e, err := w.entry()
	if err != nil {
		return raft.Entry{}, fmt.Errorf("decode a stored entry: %w", err)
	}
	e.Time = time
	return e, nil
}

func decodeStoredEntry(b []byte) (entry, raft.Time, error) {
	if len(b) > 0 && b[0] == 1 { // from before entries had a time
		var w entry
		err := DecodeStored(b, 1, &w)
		return w, 0, err
	}
	var w storedEntry
	err := DecodeStored(b, entryVersion, &w)
	return entry{Index: w.Index, Term: w.Term, Kind: w.Kind, ID: w.ID, Data: w.Data, Members: w.Members}, w.Time, err
}

func fromEntry(e raft.Entry) entry {
	w := entry{Index: e.Index, Term: e.Term, Kind: e.Kind, ID: e.ID, Data: e.Data}
	if e.Config != nil {
		w.Members = fromConfiguration(e.Config)
	}
	return w
}

func fromConfiguration(c *raft.Configuration) []member {
	if c == nil {
		return nil
	}
	members := make([]member, len(c.Members))
	for i, m := range c.Members {
		members[i] = member{ID: m.ID, Name: m.Name, Role: m.Role}
	}
	return members
}

func toConfiguration(members []member) *raft.Configuration {
	c := &raft.Configuration{Members: make([]raft.Member, len(members))}
	for i, m := range members {
		c.Members[i] = raft.Member{ID: m.ID, Name: m.Name, Role: m.Role}
	}
	return c
}

// entry checks and converts what was decoded.
func (w *entry) entry() (raft.Entry, error) {
	e := raft.Entry{Index: w.Index, Term: w.Term, Kind: w.Kind, ID: w.ID, Data: orNil(w.Data)}
	switch {
	case w.Kind == raft.EntryConfig:
		e.Config = toConfiguration(w.Members)
	case len(w.Members) > 0:
		return raft.Entry{}, fmt.Errorf("%w: members in an entry of kind %d", ErrMalformed, w.Kind)
	}
	return e, checkEntry(e)
}
