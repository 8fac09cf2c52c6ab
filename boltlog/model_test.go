package boltlog

import (
	"fmt"
	"math/rand/v2"
	"reflect"
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
		save(t, l, s)
		model.State = s.State
		if len(s.Entries) > 0 {
			model.Entries = append(model.Entries[:s.Entries[0].Index-1:s.Entries[0].Index-1], s.Entries...)
		}
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
	last := raft.Index(len(model.Entries))
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
	return s
}
