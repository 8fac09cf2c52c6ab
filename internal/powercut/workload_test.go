package powercut_test

import (
	"hash/crc32"
	"math/rand/v2"

	"github.com/edgeraft/edgeraft/raft"
)

// workload makes saves as a Raft core does. Everything comes from its source.
type workload struct {
	r   *rand.Rand
	seq uint64
	// growing: larger entries and hardly a snapshot, so that a disk is full soon.
	growing bool
}

// next is a save that follows on c.
func (w *workload) next(c content) raft.Save {
	w.seq++
	s := raft.Save{Seq: w.seq, State: c.State, First: max(c.First, 1)}
	if s.State.Term == 0 {
		s.State.Term, s.State.Cluster = 1, raft.ClusterIDFrom([16]byte{1})
	}
	last, had := c.last(), raft.Index(0)
	if c.Snapshot != nil {
		had = c.Snapshot.Index
	}
	switch what := w.r.IntN(100); {
	case what < 10: // a vote alone
		s.State.Term++
		s.State.Vote = raft.NodeIDFrom([10]byte{byte(w.r.IntN(3))})
		return s
	case what < 20 && last > s.State.Commit: // a new leader's entries over those of the old
		s.State.Term++
		s.State.Vote = ""
		w.entries(&s, s.State.Commit+1+raft.Index(w.r.IntN(int(last-s.State.Commit))))
	case what < 28 && s.State.Commit > had && (!w.growing || what == 20): // a snapshot of its own
		s.Snapshot = w.snapshot(c, had+1+raft.Index(w.r.IntN(int(s.State.Commit-had))))
		s.First += raft.Index(w.r.IntN(int(s.Snapshot.Index + 2 - s.First)))
		if w.r.IntN(2) == 0 {
			w.entries(&s, last+1)
		}
	case what < 31 && !w.growing: // the leader's snapshot in the place of everything
		s.State.Term++
		s.State.Vote = ""
		s.State.Commit += 1 + raft.Index(w.r.IntN(12))
		s.Snapshot = w.snapshot(content{State: s.State}, s.State.Commit)
		s.Reset, s.First = true, s.Snapshot.Index+1
		if w.r.IntN(2) == 0 {
			w.entries(&s, s.First)
		}
	default:
		w.entries(&s, last+1)
	}
	if n := len(s.Entries); n > 0 && w.r.IntN(4) > 0 {
		s.State.Commit += raft.Index(w.r.IntN(int(s.Entries[n-1].Index-s.State.Commit) + 1))
	}
	return s
}

// entries fills s with a batch that begins at first.
func (w *workload) entries(s *raft.Save, first raft.Index) {
	n := 1 + w.r.IntN(3)
	switch w.r.IntN(10) {
	case 0:
		n = 1 + w.r.IntN(50)
	case 1, 2, 3:
		n = 1 + w.r.IntN(16)
	}
	for i := range raft.Index(n) {
		e := raft.Entry{
			Index: first + i, Term: s.State.Term, Kind: raft.EntryCommand, ID: raft.ProposalID(w.r.Uint64()), Time: raft.Time(first + i),
		}
		size := 1 + w.r.IntN(200)
		if w.growing {
			size *= 16
		}
		if w.r.IntN(40) == 0 {
			size = 1 + w.r.IntN(10000)
		}
		if w.r.IntN(30) == 0 {
			e.Kind, e.ID, size = raft.EntryNoOp, 0, 0
		}
		e.Data = w.bytes(size)
		s.Entries = append(s.Entries, e)
	}
}

func (w *workload) bytes(n int) []byte {
	b := make([]byte, n)
	for i := range b {
		b[i] = byte(w.r.Uint32())
	}
	return b
}

func (w *workload) snapshot(c content, i raft.Index) *raft.Snapshot {
	term := c.State.Term
	for _, e := range c.Entries {
		if e.Index == i {
			term = e.Term
		}
	}
	data := w.bytes(w.r.IntN(3) * w.r.IntN(6000))
	return &raft.Snapshot{
		Index: i, Term: term, ConfigIndex: 1, Data: data, Sum: crc32.Checksum(data, crc32.MakeTable(crc32.Castagnoli)),
		Config: &raft.Configuration{Members: []raft.Member{{ID: raft.NodeIDFrom([10]byte{1}), Name: "a", Role: raft.Voter}}},
	}
}
