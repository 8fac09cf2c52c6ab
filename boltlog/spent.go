package boltlog

import (
	"sync"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft/wire"
)

// Spent is what was handed to the device in some time, as in Stats.
type Spent struct {
	LogBytes, SnapshotBytes, OtherBytes, Syncs uint64
}

// Bytes is all of them.
func (s Spent) Bytes() uint64 { return s.LogBytes + s.SnapshotBytes + s.OtherBytes }

func (s Spent) plus(t Spent) Spent {
	return Spent{s.LogBytes + t.LogBytes, s.SnapshotBytes + t.SnapshotBytes, s.OtherBytes + t.OtherBytes, s.Syncs + t.Syncs}
}

func (s Spent) minus(t Spent) Spent {
	return Spent{s.LogBytes - t.LogBytes, s.SnapshotBytes - t.SnapshotBytes, s.OtherBytes - t.OtherBytes, s.Syncs - t.Syncs}
}

// Spending is what was spent by now. Start is exact. Today and Ever are at
// least so much: the totals are stored only in transactions that are made
// anyway, and of the last one of each process they have only what it would cost
// at least. What was written into the ring after it is found there.
type Spending struct {
	Start Spent // since Open began, opening included
	Today Spent // since midnight UTC; all 0 unless TodayKnown
	Ever  Spent // since the database was made, or since these counts exist
	// TodayKnown says that the wall clock can be right.
	TodayKnown bool
	// Since is when the counting of Ever began, or later; zero while that is
	// not known.
	Since time.Time
}

const (
	spentVersion = 1

	// clockFloor is the first second of 2024: a wall clock that shows less has
	// not been set since the board was switched on.
	clockFloor = 1704067200
	secondsDay = 24 * 60 * 60
	// settleTime is how long a process runs before the start of the counting is
	// reckoned from the wall clock: without a clock that outlives a power cut,
	// systems start with the date of their image, until the network tells.
	settleTime = 10 * time.Minute
)

var keySpent = []byte("spent")

// clock reads the wall clock, in seconds since 1970, and how long Open is ago by
// the monotonic one.
type clock func() (unix int64, running time.Duration)

func realClock() clock {
	began := time.Now()
	return func() (int64, time.Duration) {
		now := time.Now()
		return now.Unix(), now.Sub(began)
	}
}

// dayOf is the number of the UTC day since 1970, or 0 where it cannot be right.
func dayOf(unix int64) uint64 {
	if unix < clockFloor {
		return 0
	}
	return uint64(unix / secondsDay)
}

// spentRecord is what is stored under "spent": a value that may be missing, and
// that says nothing else about the database.
type spentRecord struct {
	_     struct{} `cbor:",toarray"`
	Since uint64   // Unix time; 0 while not known
	Day   uint64   // as dayOf
	// Ever, and of the Day: log, snapshots, other, syncs.
	Ever, OfDay [4]uint64
}

func (s Spent) array() [4]uint64 {
	return [4]uint64{s.LogBytes, s.SnapshotBytes, s.OtherBytes, s.Syncs}
}
func spentOf(a [4]uint64) Spent { return Spent{a[0], a[1], a[2], a[3]} }

// spending carries the counts over restarts and midnights.
type spending struct {
	count *counters
	clock clock

	mu        sync.Mutex
	before    Spent // ever, up to Open
	since     uint64
	day       uint64 // that is counted
	dayBefore Spent  // of that day, up to dayFrom
	dayFrom   Spent  // the counters then
}

func newSpending(count *counters, clock clock) *spending {
	if clock == nil {
		clock = realClock()
	}
	return &spending{count: count, clock: clock}
}

// resume goes on from what an earlier process stored, and left in the ring.
func (s *spending) resume(r spentRecord, inRing Spent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.since, s.day = r.Since, r.Day
	s.before, s.dayBefore = spentOf(r.Ever).plus(inRing), spentOf(r.OfDay)
	unix, _ := s.clock()
	if day := dayOf(unix); day != 0 && day != s.day {
		s.day, s.dayBefore = day, Spent{}
	} else { // it was written on this day too
		s.dayBefore = s.dayBefore.plus(inRing)
	}
}

// turn begins a new day if it is time. It is asked before each write.
func (s *spending) turn() {
	s.mu.Lock()
	defer s.mu.Unlock()
	unix, _ := s.clock()
	s.turnTo(dayOf(unix))
}

func (s *spending) turnTo(day uint64) {
	if day != 0 && day != s.day {
		s.day, s.dayBefore, s.dayFrom = day, Spent{}, s.count.spent()
	}
}

// put stores the counts in a transaction, of which own is what it will cost.
func (s *spending) put(tx *bolt.Tx, own Spent) error {
	b, err := wire.AppendStored(nil, spentVersion, s.record(own))
	if err != nil {
		return err
	}
	return tx.Bucket(bucketState).Put(keySpent, b)
}

func (s *spending) record(own Spent) *spentRecord {
	s.mu.Lock()
	defer s.mu.Unlock()
	unix, running := s.clock()
	if s.since == 0 && dayOf(unix) != 0 && running >= settleTime {
		s.since = uint64(unix - int64(running/time.Second))
	}
	now := s.count.spent().plus(own)
	return &spentRecord{
		Since: s.since, Day: s.day,
		Ever: s.before.plus(now).array(), OfDay: s.dayBefore.plus(now.minus(s.dayFrom)).array(),
	}
}

// least is what a transaction costs at least: the page of the root, a meta page,
// and those that its entries and its snapshot fill.
func (s *sealing) least(t *tail) Spent {
	start, _ := t.from(s.first)
	own := Spent{LogBytes: 2*pageSize + uint64(len(t.data)-start+pageSize-1)/pageSize*pageSize, Syncs: 2}
	if s.snapshot != nil {
		own.SnapshotBytes = uint64(len(s.snapshot.Data)) / pageSize * pageSize
	}
	if s.boot != nil {
		own.LogBytes, own.OtherBytes = 0, own.LogBytes
	}
	return own
}

// Spending returns what was spent by now. It never waits for a save.
func (l *Log) Spending() Spending {
	s := l.spending
	s.mu.Lock()
	defer s.mu.Unlock()
	unix, running := s.clock()
	day := dayOf(unix)
	s.turnTo(day)
	now := s.count.spent()
	out := Spending{Start: now, Ever: s.before.plus(now), TodayKnown: day != 0}
	if out.TodayKnown {
		out.Today = s.dayBefore.plus(now.minus(s.dayFrom))
	}
	switch {
	case s.since != 0:
		out.Since = time.Unix(int64(s.since), 0)
	case day != 0 && running >= settleTime:
		out.Since = time.Unix(unix, 0).Add(-running)
	}
	return out
}

// spent is what was counted since Open began.
func (n *counters) spent() Spent {
	return Spent{n.logBytes.Load(), n.snapshotBytes.Load(), n.otherBytes.Load(), n.syncs.Load()}
}

// readSpent reads the stored counts. Those that are not there, or damaged, begin
// anew: they are no reason for a device not to start. Inspect tells.
func (c *content) readSpent(b []byte) {
	if b == nil {
		return
	}
	if err := wire.DecodeStored(b, spentVersion, &c.spent); err != nil {
		c.spent, c.spentError = spentRecord{}, err
	}
}
