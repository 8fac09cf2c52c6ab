package server

import (
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

	mu      sync.Mutex
	waiting *raft.Save
	arrived uint64        // saves that waiting was merged of
	began   time.Time     // of the write under way; zero: none is
	wake    chan struct{} // has one element when there may be work
	quit    chan struct{}
	ended   chan struct{}
}

// result reports that everything up to Save seq is durable, or the final error.
type result struct {
	seq uint64
	err error
}

func newDisk(log Log, w window) *disk {
	return &disk{
		log: log, window: w, results: make(chan result, 1),
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
	for {
		select {
		case <-d.wake:
		case <-d.quit:
			return
		}
		if !d.collect() {
			return
		}
		s, arrived := d.take()
		if s == nil {
			continue
		}
		began := time.Now()
		d.setBegan(began)
		err := d.log.Save(*s)
		d.setBegan(time.Time{})
		d.window.written(s, arrived, began, time.Now())
		select {
		case d.results <- result{s.Seq, err}:
		case <-d.quit:
			return
		}
		if err != nil {
			return
		}
	}
}

// stop ends the goroutine and waits for a write under way: whoever owns the
// log may close it afterwards.
func (d *disk) stop() {
	close(d.quit)
	<-d.ended
}
