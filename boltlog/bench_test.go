package boltlog

import (
	"fmt"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// BenchmarkSave reports, beside time and memory, the bytes handed to the device
// and the syncs for each entry. The log is cut to the last 1,000 entries.
func BenchmarkSave(b *testing.B) {
	for _, size := range []int{64, 256} {
		for _, batch := range []int{1, 4, 16, 64} {
			b.Run(fmt.Sprintf("%dB/%d", size, batch), func(b *testing.B) { benchmarkSave(b, size, batch) })
		}
	}
}

func benchmarkSave(b *testing.B, size, batch int) {
	l, _, err := Open(b.TempDir(), Options{ClusterName: "home"})
	if err != nil {
		b.Fatal(err)
	}
	defer l.Close()
	data := make([]byte, size)
	entries := make([]raft.Entry, batch)
	conf := &raft.Configuration{Members: []raft.Member{{ID: "aaaaaaaaaaaaaaaa", Name: "a", Role: raft.Voter}}}
	next, first := raft.Index(1), raft.Index(1)
	before := l.Stats()
	b.ReportAllocs()
	for b.Loop() {
		s := raft.Save{State: raft.HardState{Term: 1, Commit: next - 1}, Entries: entries}
		for i := range entries {
			entries[i] = raft.Entry{Index: next, Term: 1, Kind: raft.EntryCommand, ID: raft.ProposalID(next) << 32, Time: 1 << 40, Data: data}
			next++
		}
		if next-first > 2000 {
			first = next - 1000
			s.First, s.Snapshot = first, &raft.Snapshot{Index: first - 1, Term: 1, ConfigIndex: 1, Config: conf}
		}
		save(b, l, s)
	}
	after := l.Stats()
	n := float64(next - 1)
	b.ReportMetric(float64(after.LogBytes-before.LogBytes)/n, "device-B/entry")
	b.ReportMetric(float64(after.Syncs-before.Syncs)/n, "syncs/entry")
	if after.Growths != 0 {
		b.Errorf("the file grew: %+v", after)
	}
}

// BenchmarkOpen opens a log of 10,000 entries.
func BenchmarkOpen(b *testing.B) {
	dir := b.TempDir()
	opt := Options{ClusterName: "home"}
	l, _, err := Open(dir, opt)
	if err != nil {
		b.Fatal(err)
	}
	for i := raft.Index(1); i <= 10000; i += 100 {
		save(b, l, raft.Save{State: raft.HardState{Term: 1}, Entries: commands(1, i, i+99)})
	}
	for b.Loop() {
		if err := l.Close(); err != nil {
			b.Fatal(err)
		}
		if l, _, err = Open(dir, opt); err != nil {
			b.Fatal(err)
		}
	}
	if err := l.Close(); err != nil {
		b.Fatal(err)
	}
}
