package seal

import (
	"sync"
	"sync/atomic"
	"time"
)

const (
	// markEvery is how finely it is remembered when packets were sealed, and
	// maxMarks how many such times: with packets all the while, 6.4 s.
	markEvery = 50 * time.Millisecond
	maxMarks  = 128
)

// marks remembers what the counter was at some past times, so that a sender can
// say from which counter on its packets are younger than so much.
type marks struct {
	began time.Time
	next  atomic.Int64 // nanoseconds since began, when another mark is due

	mu   sync.Mutex
	list [maxMarks]mark // a ring; the newest is at n-1
	n    int            // made so far
}

type mark struct {
	at      time.Duration // since began
	counter uint64        // packets of greater counters were sealed later
}

// note makes a mark before a packet is counted, unless there is a recent one.
func (m *marks) note(counter *atomic.Uint64) {
	if int64(time.Since(m.began)) < m.next.Load() {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	at := time.Since(m.began) // before the counter is read
	m.list[m.n%maxMarks] = mark{at, counter.Load()}
	m.next.Store(int64(at + markEvery))
	m.n++
}

// floor returns a counter such that all packets of greater ones were sealed
// within the last age. now is the counter at present, which is always right.
func (m *marks) floor(age time.Duration, now uint64) uint64 {
	m.mu.Lock()
	defer m.mu.Unlock()
	since := time.Since(m.began) - age
	floor := now
	for i := m.n - 1; i >= max(0, m.n-maxMarks); i-- {
		k := m.list[i%maxMarks]
		if k.at < since {
			break
		}
		floor = min(floor, k.counter)
	}
	return floor
}
