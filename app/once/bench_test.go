package once

import (
	"encoding/binary"
	"runtime"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// silent is an inner App that does nothing but answer as the key/value state
// does.
type silent struct{}

var done = []byte(`{"outcome":"done"}`)

func (silent) Apply(raft.Entry) []byte    { return done }
func (silent) Snapshot() []byte           { return nil }
func (silent) Restore([]byte) error       { return nil }
func (silent) Due() (raft.Time, []byte)   { return 0, nil }
func apply(a *App, i int, command []byte) { a.Apply(entry(i, command)) }

func entry(i int, command []byte) raft.Entry {
	return raft.Entry{Index: raft.Index(i + 2), Term: 1, Time: raft.Time(i), Kind: raft.EntryCommand, Data: command}
}

func keyed(b testing.TB, i, size int) []byte {
	key := binary.BigEndian.AppendUint64([]byte("0123456789abcdef"), uint64(i))
	c, err := Command(string(key), 0, make([]byte, size))
	if err != nil {
		b.Fatal(err)
	}
	return c
}

func benchmark(b *testing.B, size int, number func(i int) int) {
	commands := make([][]byte, 2*MaxKeys)
	for i := range commands {
		commands[i] = keyed(b, number(i), size)
	}
	a := NewLimited(silent{}, Limits{KeepAtLeast: 1})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		apply(a, i, commands[i%len(commands)])
		i++
	}
}

func BenchmarkNewKeys(b *testing.B)     { benchmark(b, 64, func(i int) int { return i }) }
func BenchmarkRepetitions(b *testing.B) { benchmark(b, 64, func(i int) int { return i % 100 }) }

func BenchmarkPlain(b *testing.B) {
	a := New(silent{})
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		apply(a, i, done)
		i++
	}
}

func Benchmark64KiB(b *testing.B) {
	c := keyed(b, 1, 64<<10)
	a := New(silent{})
	b.SetBytes(64 << 10)
	i := 0
	for b.Loop() {
		apply(a, i, c)
		i++
	}
}

func full(b testing.TB) *App {
	a := NewLimited(silent{}, Limits{KeepAtLeast: 1})
	for i := range MaxKeys + 100 {
		apply(a, i, keyed(b, i, 10))
	}
	return a
}

func BenchmarkSnapshotOfAFullTable(b *testing.B) {
	a := full(b)
	b.ReportAllocs()
	for b.Loop() {
		b.SetBytes(int64(len(a.Snapshot())))
	}
}

// A full table stays within what its limits say, in memory and in a snapshot.
func TestAFullTablesSize(t *testing.T) {
	heap := func() int {
		var m runtime.MemStats
		runtime.GC()
		runtime.GC()
		runtime.ReadMemStats(&m)
		return int(m.HeapAlloc)
	}
	before := heap()
	a := full(t)
	used := heap() - before
	s := a.Stats()
	if s.Keys != MaxKeys || s.Bytes > MaxTableBytes || used > s.Bytes {
		t.Errorf("%d keys take %d bytes of memory, counted as %d of %d", s.Keys, used, s.Bytes, MaxTableBytes)
	}
	t.Logf("%d keys: %d bytes of memory, counted as %d; %d in a snapshot", s.Keys, used, s.Bytes, len(a.Snapshot()))
}
