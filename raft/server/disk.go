package server

import (
	"errors"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// disk is the storage goroutine. Saves that arrive while one is being written
// are merged and written as one (group commit), so what waits is a single
// Save, bounded by the core's limit on unsaved entries.
type disk struct {
	log     Log
	results chan result
	window  window

	// Of the goroutine alone:
	state raft.HardState // the last one that is durable
	full  bool           // what waits did not fit: it is tried again now and then
	short bool           // as reported last

	mu      sync.Mutex
	waiting *raft.Save
	arrived uint64        // saves that waiting was merged of
	began   time.Time     // of the write under way; zero: none is
	wake    chan struct{} // has one element when there may be work
	quit    chan struct{}
	ended   chan struct{}
}

// result reports how far saves are durable, or the final error.
type result struct {
	seq   uint64 // everything up to this Save is, 0: nothing new
	state uint64 // the hard state of this Save is, 0: nothing new
	short bool   // there is no room for further commands
	err   error
}

// roomEvery is how often it is looked whether there is room again. Where the file
// system says that there is none it costs no write.
const roomEvery = time.Second

func newDisk(log Log, w window, state raft.HardState) *disk {
	return &disk{
		log: log, window: w, state: state, results: make(chan result, 1),
		wake: make(chan struct{}, 1), quit: make(chan struct{}), ended: make(chan struct{}),
	}
}

// put queues a save. It does not block.
func (d *disk) put(s raft.Save) {
	d.mu.Lock()
	if d.waiting == nil {
		d.waiting = &s
	} else {
		d.waiting.Merge(s)
	}
	d.arrived++
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *disk) take() (s *raft.Save, arrived uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	s, arrived = d.waiting, d.arrived
	d.waiting, d.arrived = nil, 0
	return s, arrived
}

// patience is how long what waits may wait for others.
func (d *disk) patience() time.Duration {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting == nil {
		return 0
	}
	return d.window.of(d.waiting)
}

// collect waits while the window says so, and reports false when all ends. What
// comes meanwhile may end it.
func (d *disk) collect() bool {
	wait := d.patience()
	if wait <= 0 {
		return true
	}
	over := time.NewTimer(wait)
	defer over.Stop()
	for {
		select {
		case <-over.C:
			return true
		case <-d.quit:
			return false
		case <-d.wake:
			if d.patience() <= 0 {
				return true
			}
		}
	}
}

func (d *disk) run() {
	defer close(d.ended)
	if d.short = d.log.Short(); d.short {
		select {
		case d.results <- result{short: true}:
		case <-d.quit:
			return
		}
	}
	retry := time.NewTicker(roomEvery)
	defer retry.Stop()
	retry.Stop()
	for ticking := false; ; {
		if again := d.full || d.short; again != ticking {
			ticking = again
			if again {
				retry.Reset(roomEvery)
			} else {
				retry.Stop()
			}
		}
		select {
		case <-d.wake:
			if d.full && !d.promising() {
				continue
			}
		case <-retry.C:
		case <-d.quit:
			return
		}
		if !d.full && !d.collect() {
			return
		}
		r, tell := d.write()
		if !tell {
			continue
		}
		select {
		case d.results <- r:
		case <-d.quit:
			return
		}
		if r.err != nil {
			return
		}
	}
}

// write writes what waits, and reports what there is to tell.
func (d *disk) write() (r result, tell bool) {
	s, arrived := d.take()
	if s != nil {
		began := time.Now()
		d.setBegan(began)
		r.err = d.log.Save(*s)
		if alone, rest, ok := snapshotFirst(s, d.state.Commit); ok && errors.Is(r.err, raft.ErrDiskFull) {
			if r.err = d.log.Save(alone); r.err == nil {
				s, d.state, r.state = &rest, alone.State, alone.Seq
				r.err = d.log.Save(rest)
			}
		}
		d.setBegan(time.Time{})
		d.window.written(s, arrived, began, time.Now())
		switch {
		case errors.Is(r.err, raft.ErrDiskFull):
			if state := r.state; state != 0 {
				r, d.full = result{state: state}, true
			} else {
				r = d.writeState(s)
			}
			d.putBack(*s, arrived)
		case r.err == nil:
			r.seq, d.state, d.full = s.Seq, s.State, false
		}
	}
	r.short = d.log.Short()
	tell = r.seq != 0 || r.state != 0 || r.err != nil || r.short != d.short
	d.short = r.short
	return r, tell
}

// snapshotFirst parts a save of a snapshot and of entries in two, to be saved one
// after the other. A full disk has room for a snapshot, and more once the log that
// it stands for is gone, but not for entries beside it. commit is what is durable.
func snapshotFirst(s *raft.Save, commit raft.Index) (alone, rest raft.Save, ok bool) {
	if s.Snapshot == nil || len(s.Entries) == 0 {
		return alone, rest, false
	}
	at, first := s.Snapshot.Index, s.Entries[0].Index
	alone = raft.Save{Seq: s.Seq, State: s.State, Snapshot: s.Snapshot, Reset: s.Reset, First: s.First}
	alone.State.Commit = max(commit, at)
	rest = *s
	rest.Snapshot, rest.Reset = nil, false
	if first <= at+1 {
		// The entries replace all that is stored behind the snapshot, and perhaps
		// some of what it stands for: none of that may be left beside it.
		alone.Reset, alone.First = true, at+1
		rest.Entries = s.Entries[min(at+1-first, raft.Index(len(s.Entries))):]
	}
	return alone, rest, true
}

// writeState writes what there is always room for: of a save that did not fit the
// hard state, where somebody waits for it.
func (d *disk) writeState(s *raft.Save) (r result) {
	d.full = true
	if !d.changes(s) {
		return r
	}
	alone := raft.Save{Seq: s.Seq, State: s.State, Founding: s.Founding, First: s.First}
	// Others may be stored in the place of the entries that it says are committed.
	alone.State.Commit = d.state.Commit
	switch err := d.log.Save(alone); {
	case errors.Is(err, raft.ErrDiskFull):
	case err != nil:
		r.err = err
	default:
		r.state, d.state = s.Seq, alone.State
	}
	return r
}

// changes reports whether s has another hard state than is durable, apart from the
// commit index.
func (d *disk) changes(s *raft.Save) bool {
	return s.State.Term != d.state.Term || s.State.Vote != d.state.Vote || s.State.Cluster != d.state.Cluster || s.Founding != nil
}

// promising reports whether such a save waits.
func (d *disk) promising() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.waiting != nil && d.changes(d.waiting)
}

// putBack has what did not fit wait again, before what came meanwhile.
func (d *disk) putBack(s raft.Save, arrived uint64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.waiting != nil {
		s.Merge(*d.waiting)
	}
	d.waiting = &s
	d.arrived += arrived
}

// stop ends the goroutine and waits for a write under way: whoever owns the
// log may close it afterwards.
func (d *disk) stop() {
	close(d.quit)
	<-d.ended
}
