package server

import (
	"sync"

	"github.com/edgeraft/edgeraft/raft"
)

// disk is the storage goroutine. Saves that arrive while one is being written
// are merged and written as one (group commit), so what waits is a single
// Save, bounded by the core's limit on unsaved entries.
type disk struct {
	log     Log
	results chan result

	mu      sync.Mutex
	waiting *raft.Save
	wake    chan struct{} // has one element when there may be work
	quit    chan struct{}
	ended   chan struct{}
}

// result reports that everything up to Save seq is durable, or the final error.
type result struct {
	seq uint64
	err error
}

func newDisk(log Log) *disk {
	return &disk{
		log: log, results: make(chan result, 1),
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
	d.mu.Unlock()
	select {
	case d.wake <- struct{}{}:
	default:
	}
}

func (d *disk) take() *raft.Save {
	d.mu.Lock()
	defer d.mu.Unlock()
	s := d.waiting
	d.waiting = nil
	return s
}

func (d *disk) run() {
	defer close(d.ended)
	for {
		select {
		case <-d.wake:
		case <-d.quit:
			return
		}
		s := d.take()
		if s == nil {
			continue
		}
		err := d.log.Save(*s)
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
