package once

import "github.com/edgeraft/edgeraft/raft"

// Limits of the table, constants of the format.
const (
	// MaxKeys is how many keys are remembered.
	MaxKeys = 1 << 16
	// KeepAtLeast is how long a key without since is, in milliseconds of
	// cluster time: one hour. With MaxKeys it means that commands with such
	// keys are refused when 18 or more come in each second for an hour.
	KeepAtLeast = raft.Time(3600 * 1000)
	// MaxResultBytes is the longest result that is kept with a key.
	MaxResultBytes = 512
	// MaxTableBytes bounds the table in memory: of results, and of recordCost
	// for each key. Results of the usual length leave room for MaxKeys.
	MaxTableBytes = 12 << 20
)

// recordCost is what a key costs in memory beside its result: its record, and
// its share of the map.
const recordCost = 128

// Limits are the limits of a table. They must be the same on all devices.
type Limits struct {
	Keys        int
	KeepAtLeast raft.Time
	ResultBytes int
	TableBytes  int // room for at least one record with its result
}

// record is what is remembered of a key.
type record struct {
	key     digest
	index   raft.Index
	term    raft.Term
	time    raft.Time
	sum     uint64
	result  string
	guarded bool // it came with since, so it can be forgotten at any time
	lost    bool // the result was too long to be kept
}

func (r *record) cost() int { return recordCost + len(r.result) }

// table is the keys that are remembered, in order of their first use: a ring
// whose size is a power of two, so that the numbers of records may wrap.
type table struct {
	limits Limits
	ring   []record
	first  uint32 // number of the oldest record
	n      int
	byKey  map[digest]uint32 // their numbers
	bytes  int               // against limits.TableBytes
	floor  raft.Index        // of the newest that is forgotten, 0: none is
	// barrier is where keys of another cluster came in, 0 for never: a since
	// below it may be of that cluster's indexes.
	barrier raft.Index
}

func newTable(l Limits) table { return table{limits: l, byKey: make(map[digest]uint32)} }

func (t *table) at(number uint32) *record { return &t.ring[number&uint32(len(t.ring)-1)] }

func (t *table) find(key digest) *record {
	number, known := t.byKey[key]
	if !known {
		return nil
	}
	return t.at(number)
}

// makeRoom forgets the oldest keys until there is room for another, whatever
// its result. If it may not, it returns in how many milliseconds it may.
func (t *table) makeRoom(now raft.Time) (wait raft.Time, ok bool) {
	for t.n >= t.limits.Keys || t.n > 0 && t.bytes+recordCost+t.limits.ResultBytes > t.limits.TableBytes {
		oldest := t.at(t.first)
		// Times are rounded down, so one millisecond more has to be between.
		if age := max(now, oldest.time) - oldest.time; !oldest.guarded && age <= t.limits.KeepAtLeast {
			return t.limits.KeepAtLeast - age + 1, false
		}
		t.forget()
	}
	return 0, true
}

func (t *table) forget() {
	oldest := t.at(t.first)
	t.floor = oldest.index
	t.bytes -= oldest.cost()
	delete(t.byKey, oldest.key)
	*oldest = record{} // lets go of the result
	t.first++
	t.n--
}

// remember adds a key that is not there. There must be room.
func (t *table) remember(r record) {
	if t.n == len(t.ring) {
		t.grow()
	}
	number := t.first + uint32(t.n)
	*t.at(number) = r
	t.byKey[r.key] = number
	t.n++
	t.bytes += r.cost()
}

// textOf makes a string of a result. Most are like the one before; then that
// string is enough.
func (t *table) textOf(result []byte) string {
	if t.n > 0 {
		if last := t.at(t.first + uint32(t.n) - 1); last.result == string(result) {
			return last.result
		}
	}
	return string(result)
}

// grow doubles the ring. Numbers stay as they are.
func (t *table) grow() {
	const smallest = 16
	old := *t
	t.ring = make([]record, max(smallest, 2*len(old.ring)))
	for i := range uint32(old.n) {
		*t.at(t.first + i) = *old.at(old.first + i)
	}
}
