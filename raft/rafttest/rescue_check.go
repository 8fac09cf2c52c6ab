package rafttest

import "github.com/edgeraft/edgeraft/raft"

// account checks what is kept and what is lost against what is announced: all up to
// what the recovered device knows to be committed is kept; of the rest all that any
// survivor has, unless it was committed in a term of which no survivor has an entry.
func (r *rescueRun) account(survivors []*Node, best *Node) {
	c, committed := r.old, &r.old.check.committed
	has := func(n *Node, i raft.Index) bool {
		want, _ := committed.digest(i)
		have, ok := n.Disk.entries.digest(i)
		return ok && have == want
	}
	var last raft.Term // that any survivor has an entry of
	for _, n := range survivors {
		last = max(last, n.Disk.entries.term(n.Disk.entries.last()))
	}
	for i := raft.Index(1); i <= committed.last(); i++ {
		if has(best, i) {
			r.kept++
			continue
		}
		r.lost++
		if i <= best.Disk.state.Commit {
			c.violate("what is lost is announced", "%v says that all is kept up to %d, and entry %d is not", best, best.Disk.state.Commit, i)
		}
		for _, n := range survivors {
			if has(n, i) && c.check.by[i-1] <= last {
				c.violate("what a survivor holds is kept", "entry %d was committed, %v has it, and %v was recovered, which has not", i, n, best)
			}
		}
	}
}

// checkKept sees that what was recovered has all that the device had.
func (r *rescueRun) checkKept(best *Node) {
	before, after := &best.Disk.entries, &best.moved.Disk.entries
	want, _ := before.digest(before.last())
	if have, ok := after.digest(before.last()); !ok || have != want {
		r.old.violate("what the recovered device holds is kept", "%v had %d entries, and has others now, %d of them", best, before.last(), after.last())
	}
}

// checkOld sees that a minority of the old cluster, and a majority that was told of
// the new one, committed nothing but what the survivors had acknowledged before, of
// which they learned late and which the new cluster has, and that what was proposed
// in one cluster got into no other.
func (r *rescueRun) checkOld() {
	c, f := r.old, r.fresh
	for i := r.frozen + 1; i <= len(c.check.committed.entries) && (!r.quorate || r.told); i++ {
		want, _ := c.check.committed.digest(raft.Index(i))
		if have, ok := r.best.Disk.entries.digest(raft.Index(i)); !ok || have != want {
			c.violate("the lost commit nothing", "%d entries were committed when the cluster was given up; %d is now; a quorum is back: %v, and was told: %v", r.frozen, i, r.quorate, r.told)
		}
	}
	for _, op := range c.ops[r.before:] {
		if at, ok := f.check.byID[op.ID]; ok && op.ID != 0 {
			f.violate("clusters do not mix", "proposal %d of the old cluster, made after it was given up, is committed at %d in the new one", op.ID, at)
		}
	}
	for _, op := range f.ops {
		if at, ok := c.check.byID[op.ID]; ok && op.ID != 0 {
			c.violate("clusters do not mix", "proposal %d of the new cluster is committed at %d in the old one", op.ID, at)
		}
	}
}

// quorum reports whether devices of the old cluster can commit among themselves, by
// any configuration that may be in force on one of them: the newest committed one,
// and those behind it.
func (r *rescueRun) quorum(of map[raft.NodeID]bool) bool {
	for _, n := range r.old.Nodes {
		for _, h := range []history{n.log, n.Disk.entries} {
			for i := h.config; i > 0 && of[n.ID]; i-- {
				conf := h.entries[i-1].Config
				if conf == nil {
					continue
				}
				voters := 0
				for _, m := range conf.Members {
					if of[m.ID] && m.Role == raft.Voter {
						voters++
					}
				}
				if voters >= conf.Quorum() {
					return true
				}
				if i <= raft.Index(r.frozen) {
					break
				}
			}
		}
	}
	return false
}
