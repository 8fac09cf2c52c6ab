package kv

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"reflect"
	"sort"
	"strings"
	"sync"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// log feeds a store with commands at indexes from 1 on, and keeps what it
// observed.
type log struct {
	t       *testing.T
	store   *Store
	index   raft.Index
	changes []Change
}

func newLog(t *testing.T) *log {
	l := &log{t: t}
	l.store = New(Options{Observe: func(c Change) { l.changes = append(l.changes, c) }})
	return l
}

func (l *log) raw(data []byte) []byte {
	l.index++
	return l.store.Apply(raft.Entry{Index: l.index, Term: 1, Kind: raft.EntryCommand, Data: data})
}

func (l *log) do(command []byte, err error) Result {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	result, err := ParseResult(l.raw(command))
	if err != nil {
		l.t.Fatal(err)
	}
	return result
}

func (l *log) state() string {
	var b strings.Builder
	for _, it := range l.store.List(ListQuery{}).Items {
		fmt.Fprintf(&b, "%s=%s@%d ", it.Key, it.Value, it.Index)
	}
	return strings.TrimSpace(b.String())
}

func TestPutAndDelete(t *testing.T) {
	l := newLog(t)
	steps := []step{
		after(Put("a", []byte("1"), nil))(Result{Outcome: Done}, "a=1@1", "put a=1"),
		after(Put("a", []byte("2"), index(0)))(Result{Outcome: CompareFailed, Index: 1}, "a=1@1", ""),
		after(Put("a", []byte("2"), index(2)))(Result{Outcome: CompareFailed, Index: 1}, "a=1@1", ""),
		after(Put("a", []byte("2"), index(1)))(Result{Outcome: Done}, "a=2@4", "put a=2"),
		after(Put("b", []byte(""), index(0)))(Result{Outcome: Done}, "a=2@4 b=@5", "put b="),
		after(Put("c", nil, index(1)))(Result{Outcome: CompareFailed, Index: 0}, "a=2@4 b=@5", ""),
		after(Delete("a", index(1)))(Result{Outcome: CompareFailed, Index: 4}, "a=2@4 b=@5", ""),
		after(Delete("a", index(4)))(Result{Outcome: Done}, "b=@5", "delete a="),
		after(Delete("a", nil))(Result{Outcome: Absent}, "b=@5", ""),
		after(Delete("a", index(4)))(Result{Outcome: CompareFailed, Index: 0}, "b=@5", ""),
		after(Delete("a", index(0)))(Result{Outcome: Absent}, "b=@5", ""),
		after(Put("a", []byte("3"), nil))(Result{Outcome: Done}, "a=3@12 b=@5", "put a=3"),
	}
	for i, s := range steps {
		got := l.do(s.command, s.err)
		if got != s.want || l.state() != s.state || describe(l.changes[i]) != s.events {
			t.Errorf("step %d: %+v, state %q, events %q; want %+v, %q, %q",
				i+1, got, l.state(), describe(l.changes[i]), s.want, s.state, s.events)
		}
	}
}

// step is one row of the table below, made around a constructor's two results.
type step struct {
	command []byte
	err     error
	want    Result
	state   string
	events  string
}

func after(command []byte, err error) func(Result, string, string) step {
	return func(want Result, state, events string) step {
		return step{command, err, want, state, events}
	}
}

func describe(c Change) string {
	var parts []string
	for _, e := range c.Events {
		parts = append(parts, fmt.Sprintf("%s %s=%s", e.Kind, e.Key, e.Value))
	}
	return strings.Join(parts, ", ")
}

func TestTransactions(t *testing.T) {
	l := newLog(t)
	put := func(key, value string) Operation { return Operation{Kind: OpPut, Key: key, Value: []byte(value)} }
	del := func(key string) Operation { return Operation{Kind: OpDelete, Key: key} }
	cases := []struct {
		name   string
		txn    Transaction
		want   Result
		state  string
		events string
	}{
		{"then", Transaction{Compare: []Compare{{"a", 0}}, Then: []Operation{put("a", "1"), put("b", "2")}},
			Result{Outcome: Done, Held: true}, "a=1@1 b=2@1", "put a=1, put b=2"},
		{"else", Transaction{Compare: []Compare{{"a", 1}, {"b", 0}}, Then: []Operation{del("a")}, Else: []Operation{put("c", "3")}},
			Result{Outcome: Done}, "a=1@1 b=2@1 c=3@2", "put c=3"},
		{"no else", Transaction{Compare: []Compare{{"a", 9}}, Then: []Operation{del("a")}},
			Result{Outcome: Done}, "a=1@1 b=2@1 c=3@2", ""},
		{"one key twice, and an absent one", Transaction{Then: []Operation{del("a"), put("a", "x"), put("a", "y"), del("zz"), del("c")}},
			Result{Outcome: Done, Held: true}, "a=y@4 b=2@1", "delete a=, put a=x, put a=y, delete c="},
		{"compares only", Transaction{Compare: []Compare{{"a", 4}, {"b", 1}, {"c", 0}}},
			Result{Outcome: Done, Held: true}, "a=y@4 b=2@1", ""},
	}
	for i, c := range cases {
		got := l.do(Txn(c.txn))
		if got != c.want || l.state() != c.state || describe(l.changes[i]) != c.events {
			t.Errorf("%s: %+v, state %q, events %q", c.name, got, l.state(), describe(l.changes[i]))
		}
	}
}

func TestOpaqueCommandsAndOtherEntries(t *testing.T) {
	l := newLog(t)
	if got := l.raw(Command([]byte("turn on"))); got != nil {
		t.Errorf("an opaque command has the result %q", got)
	}
	l.index++
	if got := l.store.Apply(raft.Entry{Index: l.index, Term: 2, Kind: raft.EntryNoOp}); got != nil {
		t.Errorf("a no-op has the result %q", got)
	}
	want := []Change{
		{Index: 1, Term: 1, Events: []Event{{Kind: EventCommand, Value: []byte("turn on")}}},
		{Index: 2, Term: 2},
	}
	if !reflect.DeepEqual(l.changes, want) || l.store.Applied() != 2 {
		t.Errorf("observed %+v, applied %d", l.changes, l.store.Applied())
	}
}

func TestWhatCannotBeReadHasNoEffect(t *testing.T) {
	valid, err := Put("k", []byte("v"), nil)
	if err != nil {
		t.Fatal(err)
	}
	l := newLog(t)
	for _, data := range [][]byte{nil, {}, {0}, {3, 1}, {4}, {2}, {2, 0xa0}, {2, 0xff}, valid[:len(valid)-1], append(bytes.Clone(valid), 0)} {
		if got := l.do(data, nil); got != (Result{Outcome: Malformed}) {
			t.Errorf("%x: %+v", data, got)
		}
	}
	if l.state() != "" || l.store.Stats().Malformed != uint64(l.index) || l.store.Applied() != l.index {
		t.Errorf("state %q, %+v, applied %d", l.state(), l.store.Stats(), l.store.Applied())
	}
}

func TestTheStateIsBounded(t *testing.T) {
	l := newLog(t)
	value := make([]byte, MaxValueBytes)
	for i := range MaxStateBytes / MaxValueBytes {
		want := Done
		if i == MaxStateBytes/MaxValueBytes-1 {
			want = StateFull // because of what keys cost
		}
		if got := l.do(Put(fmt.Sprint("k", i), value, nil)); got.Outcome != want {
			t.Fatalf("put %d: %+v", i, got)
		}
	}
	before := l.store.Stats()
	txn := Transaction{Then: []Operation{{Kind: OpPut, Key: "small"}, {Kind: OpPut, Key: "last", Value: value[:MaxValueBytes-10]}}}
	if got := l.do(Txn(txn)); got.Outcome != StateFull || l.store.Stats() != before {
		t.Errorf("a transaction over the limit: %+v, %+v", got, l.store.Stats())
	}
	for _, c := range []struct {
		name    string
		command func() ([]byte, error)
	}{
		{"overwriting", func() ([]byte, error) { return Put("k0", value, nil) }},
		{"a transaction that makes room first", func() ([]byte, error) {
			return Txn(Transaction{Then: []Operation{{Kind: OpDelete, Key: "k1"}, {Kind: OpPut, Key: "new", Value: value[:MaxValueBytes-10]}}})
		}},
		{"removing", func() ([]byte, error) { return Delete("k2", nil) }},
		{"what fits again", func() ([]byte, error) { return Put("again", value[:MaxValueBytes/2], nil) }},
	} {
		if got := l.do(c.command()); got.Outcome != Done {
			t.Errorf("%s: %+v", c.name, got)
		}
	}
	if l.store.Stats().Bytes > MaxStateBytes {
		t.Errorf("%+v", l.store.Stats())
	}
}

func TestListPages(t *testing.T) {
	l := newLog(t)
	for _, key := range []string{"b", "a/2", "a/1", "a", "a/é", "a0", "c", "a/3"} {
		l.do(Put(key, []byte(key), nil))
	}
	cases := []struct {
		query ListQuery
		want  string
		more  bool
	}{
		{ListQuery{}, "a a/1 a/2 a/3 a/é a0 b c", false},
		{ListQuery{Prefix: "a/"}, "a/1 a/2 a/3 a/é", false},
		{ListQuery{Prefix: "a/", Limit: 4}, "a/1 a/2 a/3 a/é", false},
		{ListQuery{Prefix: "a/", Limit: 2}, "a/1 a/2", true},
		{ListQuery{Prefix: "a/", After: "a/2", Limit: 2}, "a/3 a/é", false},
		{ListQuery{Prefix: "a/", After: "a/2x", Limit: 1}, "a/3", true},
		{ListQuery{After: "b"}, "c", false},
		{ListQuery{Prefix: "a/", After: "b"}, "", false},
		{ListQuery{Prefix: "x"}, "", false},
	}
	for _, c := range cases {
		var keys []string
		list := l.store.List(c.query)
		for _, it := range list.Items {
			keys = append(keys, it.Key)
			if string(it.Value) != it.Key {
				t.Errorf("%s has the value %q", it.Key, it.Value)
			}
		}
		if got := strings.Join(keys, " "); got != c.want || list.More != c.more || list.Applied != l.index {
			t.Errorf("%+v: %q, more %v, applied %d", c.query, got, list.More, list.Applied)
		}
	}
}

func TestListIsBoundedInBytes(t *testing.T) {
	l := newLog(t)
	for i := range 4 {
		l.do(Put(fmt.Sprint("k", i), make([]byte, MaxListBytes/2), nil))
	}
	l.do(Put("k3", make([]byte, MaxListBytes+1), nil))
	var pages []int
	for after, more := "", true; more; {
		list := l.store.List(ListQuery{After: after})
		pages = append(pages, len(list.Items))
		after, more = list.Items[len(list.Items)-1].Key, list.More
	}
	if want := []int{1, 1, 1, 1}; !reflect.DeepEqual(pages, want) {
		t.Errorf("pages of %v items, want %v", pages, want)
	}
}

// The state against a plain map, over random changes of few and of many keys.
func TestAgainstAModel(t *testing.T) {
	for _, keys := range []int{5, 5000} {
		rng := rand.New(rand.NewPCG(1, uint64(keys)))
		l, twin, model := newLog(t), newLog(t), map[string]string{}
		for i := range 20_000 {
			key, value := fmt.Sprint("key", rng.IntN(keys)), fmt.Sprint(i)
			command, err := Put(key, []byte(value), nil)
			if rng.IntN(2) == 0 {
				command, err = Delete(key, nil)
				delete(model, key)
			} else {
				model[key] = value
			}
			if a, b := l.do(command, err), twin.do(command, err); a != b {
				t.Fatalf("two stores came to %+v and %+v", a, b)
			}
		}
		var want []string
		for key := range model {
			want = append(want, key)
		}
		sort.Strings(want)
		bytes := 0
		var got []string
		for after, more := "", true; more; {
			list := l.store.List(ListQuery{After: after, Limit: 7})
			for _, it := range list.Items {
				got = append(got, it.Key)
				bytes += cost(it.Key, it.Value, it.Deadline != 0)
				if model[it.Key] != string(it.Value) {
					t.Errorf("%s is %q, want %q", it.Key, it.Value, model[it.Key])
				}
				after = it.Key
			}
			more = list.More
		}
		if !reflect.DeepEqual(got, want) || l.store.Stats().Bytes != bytes {
			t.Errorf("%d keys: %d listed, %d in the model; %+v, %d bytes", keys, len(got), len(want), l.store.Stats(), bytes)
		}
	}
}

func TestReadsBesideApply(t *testing.T) {
	s := New(Options{})
	const last = 2000
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			for s.Applied() < last {
				list := s.List(ListQuery{})
				for _, it := range list.Items {
					if it.Index > list.Applied {
						t.Errorf("a list of index %d has a key of index %d", list.Applied, it.Index)
					}
				}
				s.Get("k1")
			}
		})
	}
	for i := raft.Index(1); i <= last; i++ {
		command, err := Put(fmt.Sprint("k", i%10), []byte("v"), nil)
		if err != nil {
			t.Fatal(err)
		}
		s.Apply(raft.Entry{Index: i, Term: 1, Kind: raft.EntryCommand, Data: command})
	}
	wg.Wait()
}

// Whatever is committed, two stores agree on it and neither falls over.
func FuzzApply(f *testing.F) {
	for _, c := range stored {
		b, err := c.make()
		if err != nil {
			f.Fatal(err)
		}
		f.Add(b, uint64(1000))
	}
	f.Fuzz(func(t *testing.T, data []byte, now uint64) {
		a, b := newLog(t), newLog(t)
		for _, l := range []*log{a, b} {
			l.do(Put("k", []byte("v"), nil))
			l.do(Put("a", []byte("v"), nil))
			l.put(10, "expires", 900)
		}
		if x, y := a.at(raft.Time(now), data, nil), b.at(raft.Time(now), bytes.Clone(data), nil); !bytes.Equal(x, y) || a.state() != b.state() {
			t.Errorf("%q and %q, %q and %q", x, y, a.state(), b.state())
		}
		if n := a.store.Stats().Bytes; n < 0 || n > MaxStateBytes {
			t.Errorf("%d bytes", n)
		}
	})
}

func BenchmarkPut(b *testing.B) {
	s := New(Options{})
	commands := make([][]byte, 50_000)
	for i := range commands {
		var err error
		if commands[i], err = Put(fmt.Sprintf("sensor/%d/value", i*7919%len(commands)), []byte("21.5"), nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Apply(raft.Entry{Index: raft.Index(i + 1), Term: 1, Kind: raft.EntryCommand, Data: commands[i%len(commands)]})
		i++
	}
}
