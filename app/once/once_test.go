package once

import (
	"bytes"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// list is an inner App: it keeps the commands that it applied, and answers with
// the index and the command.
type list struct {
	Commands []string
	Last     raft.Index
}

func (l *list) Apply(e raft.Entry) []byte {
	if e.Index != l.Last+1 {
		panic(fmt.Sprintf("entry %d follows on %d", e.Index, l.Last))
	}
	l.Last = e.Index
	if e.Kind != raft.EntryCommand {
		return nil
	}
	l.Commands = append(l.Commands, string(e.Data))
	return fmt.Appendf(nil, "%d %s", e.Index, e.Data)
}

func (l *list) Snapshot() []byte {
	b, err := json.Marshal(l)
	if err != nil {
		panic(err)
	}
	return b
}

func (l *list) Restore(data []byte) error {
	var fresh list
	if err := json.Unmarshal(data, &fresh); err != nil {
		return err
	}
	*l = fresh
	return nil
}

func (l *list) Due() (raft.Time, []byte) { return raft.Time(l.Last), []byte("due") }

// world feeds an App with entries.
type world struct {
	t     *testing.T
	inner *list
	app   *App
	now   raft.Time
}

func newWorld(t *testing.T, l Limits) *world {
	inner := &list{}
	return &world{t: t, inner: inner, app: NewLimited(inner, l), now: 1}
}

func (w *world) apply(data []byte) []byte {
	i := w.inner.Last + 1
	return w.app.Apply(raft.Entry{Index: i, Term: raft.Term(1 + i/10), Time: w.now, Kind: raft.EntryCommand, Data: data})
}

func (w *world) keyed(key string, since raft.Index, inner string) Outcome {
	w.t.Helper()
	c, err := Command(key, since, []byte(inner))
	if err != nil {
		w.t.Fatal(err)
	}
	o, err := ParseOutcome(w.apply(c))
	if err != nil {
		w.t.Fatal(err)
	}
	return o
}

func (w *world) want(what string, got, want Outcome) {
	w.t.Helper()
	if fmt.Sprintf("%+v", got) != fmt.Sprintf("%+v", want) {
		w.t.Errorf("%s: %+v, want %+v", what, got, want)
	}
}

// restart puts a snapshot in the place of everything.
func (w *world) restart() {
	w.t.Helper()
	before := w.app.Snapshot()
	limits := w.app.table.limits
	w.inner = &list{}
	w.app = NewLimited(w.inner, limits)
	if err := w.app.Restore(before); err != nil {
		w.t.Fatal(err)
	}
	if after := w.app.Snapshot(); !bytes.Equal(after, before) {
		w.t.Fatalf("the snapshot is %x, restored %x", before, after)
	}
}

func accepted(index raft.Index, result string) Outcome {
	return Outcome{Index: index, Term: raft.Term(1 + index/10), Result: []byte(result)}
}

func repeated(index raft.Index, result string) Outcome {
	o := accepted(index, result)
	o.Repeated = true
	return o
}

func TestARepetitionGetsTheFirstAnswerAndDoesNothing(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want("the first", w.keyed("k", 0, "pay"), accepted(1, "1 pay"))
	w.want("the second", w.keyed("k", 0, "pay"), repeated(1, "1 pay"))
	if got := string(w.apply([]byte("pay"))); got != "3 pay" {
		t.Errorf("without a key: %q", got)
	}
	w.want("another key", w.keyed("K", 0, "pay"), accepted(4, "4 pay"))
	w.restart()
	w.want("after a restart", w.keyed("k", 3, "pay"), repeated(1, "1 pay"))
	w.want("another command", w.keyed("k", 0, "pay more"), Outcome{Refusal: KeyReused, Index: 1, Term: 1})
	w.want("no command", w.keyed("k", 0, ""), Outcome{Refusal: KeyReused, Index: 1, Term: 1})
	if got := strings.Join(w.inner.Commands, ", "); got != "pay, pay, pay" || w.inner.Last != 7 {
		t.Errorf("applied %q up to %d", got, w.inner.Last)
	}
	if at, command := w.app.Due(); at != 7 || string(command) != "due" {
		t.Errorf("due %d %q", at, command)
	}
}

func TestOtherEntriesPass(t *testing.T) {
	w := newWorld(t, Limits{})
	c, err := Command("k", 0, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	if got := w.app.Apply(raft.Entry{Index: 1, Kind: raft.EntryNoOp, Data: c}); got != nil || len(w.inner.Commands) != 0 {
		t.Errorf("a no-op: %q, applied %q", got, w.inner.Commands)
	}
	if got := string(w.apply(nil)); got != "2 " {
		t.Errorf("an empty command: %q", got)
	}
}

func TestForgottenKeysAreRefused(t *testing.T) {
	w := newWorld(t, Limits{Keys: 2})
	for _, key := range []string{"a", "b", "c", "d"} { // at 1 to 4
		if o := w.keyed(key, w.inner.Last, key); key != "a" && o.Refusal != Accepted {
			t.Fatalf("%s: %+v", key, o)
		}
		w.now += KeepAtLeast + 1 // a has no since: its was 0
	}
	w.restart()
	forgotten := Outcome{Refusal: KeyForgotten, Index: 2}
	w.want("a forgotten key", w.keyed("b", 1, "b"), forgotten)
	w.want("a key never used with an old since", w.keyed("e", 1, "e"), forgotten)
	w.want("a remembered key with an old since", w.keyed("c", 1, "c"), repeated(3, "3 c"))
	w.want("a new one seen at the floor", w.keyed("e", 2, "e"), accepted(8, "8 e"))
	w.want("it is remembered", w.keyed("e", 2, "e"), repeated(8, "8 e"))
	if got := strings.Join(w.inner.Commands, ""); got != "abcde" {
		t.Errorf("applied %q", got)
	}
}

func TestSinceMustHaveBeenSeen(t *testing.T) {
	w := newWorld(t, Limits{})
	w.want("this entry itself", w.keyed("k", 1, "x"), Outcome{Refusal: SinceAhead})
	w.want("one far ahead", w.keyed("k", 1<<63, "x"), Outcome{Refusal: SinceAhead})
	w.want("the last one", w.keyed("k", 2, "x"), accepted(3, "3 x"))
	w.want("a repetition with nonsense", w.keyed("k", 99, "x"), repeated(3, "3 x"))
}

func TestAKeyWithoutSinceIsKeptForItsTime(t *testing.T) {
	w := newWorld(t, Limits{Keys: 2})
	w.apply([]byte("so that there is something to have seen"))
	w.now = 1000
	w.keyed("a", 0, "a")
	w.now += 5
	w.keyed("b", 1, "b")
	full := func(wait raft.Time) Outcome { return Outcome{Refusal: TooManyKeys, RetryAfter: wait} }
	w.want("full, at once", w.keyed("c", 0, "c"), full(KeepAtLeast-5+1))
	w.want("full, with since", w.keyed("c", 1, "c"), full(KeepAtLeast-5+1))
	w.want("a repetition when full", w.keyed("a", 0, "a"), repeated(2, "2 a"))
	w.now = 1000 + KeepAtLeast
	w.want("full, at the last moment", w.keyed("c", 0, "c"), full(1))
	w.restart()
	w.now++
	w.want("a moment later", w.keyed("c", 0, "c"), accepted(8, "8 c"))
	w.want("the next oldest may go at once", w.keyed("d", 3, "d"), accepted(9, "9 d"))
	w.want("now it is full again", w.keyed("e", 3, "e"), full(KeepAtLeast+1))
	if got := strings.Join(w.inner.Commands[1:], ""); got != "abcd" {
		t.Errorf("applied %q", got)
	}
}

func TestALongResultIsNotKept(t *testing.T) {
	w := newWorld(t, Limits{ResultBytes: 10})
	w.want("long", w.keyed("k", 0, "123456789"), accepted(1, "1 123456789"))
	w.want("as long as may be", w.keyed("l", 0, "12345678"), accepted(2, "2 12345678"))
	w.restart()
	w.want("long, again", w.keyed("k", 0, "123456789"), Outcome{Index: 1, Term: 1, Repeated: true, ResultLost: true})
	w.want("as long as may be, again", w.keyed("l", 0, "12345678"), repeated(2, "2 12345678"))
}

func TestTheTableIsBoundedInBytes(t *testing.T) {
	l := Limits{ResultBytes: 100, TableBytes: 3*recordCost + 250}
	w := newWorld(t, l)
	w.apply(nil)
	for i := range 50 {
		if o := w.keyed(fmt.Sprint(i), w.inner.Last, strings.Repeat("x", 10*(i%10))); o.Refusal != Accepted {
			t.Fatalf("%+v", o)
		}
		s := w.app.Stats()
		if s.Bytes > l.TableBytes || s.Keys == 0 || s.Keys > 5 {
			t.Errorf("%+v", s)
		}
	}
}

func TestWhatCannotBeReadIsRefused(t *testing.T) {
	good, err := Command("key", 300, []byte("x"))
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Limits{})
	for _, data := range [][]byte{
		{mark}, {mark, 0}, {mark, 0, 0}, {mark, 1}, {mark, 1, 'k'}, {mark, 65}, append([]byte{mark, 65}, make([]byte, 100)...),
		good[:len(good)-2], {mark, 1, 'k', 0, mark}, append([]byte{mark, 1, 'k'}, bytes.Repeat([]byte{0x80}, 20)...),
	} {
		o, err := ParseOutcome(w.apply(data))
		if err != nil || o.Refusal != Malformed {
			t.Errorf("%x: %+v, %v", data, o, err)
		}
	}
	if len(w.inner.Commands) != 0 || w.app.Stats().Keys != 0 {
		t.Errorf("applied %q", w.inner.Commands)
	}
}

// model is the naive form of the table, and of what it is for.
type model struct {
	limits  Limits
	records []modelRecord // in order of first use
	floor   raft.Index
	applied map[string]int // how often each key's command was applied, ever
}

type modelRecord struct {
	key, command string
	index        raft.Index
	time         raft.Time
	guarded      bool
}

func (m *model) judge(key, command string, since, index raft.Index, now raft.Time) (Refusal, raft.Index) {
	for _, r := range m.records {
		if r.key == key && r.command != command {
			return KeyReused, r.index
		} else if r.key == key {
			return Accepted, r.index
		}
	}
	if since >= index {
		return SinceAhead, 0
	}
	if since != 0 && since < m.floor {
		return KeyForgotten, m.floor
	}
	if len(m.records) == m.limits.Keys {
		if r := m.records[0]; !r.guarded && now <= r.time+m.limits.KeepAtLeast {
			return TooManyKeys, 0
		}
		m.floor, m.records = m.records[0].index, m.records[1:]
	}
	m.records = append(m.records, modelRecord{key, command, index, now, since != 0})
	return Accepted, index
}

// Random commands, keys, repetitions and snapshots, against the naive model;
// and what it is all for: with since, a command is applied once, for ever.
func TestAgainstAModel(t *testing.T) {
	for seed := range uint64(10) {
		rng := rand.New(rand.NewPCG(seed, 1))
		l := Limits{Keys: 1 + rng.IntN(20), KeepAtLeast: raft.Time(1 + rng.IntN(60))}
		w, m := newWorld(t, l), &model{limits: l}
		twin := newWorld(t, l)
		type used struct {
			key, command string
			since        raft.Index
		}
		var past []used
		seen := map[Refusal]int{}
		for range 3000 {
			w.now += raft.Time(rng.IntN(5))
			twin.now = w.now
			if rng.IntN(50) == 0 {
				w.restart()
			}
			index := w.inner.Last + 1
			if rng.IntN(4) == 0 {
				w.apply([]byte("plain"))
				twin.apply([]byte("plain"))
				continue
			}
			u := used{key: fmt.Sprint("key ", len(past)), command: fmt.Sprint("command ", len(past)), since: index - 1}
			if rng.IntN(3) == 0 {
				u.since = 0
			}
			if len(past) > 0 && rng.IntN(2) == 0 {
				u = past[max(0, len(past)-1-rng.IntN(3*l.Keys))] // a repetition
			} else {
				past = append(past, u)
			}
			if rng.IntN(20) == 0 {
				u.command = "another"
			}
			got := w.keyed(u.key, u.since, u.command)
			w.want("its twin", twin.keyed(u.key, u.since, u.command), got)
			refusal, at := m.judge(u.key, u.command, u.since, index, w.now)
			if got.Refusal != refusal || got.Index != at || got.Repeated != (refusal == Accepted && at != index) {
				t.Fatalf("seed %d: %+v at %d: %+v, want %v at %d", seed, u, index, got, refusal, at)
			}
			if want := fmt.Sprintf("%d %s", at, u.command); refusal == Accepted && string(got.Result) != want {
				t.Fatalf("seed %d: %+v at %d: result %q, want %q", seed, u, index, got.Result, want)
			}
			seen[refusal]++
		}
		times := map[string]int{}
		for _, c := range w.inner.Commands {
			times[c]++
		}
		for _, u := range past {
			if u.since != 0 && times[u.command] > 1 {
				t.Errorf("seed %d: %q was applied %d times", seed, u.command, times[u.command])
			}
		}
		if !slices.Equal(w.inner.Commands, twin.inner.Commands) || !bytes.Equal(w.app.Snapshot(), twin.app.Snapshot()) {
			t.Errorf("seed %d: the one with restarts and its twin differ", seed)
		}
		if seed == 0 && (seen[Accepted] == 0 || seen[KeyReused] == 0 || seen[KeyForgotten] == 0 || seen[TooManyKeys] == 0) {
			t.Errorf("the test is blind: %v", seen)
		}
	}
}
