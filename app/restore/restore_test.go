package restore

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/raft"
)

// world is a device, and for each entry another one that was made of the
// first one's snapshot just before it.
type world struct {
	t        *testing.T
	index    raft.Index
	now      raft.Time
	a        *App
	store    *kv.Store // of a
	restored []raft.Index
}

func device(restored func(raft.Index)) (*App, *kv.Store) {
	store := kv.New(kv.Options{Restored: restored})
	return New(once.New(store)), store
}

func newWorld(t *testing.T) *world {
	w := &world{t: t, now: 1000}
	w.a, w.store = device(func(i raft.Index) { w.restored = append(w.restored, i) })
	return w
}

// apply applies a command on both devices, after the second one moved to a new
// card, and compares everything.
func (w *world) apply(command []byte, err error) []byte {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
	moved, _ := device(nil)
	if err := moved.Restore(w.a.Snapshot()); err != nil {
		w.t.Fatalf("after index %d: %v", w.index, err)
	}
	w.index++
	e := raft.Entry{Index: w.index, Term: 3, Time: w.now, Kind: raft.EntryCommand, Data: command}
	x, y := w.a.Apply(e), moved.Apply(e)
	if !bytes.Equal(x, y) || !bytes.Equal(w.a.Snapshot(), moved.Snapshot()) {
		w.t.Fatalf("index %d: two devices answer %x and %x, or have other states", w.index, x, y)
	}
	return x
}

func (w *world) want(what string, command []byte, want Outcome) {
	w.t.Helper()
	if o, err := ParseOutcome(w.apply(command, nil)); o != want || err != nil {
		w.t.Errorf("%s: %+v, %v; want %+v", what, o, err, want)
	}
}

func (w *world) put(key, value string, ttl kv.TTL) {
	w.t.Helper()
	w.apply(kv.PutTTL(key, []byte(value), ttl, nil))
}

func (w *world) keyed(key string, since raft.Index, value string) once.Outcome {
	w.t.Helper()
	inner, err := kv.Put(value, []byte(value), nil)
	if err != nil {
		w.t.Fatal(err)
	}
	c, err := once.Command(key, since, inner)
	o, err2 := once.ParseOutcome(w.apply(c, err))
	if err2 != nil {
		w.t.Fatal(err2)
	}
	return o
}

func (w *world) state() string {
	text := ""
	for _, it := range w.store.List(kv.ListQuery{}).Items {
		text += fmt.Sprintf("%s=%s@%d", it.Key, it.Value, it.Index)
		if it.Deadline != 0 {
			text += fmt.Sprintf("<%d", it.Deadline)
		}
		text += " "
	}
	return text
}

// backup is the state, and when it was taken.
func (w *world) backup() ([]byte, raft.Time) { return bytes.Clone(w.a.Backup()), w.now }

func planOf(id byte, data []byte, taken raft.Time, foreign bool) Plan {
	return Plan{ID: ID{id}, Size: len(data), PieceBytes: MinPieceBytes, Time: taken, Foreign: foreign}
}

// stage sends all of it, the pieces in any order, some twice.
func (w *world) stage(p Plan, data []byte) {
	w.t.Helper()
	w.want("begin", Begin(p), Outcome{})
	order := rand.New(rand.NewPCG(1, 2)).Perm(p.Pieces())
	for _, n := range append(order, order[0]) {
		from, to := p.piece(n)
		w.want("a piece", Piece(p.ID, n, data[from:to]), Outcome{})
	}
}

func TestRestorePutsBackTheState(t *testing.T) {
	w := newWorld(t)
	w.put("a", "old", 0)
	w.put("mortal", "m", 5000)
	w.put("dying", "d", 1)
	w.put("big", string(make([]byte, 2000)), 0)
	w.keyed("early", 1, "early")
	data, taken := w.backup()

	w.now = 60_000
	w.put("a", "new", 0)
	w.put("b", "later", 0)
	w.keyed("late", 1, "late")
	p := planOf(1, data, taken, false)
	w.stage(p, data)
	before := w.state()
	if before == "" || len(w.restored) != 0 {
		t.Fatalf("the state changed before the commit: %s", before)
	}
	w.now = 61_000
	at := w.index + 1
	w.want("commit", Commit(p.ID, sha256.Sum256(data)), Outcome{Index: at})
	w.want("the commit repeated", Commit(p.ID, sha256.Sum256(data)), Outcome{Index: at})
	want := fmt.Sprintf("a=old@%d big=%s@%d dying=d@%d<61001 early=early@%d mortal=m@%d<66000 ", at, make([]byte, 2000), at, at, at, at)
	if got := w.state(); got != want {
		t.Errorf("the state is\n%s, want\n%s", got, want)
	}
	if fmt.Sprint(w.restored) != fmt.Sprintf("[%d]", at) {
		t.Errorf("watchers were told of %v", w.restored)
	}
	// What was done in this cluster was done, also what the restore undid.
	if o := w.keyed("late", 1, "late"); !o.Repeated {
		t.Errorf("a change that the restore undid is made once more: %+v", o)
	}
	if o := w.keyed("early", 1, "early"); !o.Repeated || o.Index >= at {
		t.Errorf("%+v", o)
	}
	w.now = 61_002
	w.put("a", "goes on", 0)
	if got := w.store.Stats(); got.Keys != 4 || got.Expiring != 1 {
		t.Errorf("what had a millisecond left: %+v", got)
	}
}

func TestRestoreOfAnotherCluster(t *testing.T) {
	old := newWorld(t)
	for i := range 10 {
		old.put(fmt.Sprint("filler ", i), "x", 0)
	}
	first := old.keyed("order-1", 0, "paid")
	old.keyed("both", 0, "both")
	data, taken := old.backup()

	w := newWorld(t)
	own := w.keyed("both", 0, "both")
	p := planOf(9, data, taken, true)
	w.stage(p, data)
	at := w.index + 1
	w.want("commit", Commit(p.ID, sha256.Sum256(data)), Outcome{Index: at})
	if o := w.keyed("order-1", 0, "paid"); !o.Repeated || o.Index != at || o.Index == first.Index {
		t.Errorf("what was done in the other cluster: %+v", o)
	}
	if o := w.keyed("both", 0, "both"); !o.Repeated || o.Index != own.Index {
		t.Errorf("a key of both: %+v, first %+v", o, own)
	}
	if o := w.keyed("unknown", at-1, "x"); o.Refusal != once.KeyForgotten || o.Index != at {
		t.Errorf("a since that may be of the other cluster: %+v", o)
	}
	if o := w.keyed("unknown", at, "x"); o.Refusal != once.Accepted {
		t.Errorf("one of after the restore: %+v", o)
	}
	// A second time, from the first cluster again: indexes in common once more.
	p = planOf(10, data, taken, true)
	w.stage(p, data)
	w.want("commit", Commit(p.ID, sha256.Sum256(data)), Outcome{Index: w.index + 1})
	w.keyed("another", 0, "y")
}

func TestWhatIsRefusedChangesNothing(t *testing.T) {
	w := newWorld(t)
	w.put("a", "1", 0)
	data, taken := w.backup()
	w.put("a", "2", 0)
	state := w.state()
	p := planOf(1, data, taken, false)
	sum := sha256.Sum256(data)
	w.want("a piece of nothing", Piece(p.ID, 0, data), Outcome{Verdict: Gone})
	w.want("the commit of nothing", Commit(p.ID, sum), Outcome{Verdict: Gone})
	w.want("begin", Begin(p), Outcome{})
	w.want("begin again", Begin(p), Outcome{})
	w.want("too early", Commit(p.ID, sum), Outcome{Verdict: Incomplete})
	w.want("another restore", Begin(planOf(2, data, taken, false)), Outcome{Verdict: Busy, Number: uint64(AbandonAfter) + 1})
	w.want("a piece of another", Piece(ID{2}, 0, data), Outcome{Verdict: Gone})
	w.want("the abort of another", Abort(ID{2}), Outcome{Verdict: Gone})
	w.want("a piece that is too short", Piece(p.ID, 0, data[1:]), Outcome{Verdict: Malformed})
	w.want("one that is not in the plan", Piece(p.ID, 1, data), Outcome{Verdict: Malformed})
	w.want("the plan changed", Begin(planOf(1, data[1:], taken, false)), Outcome{Verdict: Malformed})
	w.want("the piece", Piece(p.ID, 0, data), Outcome{})
	w.want("another sum", Commit(p.ID, sha256.Sum256(nil)), Outcome{Verdict: Damaged})
	w.want("it is gone then", Commit(p.ID, sum), Outcome{Verdict: Gone})

	rubbish := []byte("no state")
	p = planOf(3, rubbish, taken, false)
	w.stage(p, rubbish)
	w.want("no state", Commit(p.ID, sha256.Sum256(rubbish)), Outcome{Verdict: Unreadable})
	p = planOf(4, data, taken, false)
	w.want("begin", Begin(p), Outcome{})
	w.want("abort", Abort(p.ID), Outcome{})
	w.want("gone", Piece(p.ID, 0, data), Outcome{Verdict: Gone})
	for _, bad := range [][]byte{
		{mark}, {mark, 9}, {mark, kindAbandon, 1}, Begin(p)[:12], append(Begin(p), 0), append(Abort(p.ID), 1),
		Begin(Plan{ID: p.ID, Size: MaxBytes + 1, PieceBytes: MinPieceBytes}), Begin(Plan{ID: p.ID, Size: 1, PieceBytes: 1}),
		Begin(Plan{ID: p.ID, PieceBytes: MinPieceBytes}),
	} {
		w.want(fmt.Sprintf("%x", bad), bad, Outcome{Verdict: Malformed})
	}
	if got := w.state(); got != state || len(w.restored) > 0 {
		t.Errorf("the state is %s, was %s; restored at %v", got, state, w.restored)
	}
}

func TestAbandonedRestoresGo(t *testing.T) {
	w := newWorld(t)
	w.put("a", "1", 0)
	data, taken := w.backup()
	p := planOf(1, data, taken, false)
	if _, command := w.a.Due(); command != nil {
		t.Error("something is due that is not there")
	}
	w.want("begin", Begin(p), Outcome{})
	w.now += 1000
	w.want("piece", Piece(p.ID, 0, data), Outcome{})
	at, command := w.a.Due()
	if at != w.now+AbandonAfter || !bytes.Equal(command, abandon) {
		t.Errorf("due at %d: %x", at, command)
	}
	w.put("mortal", "m", 10)
	if at, command := w.a.Due(); at != w.now+10 || bytes.Equal(command, abandon) {
		t.Errorf("what is due earlier: %d, %x", at, command)
	}
	w.now = at
	w.want("at the deadline it is there", Piece(p.ID, 0, data), Outcome{})
	w.now += AbandonAfter + 1
	w.want("behind it the command for it", abandon, Outcome{})
	if w.a.staged != nil {
		t.Error("it is still staged")
	}
	w.want("gone", Commit(p.ID, sha256.Sum256(data)), Outcome{Verdict: Gone})
	w.want("another", Begin(planOf(2, data, taken, false)), Outcome{})
	w.now += AbandonAfter + 1
	w.want("one takes the place of another at once", Begin(planOf(3, data, taken, false)), Outcome{})
}

// Devices have such commands and snapshots on their cards. A line that changes
// means that they could not read them any more: make a new format instead.
func TestStoredBytesStay(t *testing.T) {
	p := Plan{ID: ID{1, 2, 3, 4, 5, 6, 7, 8}, Size: 600, PieceBytes: 512, Time: 300, Foreign: true}
	for want, got := range map[string][]byte{
		"fe010102030405060708d8048004ac0201": Begin(p),
		"fe0201020304050607080168690a":       Piece(p.ID, 1, []byte("hi\n")),
		"fe030102030405060708e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855": Commit(p.ID, sha256.Sum256(nil)),
		"fe040102030405060708": Abort(p.ID),
		"fe05":                 abandon,
		"00ac0200":             Outcome{Index: 300}.encode(),
		"030007":               Outcome{Verdict: Incomplete, Number: 7}.encode(),
	} {
		if hex.EncodeToString(got) != want {
			t.Errorf("%x, was %s", got, want)
		}
	}
	app, _ := device(nil)
	entry := func(i raft.Index, data []byte) raft.Entry {
		return raft.Entry{Index: i, Term: 1, Time: 5, Kind: raft.EntryCommand, Data: data}
	}
	if got := app.Snapshot(); got[0] == mark {
		t.Errorf("without any restore the snapshot is the inner one's: %x", got)
	}
	app.Apply(entry(1, Begin(p)))
	app.last = done{ID{9}, 1}
	app.Apply(entry(2, Piece(p.ID, 1, bytes.Repeat([]byte{7}, 88))))
	const head = "fe01" + "0900000000000000" + "01" + "01" + "0102030405060708" + "d8048004ac0201" + "05" + "02"
	want := head + hex.EncodeToString(make([]byte, 512)) + hex.EncodeToString(bytes.Repeat([]byte{7}, 88)) + "ff010000" + "020200"
	if got := hex.EncodeToString(app.Snapshot()); got != want {
		t.Errorf("the snapshot is\n%s, was\n%s", got, want)
	}
	stored, err := hex.DecodeString(want)
	if err != nil {
		t.Fatal(err)
	}
	again, _ := device(nil)
	if err := again.Restore(stored); err != nil || again.staged.missing != 1 || again.last != app.last {
		t.Errorf("%+v, %v", again.staged, err)
	}
	for i := range len(stored) - 3 { // all but the inner state
		if err := again.Restore(stored[:i]); err == nil {
			t.Fatalf("cut at %d it is taken", i)
		}
	}
	stored[1] = 2
	if err := again.Restore(stored); !errors.Is(err, ErrBadSnapshot) {
		t.Errorf("another version: %v", err)
	}
}

func FuzzCommandAndSnapshot(f *testing.F) {
	p := Plan{ID: ID{1}, Size: 600, PieceBytes: 512}
	for _, c := range [][]byte{Begin(p), Piece(p.ID, 1, []byte("hi")), Commit(p.ID, [32]byte{}), Abort(p.ID), abandon} {
		f.Add(c)
	}
	app, _ := device(nil)
	app.Apply(raft.Entry{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: Begin(p)})
	f.Add(app.Snapshot())
	f.Fuzz(func(t *testing.T, data []byte) {
		app, _ := device(nil)
		app.Apply(raft.Entry{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: Begin(p)})
		before := app.Snapshot()
		if err := app.Restore(data); err != nil && !bytes.Equal(app.Snapshot(), before) {
			t.Fatalf("refused with %v, and the state changed", err)
		}
		got := app.Apply(raft.Entry{Index: 1 << 40, Term: 1, Kind: raft.EntryCommand, Data: data})
		if len(data) > 0 && data[0] == mark {
			if _, err := ParseOutcome(got); err != nil {
				t.Fatal(err)
			}
		}
		Describe(data)
	})
}
