package raft

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// ParseClusterID reads what ClusterID.String wrote.
func ParseClusterID(text string) (ClusterID, error) {
	var c ClusterID
	b, err := hex.DecodeString(strings.ReplaceAll(text, "-", ""))
	if copy(c[:], b); err != nil || len(b) != len(c) || c.String() != text {
		return ClusterID{}, fmt.Errorf("%q is no UUID of a cluster, 32 digits and small letters a to f in five groups", text)
	}
	return c, nil
}

// SuccessorID makes the UUID of a cluster that is recovered from another one, of
// random bytes that the caller takes from a cryptographic source. It is of
// version 8 (RFC 9562 §5.8): half of it is random, and half a hash over that and
// the old one. So whoever knows both can tell which was made of which, and
// nothing need be stored or sent for that.
func SuccessorID(old ClusterID, random [16]byte) ClusterID {
	c := ClusterID(random)
	c[6] = c[6]&0x0f | 0x80
	copy(c[8:], successorHash(old, c[:8]))
	c[8] = c[8]&0x3f | 0x80
	return c
}

func successorHash(old ClusterID, random []byte) []byte {
	sum := sha256.Sum256(append(append([]byte("edgeraft recovered "), old[:]...), random...))
	return sum[:8]
}

// recovered reports whether c was made by SuccessorID of any.
func (c ClusterID) recovered() bool { return c[6]>>4 == 8 }

// Succeeds reports whether c was made by SuccessorID of old.
func (c ClusterID) Succeeds(old ClusterID) bool {
	if c.IsZero() || old.IsZero() || !c.recovered() {
		return false
	}
	want := successorHash(old, c[:8])
	want[0] = want[0]&0x3f | 0x80
	return bytes.Equal(c[8:], want)
}

// Holding is how far a log reaches: its last entry.
type Holding struct {
	Index Index
	Term  Term
}

// Beyond reports whether h is of a more advanced log than o, as elections go
// (§3.6.1). Of the survivors of a lost majority the most advanced has all that any
// of them has and that was committed up to the term of its last entry: whatever was
// committed in a term is in all logs with a later last entry (Leader Completeness,
// §3.6.3), and in those with one of that term which reach as far (Log Matching,
// §3.5). What others committed in later terms, of which no survivor has an entry, it
// need not have, even if another survivor holds it from before; nobody can tell.
func (h Holding) Beyond(o Holding) bool {
	return h.Term > o.Term || h.Term == o.Term && h.Index > o.Index
}

// Holding is that of what is stored.
func (s *Stored) Holding() Holding {
	last, _ := s.last()
	return Holding{last.Index, last.Term}
}

// last is the last entry, or what stands for it, and the configuration in force.
func (s *Stored) last() (Entry, *Configuration) {
	last, conf := Entry{}, noMembers
	if s := s.Snapshot; s != nil {
		last, conf = Entry{Index: s.Index, Term: s.Term, Time: s.Time}, s.Config
	}
	for _, e := range s.Entries {
		if e.Index <= last.Index {
			continue
		}
		last = e
		if e.Kind == EntryConfig {
			conf = e.Config
		}
	}
	return last, conf
}

// Recover makes a cluster of one of what a device has stored, when the majority
// of the cluster that it belonged to is gone for good, and returns the Save that
// does it. It is not Raft: an operator decides that nobody else is left, and takes
// the loss of what the others had and this device has not.
//
//   - All that is stored stays, committed or not. What was acknowledged is
//     committed, so a majority had it, and this device may be the only one that is
//     left of that; nothing here can tell. The index goes on where the log ends.
//   - The new configuration is one more entry, with this device as the only voter,
//     in force as soon as it is appended (§4.1). It bears a term of its own, and
//     the vote of that is not cast.
//   - The new UUID fences the others: each message carries its sender's, and those
//     of another cluster are dropped before anything looks at them. So no member of
//     the old cluster counts for, or follows, the new one; and what they commit
//     among themselves, should they be a majority after all, is not of this one.
//
// An error says why it makes no sense, and is ErrBadChange.
func Recover(from Stored, self Member, cluster ClusterID) (Save, error) {
	bad := func(why string) (Save, error) {
		return Save{}, fmt.Errorf("recover the cluster %v: %s: %w", from.State.Cluster, why, ErrBadChange)
	}
	last, conf := from.last()
	_, member := conf.Member(self.ID)
	switch {
	case from.State.Cluster.IsZero() || last.Index == 0:
		return bad("this device belongs to none, so it has nothing that could be recovered")
	case cluster.IsZero() || cluster == from.State.Cluster:
		return bad("the new cluster needs a UUID of its own")
	case !self.ID.Valid() || len(self.Name) > MaxNameLen:
		return bad("the device has no valid ID or name")
	case !member:
		return bad("this device is no member of it, by the last configuration that it has")
	case from.State.Term >= maxTerm || last.Index >= maxIndex:
		return bad("its terms or indexes are used up")
	}
	self.Role = Voter
	state := from.State
	state.Cluster, state.Term, state.Vote = cluster, from.State.Term+1, ""
	entry := Entry{
		Index: last.Index + 1, Term: state.Term, Time: last.Time, Kind: EntryConfig, Config: noMembers.with(self),
	}
	save := Save{Seq: 1, State: state, Entries: []Entry{entry}, First: entry.Index}
	if len(from.Entries) > 0 {
		save.First = from.Entries[0].Index
	}
	return save, nil
}
