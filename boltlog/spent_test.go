package boltlog

import (
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// fakeClock is a wall clock that can be set, and a process that runs so long.
type fakeClock struct {
	unix    int64
	running time.Duration
}

func (f *fakeClock) read() (int64, time.Duration) { return f.unix, f.running }

// openAt opens dir with a clock.
func openAt(t *testing.T, dir string, clock *fakeClock) *Log {
	t.Helper()
	opt := home
	opt.clock = clock.read
	l, _, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = l.Close() })
	return l
}

// noon is noon of a day.
const noon = int64(20000*secondsDay + secondsDay/2)

func saveSome(t *testing.T, l *Log, saves int) {
	t.Helper()
	for range saves {
		save(t, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, l.last+1, l.last+1)})
	}
}

// TestSpentSurvives adds up what every process counted, those that are closed
// and those that are killed, and holds that no more than a transaction of each
// is missing, and nothing is counted twice.
func TestSpentSurvives(t *testing.T) {
	r := rand.New(rand.NewPCG(1, 9))
	dir, clock := t.TempDir(), &fakeClock{unix: noon}
	var truth Spent
	for process := range 30 {
		l := openAt(t, dir, clock)
		saveSome(t, l, r.IntN(25))
		got := l.Spending()
		truth = truth.plus(got.Start)
		missing := truth.minus(got.Ever)
		if most := uint64(process * 2 * pageSize); missing.Bytes() > most || missing.LogBytes > most || missing.OtherBytes > most ||
			missing.SnapshotBytes != 0 || missing.Syncs > uint64(process) {
			t.Fatalf("process %d: ever %+v, in truth %+v", process, got.Ever, truth)
		}
		if !got.TodayKnown || got.Today != got.Ever {
			t.Fatalf("process %d: today %+v, ever %+v", process, got.Today, got.Ever)
		}
		if s := l.Stats(); got.Start != (Spent{s.LogBytes, s.SnapshotBytes, s.OtherBytes, s.Syncs}) {
			t.Fatalf("process %d: start %+v, %+v", process, got.Start, s)
		}
		if r.IntN(2) == 0 {
			dir = copyDir(t, dir) // killed: it is never closed
			continue
		}
		before := l.Stats()
		mustClose(t, l)
		truth = truth.plus(l.Spending().Start.minus(Spent{before.LogBytes, before.SnapshotBytes, before.OtherBytes, before.Syncs}))
	}
}

// TestSpentIsNeverTooMuch holds that a transaction stores no more than was
// written when it is done, and little less.
func TestSpentIsNeverTooMuch(t *testing.T) {
	r := rand.New(rand.NewPCG(2, 7))
	l, _ := open(t, t.TempDir())
	var model raft.Stored
	for i := range 400 {
		s := randomSave(r, model)
		apply(&model, s)
		seals := l.Stats().Seals
		if save(t, l, s); l.Stats().Seals == seals {
			continue
		}
		var stored content
		err := l.db.View(func(tx *bolt.Tx) error {
			stored.readSpent(tx.Bucket(bucketState).Get(keySpent))
			return stored.spentError
		})
		if err != nil {
			t.Fatal(err)
		}
		ever := l.Spending().Ever
		missing := ever.minus(spentOf(stored.spent.Ever))
		if missing.LogBytes > 4*pageSize || missing.SnapshotBytes > ever.SnapshotBytes || missing.OtherBytes != 0 || missing.Syncs > 1 {
			t.Fatalf("save %d, %d entries, snapshot %v: stored %+v, in truth %+v", i, len(s.Entries), s.Snapshot != nil, spentOf(stored.spent.Ever), ever)
		}
	}
}

func TestDays(t *testing.T) {
	dir, clock := t.TempDir(), &fakeClock{unix: 3600} // 1970
	l := openAt(t, dir, clock)
	saveSome(t, l, 3)
	if s := l.Spending(); s.TodayKnown || s.Today != (Spent{}) || s.Ever.LogBytes != 3*sectorSize {
		t.Errorf("without a clock: %+v", s)
	}
	clock.unix = noon // the network told
	saveSome(t, l, 2)
	if s := l.Spending(); !s.TodayKnown || s.Today.LogBytes != 2*sectorSize || s.Today.Syncs != 2 || s.Ever.LogBytes != 5*sectorSize {
		t.Errorf("with one: %+v", s)
	}
	clock.unix += secondsDay
	if s := l.Spending(); s.Today != (Spent{}) || s.Ever.LogBytes != 5*sectorSize {
		t.Errorf("on the next day: %+v", s)
	}
	saveSome(t, l, 1)
	today := l.Spending().Today
	clock.unix = 3600 // it may well jump
	if s := l.Spending(); s.TodayKnown {
		t.Errorf("without a clock again: %+v", s)
	}
	clock.unix = noon + secondsDay
	if s := l.Spending(); s.Today != today || today.LogBytes != sectorSize {
		t.Errorf("on the same day again: %+v, before %+v", s.Today, today)
	}

	saveSome(t, l, 20) // with transactions, which store it
	today = l.Spending().Today
	dir = copyDir(t, dir)
	clock.unix += 3600
	l = openAt(t, dir, clock)
	s := l.Spending()
	if missing := today.plus(s.Start).minus(s.Today); missing.Bytes() > 2*pageSize || missing.Syncs > 1 {
		t.Errorf("after a restart on the same day: today %+v, before %+v", s.Today, today)
	}
	dir = copyDir(t, dir)
	clock.unix += secondsDay
	l = openAt(t, dir, clock)
	if s := l.Spending(); s.Today != s.Start {
		t.Errorf("after a restart on another day: %+v", s)
	}
}

func TestSinceWaitsForTheClock(t *testing.T) {
	dir, clock := t.TempDir(), &fakeClock{unix: noon - 400*secondsDay} // the date of an image
	l := openAt(t, dir, clock)
	if s := l.Spending(); !s.Since.IsZero() {
		t.Errorf("since %v", s.Since)
	}
	saveSome(t, l, 20)
	dir = copyDir(t, dir)
	l = openAt(t, dir, clock)
	clock.unix, clock.running = noon, settleTime+5*time.Minute
	want := time.Unix(noon, 0).Add(-clock.running)
	if s := l.Spending(); !s.Since.Equal(want) {
		t.Errorf("since %v, want %v", s.Since, want)
	}
	saveSome(t, l, 20)
	dir = copyDir(t, dir)
	clock.unix, clock.running = noon+50*secondsDay, 0
	l = openAt(t, dir, clock)
	if s := l.Spending(); !s.Since.Equal(want) {
		t.Errorf("after a restart since %v, want %v", s.Since, want)
	}
}

// TestSpentCostsNoPage holds that the counts ride in a page that is written
// anyway, also where all that is beside them is as long as it can be.
func TestSpentCostsNoPage(t *testing.T) {
	opt := home
	opt.ClusterName = strings.Repeat("n", maxClusterName)
	full := [4]uint64{math.MaxUint64 / 2, math.MaxUint64 / 2, math.MaxUint64 / 2, math.MaxUint64 / 2}
	dir := t.TempDir()
	l, _, err := Open(dir, opt)
	if err != nil {
		t.Fatal(err)
	}
	vote := raft.NodeIDFrom([10]byte{1})
	state := raft.HardState{Term: math.MaxUint64 / 2, Vote: vote, Cluster: raft.ClusterID{1}}
	save(t, l, raft.Save{State: state})
	l.spending.resume(spentRecord{Since: math.MaxInt64, Day: math.MaxUint64, Ever: full, OfDay: full}, Spent{})
	l.spending.mu.Lock()
	l.spending.day, l.spending.dayBefore = math.MaxUint64, spentOf(full)
	l.spending.clock = (&fakeClock{}).read
	l.spending.mu.Unlock()
	before := l.Stats()
	if err := l.seal(sealing{state: state, first: 1, last: 0, tail: &l.tail}); err != nil {
		t.Fatal(err)
	}
	if got := l.Stats().LogBytes - before.LogBytes; got != 2*pageSize { // the root and a meta page
		t.Errorf("a transaction has %d bytes", got)
	}
	mustClose(t, l)
}

func TestDamagedSpentBeginsAnew(t *testing.T) {
	dir, _ := filled(t)
	for name, b := range map[string][]byte{"garbage": []byte("garbage"), "nothing": {}, "missing": nil} {
		to := copyDir(t, dir)
		err := change(to, func(state *bolt.Bucket) error {
			if b == nil {
				return state.Delete(keySpent)
			}
			return state.Put(keySpent, b)
		})
		if err != nil {
			t.Fatal(err)
		}
		_, err = inspectDir(t, to)
		if b == nil && err != nil || b != nil && (err == nil || !strings.Contains(err.Error(), "the counts of what was written")) {
			t.Errorf("%s: Inspect says %v", name, err)
		}
		l, _ := open(t, to)
		s := l.Spending()
		if inRing := s.Ever.minus(s.Start); inRing.OtherBytes != 0 || inRing.LogBytes > uint64(home.RingSize) {
			t.Errorf("%s: %+v", name, s)
		}
		mustClose(t, l)
		if _, err := inspectDir(t, to); err != nil {
			t.Errorf("%s: after a start Inspect says %v", name, err)
		}
	}
}

func TestSpentBytes(t *testing.T) {
	r := spentRecord{Since: 1767225600, Day: 20454, Ever: [4]uint64{1, 300, 70000, 5_000_000_000}, OfDay: [4]uint64{9, 8, 7, 6}}
	b, err := wire.AppendStored(nil, spentVersion, &r)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "spent1.hex", b)
	var c content
	if c.readSpent(b); c.spentError != nil || c.spent != r {
		t.Errorf("%+v, %v", c.spent, c.spentError)
	}
}
