package raft

import (
	"encoding/base32"
	"fmt"
	"strings"
)

// Term is a period of at most one leader (thesis §3.3). It is a type of its
// own so that it cannot be swapped with an Index by accident.
type Term uint64

// Index is a position in the log. The first entry has index 1; 0 means none.
type Index uint64

// NodeID identifies one device for as long as its database lives: 16
// characters of [a-z2-7] (80 random bits). Names and addresses are labels
// beside it. A reflashed card gets a new one, because a device that forgot its
// vote must not come back as the one that cast it.
type NodeID string

// NodeIDLen is the length of every valid NodeID, in bytes.
const NodeIDLen = 16

var idEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)

// NodeIDFrom makes a NodeID of random bytes, which the caller takes from a
// cryptographic source.
func NodeIDFrom(b [10]byte) NodeID {
	return NodeID(strings.ToLower(idEncoding.EncodeToString(b[:])))
}

// Valid reports whether id has the form that NodeIDFrom makes. IDs arrive from
// the network and from announcements, so every decoder asks.
func (id NodeID) Valid() bool {
	if len(id) != NodeIDLen {
		return false
	}
	for _, c := range []byte(id) {
		if (c < 'a' || c > 'z') && (c < '2' || c > '7') {
			return false
		}
	}
	return true
}

// ClusterID is the UUID a cluster gets when it is founded. Every message
// carries it; the zero value means "belongs to no cluster yet".
type ClusterID [16]byte

// ClusterIDFrom makes a version 4 UUID (RFC 9562 §5.4) of random bytes, which
// the caller takes from a cryptographic source.
func ClusterIDFrom(b [16]byte) ClusterID {
	c := ClusterID(b)
	c[6] = c[6]&0x0f | 0x40
	c[8] = c[8]&0x3f | 0x80
	return c
}

// IsZero reports whether c stands for "no cluster".
func (c ClusterID) IsZero() bool { return c == ClusterID{} }

// String is the canonical 8-4-4-4-12 form.
func (c ClusterID) String() string {
	return fmt.Sprintf("%x-%x-%x-%x-%x", c[0:4], c[4:6], c[6:8], c[8:10], c[10:16])
}

// EntryKind says what an Entry holds.
type EntryKind uint8

// The kinds of entry. The numbers are stored and sent: never reuse one.
const (
	EntryNoOp    EntryKind = 1 // a new leader's first entry (thesis §3.6.2, §6.4)
	EntryCommand EntryKind = 2 // a command for the App, in Data
	EntryConfig  EntryKind = 3 // a new configuration, in Config
)

// ProposalID is how the device on which a command was proposed recognises it
// when it is committed. It is unique with overwhelming probability: see
// Config.ProposalBase. Zero means "nobody waits".
type ProposalID uint64

// Entry is one record of the log. Entries are immutable once made: they are
// shared between the log, messages and the App without copying.
type Entry struct {
	Index  Index
	Term   Term
	Kind   EntryKind
	ID     ProposalID
	Time   Time           // when the leader appended it; never decreases along a log
	Data   []byte         // EntryCommand only
	Config *Configuration // EntryConfig only
}

// entryOverhead is what an entry costs beside its data, in bytes: its struct
// in memory, and near enough its framing in a message.
const entryOverhead = 96

// Size is the entry's cost against limits on memory and messages, in bytes.
func (e Entry) Size() int {
	n := entryOverhead + len(e.Data)
	if e.Config != nil {
		n += len(e.Config.Members) * (entryOverhead + NodeIDLen)
	}
	return n
}

// HardState is what must be on stable storage before a promise that depends on
// it leaves the device (thesis fig. 3.1 "persistent state").
type HardState struct {
	Cluster ClusterID // set once: by founding, or by the first leader that speaks to a blank device
	Term    Term
	Vote    NodeID // whom this device voted for in Term; "" for nobody
	Commit  Index  // a lower bound, saved only along with something else
}

// Save is one durable write. Everything in it becomes durable together, or
// nothing does.
type Save struct {
	// Seq numbers saves from 1 in the order they must become durable. It is
	// handed back to Core.Saved.
	Seq uint64
	// State is whole, never a difference.
	State HardState
	// Reset, when set, drops every stored entry first: they are not the
	// cluster's, or the Snapshot stands for them.
	Reset bool
	// Entries, when not empty, replace every stored entry from
	// Entries[0].Index on. They are contiguous, and the first follows directly
	// on, or overwrites, what is stored, or follows on the Snapshot.
	Entries []Entry
	// Snapshot, when not nil, replaces the stored one.
	Snapshot *Snapshot
	// First is the first entry that is still needed; stored ones below it may
	// go. It is at most one above the index of the stored Snapshot.
	First Index
	// Founding, when not nil, replaces what is stored of a founding; the zero
	// Founding removes it.
	Founding *Founding
}

// Snapshot is the state after an entry, which stands for all entries up to it.
// It holds nothing that is not committed. It is immutable once made.
type Snapshot struct {
	Index Index
	Term  Term
	Time  Time // of entry Index
	// Config is the configuration in force at Index, ConfigIndex where it
	// stands.
	Config      *Configuration
	ConfigIndex Index
	// Data is what the App made of its state, Sum its CRC-32C.
	Data []byte
	Sum  uint32
}

// Merge appends the later save next to s, so that both go to stable storage in
// one write (group commit).
func (s *Save) Merge(next Save) {
	s.Seq, s.State, s.First = next.Seq, next.State, next.First
	if next.Snapshot != nil {
		s.Snapshot = next.Snapshot
	}
	if next.Founding != nil {
		s.Founding = next.Founding
	}
	if next.Reset {
		s.Reset, s.Entries = true, next.Entries
		return
	}
	if len(next.Entries) == 0 {
		return
	}
	keep := len(s.Entries)
	for keep > 0 && s.Entries[keep-1].Index >= next.Entries[0].Index {
		keep--
	}
	// The slice may still be shared with the core, so it is never written in
	// place: the capacity is cut to force a copy.
	s.Entries = append(s.Entries[:keep:keep], next.Entries...)
}

// Stored is what a Log held when it was opened: the input for New.
type Stored struct {
	State    HardState
	Founding Founding  // of a device that belongs to no cluster yet
	Snapshot *Snapshot // nil: none
	// Entries are contiguous. The first has index 1, or at most one above that
	// of the Snapshot.
	Entries []Entry
}
