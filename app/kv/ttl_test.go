package kv

import (
	"bytes"
	"fmt"
	"math"
	"math/rand/v2"
	"sort"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// at applies a command, or another entry for nil, at a cluster time.
func (l *log) at(now raft.Time, command []byte, err error) []byte {
	l.t.Helper()
	if err != nil {
		l.t.Fatal(err)
	}
	l.index++
	kind := raft.EntryCommand
	if command == nil {
		kind = raft.EntryNoOp
	}
	return l.store.Apply(raft.Entry{Index: l.index, Term: 1, Kind: kind, Time: now, Data: command})
}

func (l *log) put(now raft.Time, key string, ttl TTL) {
	l.t.Helper()
	c, err := PutTTL(key, []byte(key), ttl, nil)
	l.at(now, c, err)
}

// last is what the last entry did.
func (l *log) last() string { return describe(l.changes[len(l.changes)-1]) }

func TestAKeyExpiresStrictlyAfterItsDeadline(t *testing.T) {
	for name, entry := range map[string][]byte{
		"a command": Command(nil), "a no-op": nil, "the command for it": expire, "what cannot be read": {9},
	} {
		l := newLog(t)
		l.put(1000, "k", 500)
		before := l.store.Stats()
		l.at(1500, entry, nil)
		if strings.Contains(l.last(), "expire") || l.state() != "k=k@1" {
			t.Errorf("%s at the deadline: %s, state %q", name, l.last(), l.state())
		}
		l.at(1501, entry, nil)
		if !strings.HasPrefix(l.last(), "expire k=") || l.state() != "" {
			t.Errorf("%s one ms later: %s, state %q", name, l.last(), l.state())
		}
		if before.Bytes != cost("k", []byte("k"), true) || before.Expiring != 1 || l.store.Stats().Bytes != 0 || l.store.Stats().Expiring != 0 {
			t.Errorf("%s: %+v, then %+v", name, before, l.store.Stats())
		}
	}
}

func TestWhatChangesADeadline(t *testing.T) {
	cases := []struct {
		name   string
		change func(l *log)
		want   raft.Time // 0: no deadline
	}{
		{"a put with a TTL", func(l *log) { l.put(1400, "k", 900) }, 2300},
		{"a shorter one", func(l *log) { l.put(1400, "k", 1) }, 1401},
		{"a put without", func(l *log) { l.put(1400, "k", 0) }, 0},
		{"a delete", func(l *log) { c, err := Delete("k", nil); l.at(1400, c, err) }, 0},
		{"a put that fails", func(l *log) { c, err := PutTTL("k", nil, 900, index(7)); l.at(1400, c, err) }, 1500},
		{"a transaction", func(l *log) {
			c, err := Txn(Transaction{Then: []Operation{{Kind: OpPut, Key: "k", TTL: 200}}})
			l.at(1400, c, err)
		}, 1600},
		{"the last put of a transaction", func(l *log) {
			c, err := Txn(Transaction{Then: []Operation{{Kind: OpPut, Key: "k", TTL: 200}, {Kind: OpDelete, Key: "k"}, {Kind: OpPut, Key: "k"}}})
			l.at(1400, c, err)
		}, 0},
	}
	for _, c := range cases {
		l := newLog(t)
		l.put(1000, "k", 500)
		c.change(l)
		due, command := l.store.Due()
		it, _ := l.store.Lookup("k")
		if due != c.want || it.Deadline != c.want || (command != nil) != (c.want != 0) {
			t.Errorf("%s: due at %d by %v, deadline %d, want %d", c.name, due, command, it.Deadline, c.want)
		}
		want := 0
		if it.Key != "" && it.Index != 0 {
			want = cost("k", it.Value, it.Deadline != 0)
		}
		if got := l.store.Stats().Bytes; got != want {
			t.Errorf("%s: %d bytes, want %d", c.name, got, want)
		}
	}
}

// A command finds the state without what expired before it.
func TestWhatExpiredIsGoneForTheCommand(t *testing.T) {
	l := newLog(t)
	l.put(1000, "k", 10)
	c, err := Put("k", []byte("new"), index(0))
	if result, _ := ParseResult(l.at(1010, c, err)); result != (Result{Outcome: CompareFailed, Index: 1}) {
		t.Errorf("at the deadline: %+v", result)
	}
	if result, _ := ParseResult(l.at(1011, c, err)); result != (Result{Outcome: Done}) || l.last() != "expire k=, put k=new" {
		t.Errorf("after it: %+v, %s", result, l.last())
	}
}

func TestKeysExpireInOrderWhateverTheOrderOfTheirPuts(t *testing.T) {
	const keys = 2000
	rng := rand.New(rand.NewPCG(1, 2))
	deadlines := make(map[string]raft.Time)
	var names []string
	for i := range keys {
		key := fmt.Sprint("k", i)
		names = append(names, key)
		deadlines[key] = raft.Time(2000 + rng.IntN(300))
	}
	stores := []*log{newLog(t), newLog(t)}
	for _, l := range stores {
		rng.Shuffle(len(names), func(i, j int) { names[i], names[j] = names[j], names[i] })
		for _, key := range names {
			l.put(1000, key, TTL(deadlines[key]-1000))
		}
	}
	sort.Slice(names, func(i, j int) bool {
		a, b := names[i], names[j]
		return deadlines[a] < deadlines[b] || deadlines[a] == deadlines[b] && a < b
	})
	for _, l := range stores {
		var got []string
		for n := 0; ; n++ {
			at, command := l.store.Due()
			if command == nil {
				break
			}
			if want := deadlines[names[len(got)]]; at != want {
				t.Fatalf("due at %d, want %d", at, want)
			}
			l.at(3000, command, nil)
			events := l.changes[len(l.changes)-1].Events
			if len(events) > MaxExpired || len(events) == 0 {
				t.Fatalf("%d keys expired at one entry", len(events))
			}
			for _, e := range events {
				got = append(got, e.Key)
			}
		}
		if strings.Join(got, " ") != strings.Join(names, " ") {
			t.Error("they expired in another order")
		}
	}
}

func TestADeadlineDoesNotOverflow(t *testing.T) {
	l := newLog(t)
	l.put(math.MaxUint64, "k", MaxTTL)
	if at, _ := l.store.Due(); at < 1<<62 {
		t.Errorf("due at %d", at)
	}
}

// The state against a plain map, with time going on at random and snapshots
// restored at random.
func TestTTLsAgainstAModel(t *testing.T) {
	for seed := range uint64(20) {
		rng := rand.New(rand.NewPCG(seed, 3))
		l := newLog(t)
		model := map[string]raft.Time{}
		now := raft.Time(1)
		for range 3000 {
			now += raft.Time(rng.IntN(4))
			for key, deadline := range model {
				if deadline != 0 && deadline < now {
					delete(model, key)
				}
			}
			key := fmt.Sprint("k", rng.IntN(200))
			switch rng.IntN(4) {
			case 0:
				c, err := Delete(key, nil)
				l.at(now, c, err)
				delete(model, key)
			case 1:
				l.put(now, key, 0)
				model[key] = 0
			default:
				ttl := TTL(1 + rng.IntN(500))
				l.put(now, key, ttl)
				model[key] = now + raft.Time(ttl)
			}
			if rng.IntN(100) == 0 {
				fresh := New(Options{})
				if err := fresh.Restore(l.store.Snapshot()); err != nil {
					t.Fatal(err)
				}
				if !bytes.Equal(fresh.Snapshot(), l.store.Snapshot()) || fresh.Stats() != l.store.Stats() {
					t.Fatal("the restored state differs")
				}
				l.store = fresh
			}
		}
		items := l.store.List(ListQuery{}).Items
		for _, it := range items {
			if deadline, there := model[it.Key]; !there || deadline != it.Deadline {
				t.Errorf("seed %d: %s expires at %d, want %d (%v)", seed, it.Key, it.Deadline, deadline, there)
			}
		}
		if len(items) != len(model) {
			t.Errorf("seed %d: %d keys, want %d", seed, len(items), len(model))
		}
	}
}

func TestDueAllocatesNothing(t *testing.T) {
	l := newLog(t)
	for i := range 1000 {
		l.put(1, fmt.Sprint("key", i), TTL(1+i))
	}
	if n := testing.AllocsPerRun(100, func() { l.store.Due() }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func BenchmarkPutTTL(b *testing.B) {
	s := New(Options{})
	commands := make([][]byte, 50_000)
	for i := range commands {
		var err error
		if commands[i], err = PutTTL(fmt.Sprintf("sensor/%d/value", i*7919%len(commands)), []byte("21.5"), 60_000, nil); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		s.Apply(raft.Entry{Index: raft.Index(i + 1), Term: 1, Time: raft.Time(i), Kind: raft.EntryCommand, Data: commands[i%len(commands)]})
		i++
	}
}

func BenchmarkDue(b *testing.B) {
	s := New(Options{})
	for i := range 50_000 {
		c, err := PutTTL(fmt.Sprint("key", i), nil, TTL(1+i), nil)
		if err != nil {
			b.Fatal(err)
		}
		s.Apply(raft.Entry{Index: raft.Index(i + 1), Time: 1, Kind: raft.EntryCommand, Data: c})
	}
	b.ReportAllocs()
	for b.Loop() {
		s.Due()
	}
}
