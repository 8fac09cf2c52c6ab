package rafttest

import "container/heap"

// Time is virtual: it passes only when an event is taken from the queue.
type Time int64

// Tick is the nominal length of one tick of a Core.
const Tick Time = 100

// event is something that happens at a time. Events of one time happen in the
// order in which they were planned.
type event struct {
	at  Time
	seq uint64
	do  func()
}

type eventHeap []event

func (h eventHeap) Len() int { return len(h) }
func (h eventHeap) Less(i, j int) bool {
	return h[i].at < h[j].at || h[i].at == h[j].at && h[i].seq < h[j].seq
}
func (h eventHeap) Swap(i, j int) { h[i], h[j] = h[j], h[i] }
func (h *eventHeap) Push(x any)   { *h = append(*h, x.(event)) }
func (h *eventHeap) Pop() any {
	last := len(*h) - 1
	e := (*h)[last]
	(*h)[last] = event{}
	*h = (*h)[:last]
	return e
}

// clock is the queue of what is to come.
type clock struct {
	now     Time
	planned uint64
	queue   eventHeap
}

func (k *clock) at(t Time, do func()) {
	k.planned++
	heap.Push(&k.queue, event{max(t, k.now), k.planned, do})
}

func (k *clock) after(d Time, do func()) { k.at(k.now+d, do) }

// next makes the next event due by the deadline happen, and reports whether
// there was one. Without one, time moves on to the deadline.
func (k *clock) next(deadline Time) bool {
	if len(k.queue) == 0 || k.queue[0].at > deadline {
		k.now = max(k.now, deadline)
		return false
	}
	e := heap.Pop(&k.queue).(event)
	k.now = e.at
	e.do()
	return true
}
