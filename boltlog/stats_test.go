package boltlog

import (
	"bytes"
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/raft"
)

// bytesWritten is what this process has handed to write calls so far. It does
// not ask package os, of whose calls package testing writes a log.
func bytesWritten(t *testing.T) uint64 {
	t.Helper()
	fd, err := syscall.Open("/proc/self/io", syscall.O_RDONLY, 0)
	if err != nil {
		need.Skip(t, "the kernel does not count: %v", err)
	}
	defer syscall.Close(fd)
	var b [1 << 10]byte
	size, err := syscall.Read(fd, b[:])
	if err != nil {
		t.Fatal(err)
	}
	var n uint64
	for line := range bytes.Lines(b[:size]) {
		if _, err := fmt.Sscanf(string(line), "wchar: %d", &n); err == nil {
			return n
		}
	}
	t.Fatalf("no count in %s", b[:size])
	return 0
}

// TestBytesAreCountedAsWritten compares the counts with the kernel's. Those have
// some bytes of others in, and now and then a page of package testing's log of
// looked up variables: bbolt looks one up again and again.
func TestBytesAreCountedAsWritten(t *testing.T) {
	const saves = 60
	dir := t.TempDir()
	total := func(s Stats) uint64 { return s.LogBytes + s.SnapshotBytes + s.OtherBytes }
	others := 0
	near := func(what string, before, counted uint64) {
		t.Helper()
		got := bytesWritten(t) - before
		if got >= counted+pageSize {
			others++
		}
		if got < counted || got >= counted+2*pageSize {
			t.Errorf("%s: %d bytes were written, %d are counted", what, got, counted)
		}
	}
	before := bytesWritten(t)
	l, _ := open(t, dir)
	near("making it", before, total(l.Stats()))
	r := rand.New(rand.NewPCG(7, 8))
	var model raft.Stored
	for i := range saves {
		s := randomSave(r, model)
		apply(&model, s)
		before, stats := bytesWritten(t), l.Stats()
		save(t, l, s)
		after := l.Stats()
		near(fmt.Sprint("save ", i), before, total(after)-total(stats))
		if s.Snapshot != nil && len(s.Snapshot.Data) > pageSize/4 { // a smaller one has no page of its own
			size := uint64(len(s.Snapshot.Data))
			if got := after.SnapshotBytes - stats.SnapshotBytes; got < size || got > size+size/4+2*pageSize {
				t.Errorf("save %d: %d bytes for a snapshot of %d", i, got, size)
			}
		}
		if after.OtherBytes != stats.OtherBytes && after.Growths == stats.Growths {
			t.Errorf("save %d counts as other", i)
		}
	}
	mustClose(t, l)
	before = bytesWritten(t)
	l, _ = open(t, dir)
	near("opening it", before, total(l.Stats()))
	if others > saves/6 {
		t.Errorf("%d times a page more was written than is counted", others)
	}
	if s := l.Stats(); s.LogBytes != 0 || s.SnapshotBytes != 0 {
		t.Errorf("%+v", s)
	}
}
