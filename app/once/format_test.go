package once

import (
	"bytes"
	"encoding/hex"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// Devices have such commands in their logs. A line that changes means that they
// could not read them any more: make a new format instead.
func TestStoredCommandsKeepTheirBytes(t *testing.T) {
	for _, c := range []struct {
		key    string
		since  raft.Index
		inner  string
		golden string
	}{
		{"k", 0, "", "ff016b00"},
		{"k", 300, "\x01hi", "ff016bac02016869"},
		{"\x00\xff", 1 << 40, "{}", "ff0200ff8080808080207b7d"},
	} {
		b, err := Command(c.key, c.since, []byte(c.inner))
		if err != nil || hex.EncodeToString(b) != c.golden {
			t.Errorf("%q: %x, %v", c.key, b, err)
		}
		golden, err := hex.DecodeString(c.golden)
		if err != nil {
			t.Fatal(err)
		}
		got, ok := decode(golden)
		if !ok || got.key != digestOf([]byte(c.key)) || got.since != c.since || string(got.inner) != c.inner {
			t.Errorf("%s: %+v, %v", c.golden, got, ok)
		}
	}
	if got := fmt.Sprintf("%x", digestOf([]byte("k"))); got != "8254c329a92850f6d539dd376f4816ee" {
		t.Errorf("the digest of a key is %s", got)
	}
}

func TestCommandRefusesWhatBreaksTheFormat(t *testing.T) {
	for name, c := range map[string]struct {
		key, inner string
		want       error
	}{
		"empty key":     {"", "x", ErrBadKey},
		"long key":      {strings.Repeat("k", 65), "x", ErrBadKey},
		"reserved byte": {"k", "\xffx", ErrBadInner},
	} {
		if _, err := Command(c.key, 0, []byte(c.inner)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
	b, err := Command(strings.Repeat("k", 64), 1<<64-1, nil)
	if err != nil || len(b) != MaxOverhead {
		t.Errorf("the overhead is %d, %v", len(b), err)
	}
}

// sample has a table with one of everything, and a floor.
func sample(t testing.TB) *App {
	app := NewLimited(&list{}, Limits{Keys: 4, ResultBytes: 4})
	apply := func(index raft.Index, now raft.Time, data []byte, err error) {
		if err != nil {
			t.Fatal(err)
		}
		app.Apply(raft.Entry{Index: index, Term: 1 + raft.Term(index)/4, Time: now, Kind: raft.EntryCommand, Data: data})
	}
	apply(1, 1000, []byte("plain"), nil)
	for i, inner := range []string{"x", "a", "bb", "too long", "too long"} {
		since := raft.Index(1)
		if i == 1 {
			since = 0
		}
		data, err := Command(fmt.Sprint("key ", i), since, []byte(inner))
		apply(raft.Index(2+i), raft.Time(1000+200*i), data, err)
	}
	return app
}

// golden is the snapshot of the sample. Devices have such ones, and send them to
// newer ones.
const golden = "ff01" + "02" + "04" + // floor, keys; for each: key, index, term and time further, sum, flags, result
	"227ba5f2c6c9109fe5c44a0696f39337" + "01" + "01" + "b009" + "330284772e652b05" + "00" + "03332061" +
	"08f225fe08e94a5b1da2da4079fcd1a7" + "01" + "01" + "c801" + "415ef996ebf5a351" + "01" + "0434206262" +
	"3d3ee11c2fbf7f6a6b1e6aa16c382631" + "01" + "00" + "c801" + "810a275c843e038b" + "03" + "00" +
	"a1788ce1d89fe8b456e26d4c37fd6356" + "01" + "00" + "c801" + "810a275c843e038b" + "07"

func TestSnapshotFormat(t *testing.T) {
	want := golden + hex.EncodeToString([]byte(`{"Commands":["plain","x","a","bb","too long","too long"],"Last":6}`))
	if got := hex.EncodeToString(sample(t).Snapshot()); got != want {
		t.Errorf("the snapshot is\n%s, want\n%s", got, want)
	}
	b, err := hex.DecodeString(want)
	if err != nil {
		t.Fatal(err)
	}
	w := newWorld(t, Limits{})
	if err := w.app.Restore(b); err != nil {
		t.Fatal(err)
	}
	w.now = 2000
	w.want("a key without since", w.keyed("key 1", 0, "a"), Outcome{Index: 3, Term: 1, Repeated: true, Result: []byte("3 a")})
	w.want("one with since", w.keyed("key 2", 1, "bb"), Outcome{Index: 4, Term: 2, Repeated: true, Result: []byte("4 bb")})
	w.want("one with a long result", w.keyed("key 4", 1, "too long"), Outcome{Index: 6, Term: 2, Repeated: true, ResultLost: true})
	w.want("a forgotten one", w.keyed("key 0", 1, "x"), Outcome{Refusal: KeyForgotten, Index: 2})
	w.want("another command", w.keyed("key 1", 0, "b"), Outcome{Refusal: KeyReused, Index: 3, Term: 1})
}

func TestRestoreTakesABareInnerSnapshot(t *testing.T) {
	inner := &list{}
	app := New(inner)
	w := &world{t: t, inner: inner, app: app, now: 1}
	w.keyed("k", 0, "first")
	if err := app.Restore([]byte(`{"Commands":["old"],"Last":40}`)); err != nil {
		t.Fatal(err)
	}
	if s := app.Stats(); s != (Stats{}) {
		t.Errorf("%+v", s)
	}
	w.inner = inner
	o := w.keyed("k", 1, "new")
	w.want("the table is empty", o, Outcome{Index: 41, Term: 5, Result: []byte("41 new")})
}

func FuzzCommand(f *testing.F) {
	good, err := Command("key", 300, []byte("x"))
	if err != nil {
		f.Fatal(err)
	}
	f.Add(good)
	f.Add([]byte{mark, 1, 'k', 0, mark})
	f.Add([]byte{mark, 64})
	f.Fuzz(func(t *testing.T, data []byte) {
		a, b := sample(t), sample(t)
		for i := raft.Index(7); i < 10; i++ {
			e := raft.Entry{Index: i, Term: 3, Time: 3000, Kind: raft.EntryCommand, Data: data}
			x := a.Apply(e)
			e.Data = bytes.Clone(data)
			if y := b.Apply(e); !bytes.Equal(x, y) {
				t.Fatalf("two devices answer %x and %x", x, y)
			}
			if len(data) == 0 || data[0] != mark {
				continue
			}
			o, err := ParseOutcome(x)
			if err != nil || i > 7 && o.Refusal == Accepted && !o.Repeated {
				t.Fatalf("%+v, %v", o, err)
			}
		}
		if !bytes.Equal(a.Snapshot(), b.Snapshot()) {
			t.Fatal("two devices have other states")
		}
	})
}

func FuzzRestore(f *testing.F) {
	f.Add(sample(f).Snapshot())
	f.Add([]byte(`{"Commands":["old"],"Last":40}`))
	f.Add([]byte{mark, 1, 0, 0, '{', '}'})
	f.Fuzz(func(t *testing.T, data []byte) {
		app := sample(t)
		before := app.Snapshot()
		if err := app.Restore(data); err != nil {
			if !bytes.Equal(app.Snapshot(), before) {
				t.Fatalf("refused with %v, and the state changed", err)
			}
			return
		}
		again := NewLimited(&list{}, app.table.limits)
		if err := again.Restore(app.Snapshot()); err != nil || !bytes.Equal(again.Snapshot(), app.Snapshot()) {
			t.Fatalf("what was restored does not restore again: %v", err)
		}
		if s := app.Stats(); s.Keys > 4 || s.Bytes < 0 || s.Bytes > MaxTableBytes {
			t.Fatalf("%+v", s)
		}
	})
}

func FuzzParseOutcome(f *testing.F) {
	f.Add(Outcome{Refusal: TooManyKeys, RetryAfter: 99}.encode())
	f.Add(Outcome{Index: 1 << 40, Term: 3, Repeated: true, ResultLost: true}.encode())
	f.Add(Outcome{Index: 1, Term: 1, Result: []byte("x")}.encode())
	f.Fuzz(func(t *testing.T, data []byte) {
		o, err := ParseOutcome(data)
		if err != nil {
			return
		}
		if again, err := ParseOutcome(o.encode()); err != nil || fmt.Sprintf("%+v", again) != fmt.Sprintf("%+v", o) {
			t.Errorf("%+v became %+v, %v", o, again, err)
		}
	})
}
