package rafttest

import "github.com/edgeraft/edgeraft/raft"

// history is a log with, for each entry, a digest of everything up to it: two
// logs are equal up to an index exactly if the digests there are.
type history struct {
	entries []raft.Entry
	digests []uint64
	config  raft.Index // of the newest configuration, 0 for none
}

func (h *history) last() raft.Index { return raft.Index(len(h.entries)) }

// digest returns the digest up to i, 0 for the empty log, and whether the log
// reaches that far.
func (h *history) digest(i raft.Index) (uint64, bool) {
	if i == 0 {
		return 0, true
	}
	if i > h.last() {
		return 0, false
	}
	return h.digests[i-1], true
}

func (h *history) term(i raft.Index) raft.Term {
	if i == 0 || i > h.last() {
		return 0
	}
	return h.entries[i-1].Term
}

// cut drops everything from i on.
func (h *history) cut(i raft.Index) {
	if i <= h.last() {
		h.entries, h.digests = h.entries[:i-1], h.digests[:i-1]
	}
	h.config = min(h.config, h.last())
	for h.config > 0 && h.entries[h.config-1].Kind != raft.EntryConfig {
		h.config--
	}
}

// replace drops everything from es[0] on and puts es there.
func (h *history) replace(es []raft.Entry) {
	if len(es) == 0 {
		return
	}
	h.cut(es[0].Index)
	for _, e := range es {
		before, _ := h.digest(h.last())
		h.entries = append(h.entries, e)
		if e.Kind == raft.EntryConfig {
			h.config = e.Index
		}
		h.digests = append(h.digests, mix(before^digestOf(e)))
	}
}

// digestOf is the digest of one entry with all it holds.
func digestOf(e raft.Entry) uint64 {
	d := mix(uint64(e.Index))
	for _, v := range []uint64{uint64(e.Term), uint64(e.Kind), uint64(e.ID), uint64(len(e.Data))} {
		d = mix(d ^ v)
	}
	for _, b := range e.Data {
		d = mix(d ^ uint64(b))
	}
	if e.Config != nil {
		for _, m := range e.Config.Members {
			d = mix(d ^ uint64(m.Role))
			for _, b := range []byte(m.ID) {
				d = mix(d ^ uint64(b))
			}
		}
	}
	return d
}
