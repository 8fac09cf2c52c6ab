package boltlog

import (
	"fmt"
	"hash/crc32"
	"math/rand/v2"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// TestRandomSaves compares random sequences of saves, with truncations and
// reopenings, with a model. A failure names its seed.
func TestRandomSaves(t *testing.T) {
	const sequences = 200
	for seed := range uint64(sequences) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			randomSaves(t, rand.New(rand.NewPCG(seed, 0)))
		})
	}
}

func randomSaves(t *testing.T, r *rand.Rand) {
	dir := t.TempDir()
	l, opened := open(t, dir)
	var model raft.Stored
	boot := opened.Identity.Boot
	for step := range 1 + r.IntN(12) {
		s := randomSave(r, model)
		if r.IntN(4) == 0 {
			s.Founding = randomFounding(r)
		}
		save(t, l, s)
		apply(&model, s)
		if r.IntN(4) > 0 {
			continue
		}
		mustClose(t, l)
		l, opened = open(t, dir)
		boot++
		compare(t, step, opened, model, boot)
	}
	mustClose(t, l)
	_, opened = open(t, dir)
	compare(t, -1, opened, model, boot+1)
}

// apply is what a save does, in the plainest words.
func apply(model *raft.Stored, s raft.Save) {
	model.State = s.State
	var entries []raft.Entry
	for _, e := range model.Entries {
		if !s.Reset && (len(s.Entries) == 0 || e.Index < s.Entries[0].Index) {
			entries = append(entries, e)
		}
	}
	entries = append(entries, s.Entries...)
	if s.Founding != nil {
		model.Founding = *s.Founding
	}
	if s.Snapshot != nil {
		model.Snapshot = s.Snapshot
		entries = slices.DeleteFunc(entries, func(e raft.Entry) bool { return e.Index < s.First })
	}
	model.Entries = entries
	if len(entries) == 0 {
		model.Entries = nil
	}
}

// ends is where the model's log begins, after, and ends.
func ends(model raft.Stored) (base, last raft.Index) {
	if model.Snapshot != nil {
		base = model.Snapshot.Index
		last = base
	}
	if n := len(model.Entries); n > 0 {
		base, last = model.Entries[0].Index-1, max(last, model.Entries[n-1].Index)
	}
	return base, last
}

func compare(t *testing.T, step int, got Opened, model raft.Stored, boot uint64) {
	t.Helper()
	if got.Identity.Boot != boot {
		t.Fatalf("step %d: boot %d, want %d", step, got.Identity.Boot, boot)
	}
	if !reflect.DeepEqual(got.Stored, model) {
		t.Fatalf("step %d: %s", step, difference(got.Stored, model))
	}
}

// difference says in one line where got is not want.
func difference(got, want raft.Stored) string {
	if got.State != want.State {
		return fmt.Sprintf("state %+v, want %+v", got.State, want.State)
	}
	if !reflect.DeepEqual(got.Founding, want.Founding) {
		return fmt.Sprintf("founding %+v, want %+v", got.Founding, want.Founding)
	}
	if !reflect.DeepEqual(got.Snapshot, want.Snapshot) {
		return "the snapshot is another"
	}
	for i, e := range got.Entries {
		if i < len(want.Entries) && !reflect.DeepEqual(e, want.Entries[i]) {
			return fmt.Sprintf("entry %d of term %d, want entry %d of term %d",
				e.Index, e.Term, want.Entries[i].Index, want.Entries[i].Term)
		}
	}
	return fmt.Sprintf("%d entries, want %d", len(got.Entries), len(want.Entries))
}

// randomSave makes a save as the core could: entries follow on a random
// uncommitted place of the model, terms never fall.
func randomSave(r *rand.Rand, model raft.Stored) raft.Save {
	s := raft.Save{State: model.State}
	s.State.Term += raft.Term(r.IntN(2))
	if r.IntN(3) == 0 {
		s.State.Vote = raft.NodeIDFrom([10]byte{byte(r.IntN(3))})
	}
	_, last := ends(model)
	if r.IntN(6) == 0 {
		return resetting(r, s)
	}
	if n := r.IntN(30); n > 0 && r.IntN(5) > 0 {
		first := s.State.Commit + 1 + raft.Index(r.IntN(int(last-s.State.Commit)+1))
		for i := range raft.Index(n) {
			e := raft.Entry{Index: first + i, Term: s.State.Term, Kind: raft.EntryCommand, ID: raft.ProposalID(r.Uint64())}
			if size := r.IntN(400); size > 0 {
				e.Data = make([]byte, size*size/16+1)
				for k := range e.Data {
					e.Data[k] = byte(r.Uint32())
				}
			}
			s.Entries = append(s.Entries, e)
		}
		last = first + raft.Index(n) - 1
	}
	if r.IntN(2) == 0 {
		s.State.Commit += raft.Index(r.IntN(int(last-s.State.Commit) + 1))
	}
	had := raft.Index(0)
	if model.Snapshot != nil {
		had = model.Snapshot.Index
	}
	if base, _ := ends(model); s.State.Commit > had && r.IntN(3) == 0 {
		s.Snapshot = randomSnapshot(r, had+1+raft.Index(r.IntN(int(s.State.Commit-had))), s.State.Term)
		s.First = base + 1 + raft.Index(r.IntN(int(s.Snapshot.Index-base)+1))
	}
	return s
}

// resetting makes a save that puts a snapshot of the leader's in the place of
// everything.
func resetting(r *rand.Rand, s raft.Save) raft.Save {
	s.State.Term++
	s.State.Commit += 1 + raft.Index(r.IntN(12)) // often below what is there, which conflicts
	s.Snapshot = randomSnapshot(r, s.State.Commit, s.State.Term)
	s.Reset, s.First = true, s.Snapshot.Index+1
	for i := range raft.Index(r.IntN(3)) {
		s.Entries = append(s.Entries, raft.Entry{Index: s.First + i, Term: s.State.Term, Kind: raft.EntryNoOp})
	}
	return s
}

// randomFounding is anything that a device may have promised, with founders so
// many that no page of the file has room for them.
func randomFounding(r *rand.Rand) *raft.Founding {
	id := func(i int) raft.NodeID { return raft.NodeIDFrom([10]byte{byte(i)}) }
	var f raft.Founding
	if r.IntN(4) == 0 {
		return &f
	}
	f.Promised = raft.Ballot{Round: 2 + r.Uint64N(100), Proposer: id(r.IntN(3))}
	if n := r.IntN(raft.MaxExpect + 1); n > 0 {
		conf := &raft.Configuration{}
		for i := range n {
			conf.Members = append(conf.Members, raft.Member{ID: id(i), Name: strings.Repeat("n", raft.MaxNameLen), Role: raft.Voter})
		}
		slices.SortFunc(conf.Members, func(a, b raft.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
		f.Accepted, f.Charter = raft.Ballot{Round: 1, Proposer: id(0)}, &raft.Charter{Cluster: raft.ClusterIDFrom([16]byte{1}), Config: conf}
	}
	return &f
}

func randomSnapshot(r *rand.Rand, i raft.Index, term raft.Term) *raft.Snapshot {
	data := make([]byte, r.IntN(3)*r.IntN(3*snapshotPiece)+r.IntN(2))
	for k := range data {
		data[k] = byte(r.Uint32())
	}
	return &raft.Snapshot{
		Index: i, Term: max(term, 1), ConfigIndex: 1, Data: data, Sum: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)),
		Config: &raft.Configuration{Members: []raft.Member{{ID: raft.NodeIDFrom([10]byte{1}), Name: "a", Role: raft.Voter}}},
	}
}
