package server

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Limits of a commit window.
const (
	// MaxCommitWindow is the longest that may be set: well below the time after
	// which a leader that commits nothing steps down.
	MaxCommitWindow = 2 * time.Second
	// maxAdaptive is the longest that an adaptive window waits.
	maxAdaptive = 100 * time.Millisecond
	// windowBytes of entries are written at once: more together save nothing.
	windowBytes = 64 << 10
)

// window decides how long entries wait for others before they are written
// together. Each write costs a page of flash at least, however little it holds;
// what waits is acknowledged so much later. It belongs to the storage goroutine.
type window struct {
	fixed    time.Duration
	adaptive bool

	last     raft.HardState // of the save before
	arrivals uint64         // of saves, since the one before
	gap      time.Duration  // between two arrivals, about
	sync     time.Duration  // that a write takes, about
	wrote    time.Time      // when the last write began
}

// of is how long s may wait for others, from now on. A vote and a new term never
// wait, since an election does for them, nor what is promised in a founding, nor
// a snapshot.
func (w *window) of(s *raft.Save) time.Duration {
	if s.State.Term != w.last.Term || s.State.Vote != w.last.Vote || s.Founding != nil || s.Snapshot != nil || s.Reset {
		return 0
	}
	if size(s) >= windowBytes {
		return 0
	}
	if !w.adaptive {
		return w.fixed
	}
	// While one write is under way the next collects anyway. To wait for as long
	// again pays where that brings others, and where it does not it costs nothing
	// but time: so not at all where fewer than one would come.
	wait := min(2*w.sync, maxAdaptive)
	if w.gap == 0 || w.gap >= wait/2 { // one client alone, waiting for its answer, never comes sooner
		return 0
	}
	return wait
}

func size(s *raft.Save) int {
	n := 0
	for i := range s.Entries {
		n += s.Entries[i].Size()
	}
	return n
}

// written learns from a write of so many saves' worth, which began then and ends
// now.
func (w *window) written(s *raft.Save, arrivals uint64, began, now time.Time) {
	w.last = s.State
	w.sync = average(w.sync, now.Sub(began))
	if !w.wrote.IsZero() && arrivals > 0 {
		w.gap = average(w.gap, began.Sub(w.wrote)/time.Duration(arrivals))
	}
	w.wrote = began
}

// average is a running one, which forgets half in about three steps.
func average(before, now time.Duration) time.Duration {
	if before == 0 {
		return now
	}
	return before + (now-before)/4
}
