package app

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// publish makes one change at index with so many commands, named by index and
// position.
func publish(h *History, index raft.Index, commands int) {
	c := kv.Change{Index: index, Term: 1}
	for i := range commands {
		c.Events = append(c.Events, kv.Event{Kind: kv.EventCommand, Value: fmt.Appendf(nil, "%d.%d", index, i)})
	}
	h.Publish(c)
}

func TestHistoryReads(t *testing.T) {
	h := NewHistory(HistoryLimits{Events: 4})
	steps := []struct {
		publish raft.Index // 0: none
		events  int
		from    raft.Index
		want    string // indexes read
		next    raft.Index
		waits   bool
		resume  raft.Index // of the error
	}{
		{from: 1, next: 1, waits: true},
		{publish: 1, events: 1, from: 1, want: "[1]", next: 2},
		{publish: 2, events: 0, from: 2, next: 3, waits: true},
		{publish: 3, events: 2, from: 1, want: "[1 3]", next: 4},
		{from: 3, want: "[3]", next: 4},
		{from: 9, next: 9, waits: true},
		{publish: 4, events: 1, from: 2, want: "[3 4]", next: 5},
		{publish: 5, events: 1, from: 1, resume: 2, next: 1}, // five events: the first goes
		{from: 2, want: "[3 4 5]", next: 6},
		{publish: 6, events: 1, from: 3, resume: 4, next: 3}, // both of index 3 go
		{from: 4, want: "[4 5 6]", next: 7},
		{publish: 7, events: 9, from: 7, want: "[7]", next: 8}, // the newest stays, whatever its size
		{from: 6, resume: 7, next: 6},
		{publish: 20, events: 0, from: 8, resume: 20, next: 8}, // a gap
		{from: 20, next: 21, waits: true},
		{publish: 21, events: 1, from: 20, want: "[21]", next: 22},
	}
	for i, s := range steps {
		if s.publish > 0 {
			publish(h, s.publish, s.events)
		}
		batch, next, changed, err := h.read(s.from)
		var indexes []raft.Index
		for _, c := range batch {
			indexes = append(indexes, c.Index)
		}
		var compacted *compactedError
		if errors.As(err, &compacted) != (s.resume > 0) || compacted != nil && compacted.resumeFrom != s.resume {
			t.Errorf("step %d: %v", i, err)
		}
		got := ""
		if batch != nil {
			got = fmt.Sprint(indexes)
		}
		if got != s.want || next != s.next || (changed != nil) != s.waits {
			t.Errorf("step %d: %q, next %d, waits %v", i, got, next, changed != nil)
		}
	}
}

func TestHistoryIsBoundedInBytes(t *testing.T) {
	const limit = 10_000
	h := NewHistory(HistoryLimits{Bytes: limit})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range raft.Index(5000) {
		h.Publish(kv.Change{Index: i + 1, Events: []kv.Event{{Kind: kv.EventPut, Key: "k", Value: make([]byte, rng.IntN(2000))}}})
		size, events := 0, 0
		for _, c := range h.changes[h.head:] {
			size, events = size+sizeOf(c), events+len(c.Events)
		}
		if size != h.bytes || size > limit || events != h.events || len(h.changes) > 2*limit/eventOverhead {
			t.Fatalf("index %d: %d bytes, counted %d; %d events, counted %d; %d slots", i+1, size, h.bytes, events, h.events, len(h.changes))
		}
	}
}

func TestHistoryBatchesAreBounded(t *testing.T) {
	h := NewHistory(HistoryLimits{})
	for i := range raft.Index(1000) {
		publish(h, i+1, 1)
	}
	for i := range raft.Index(100) {
		h.Publish(kv.Change{Index: 1001 + i, Events: []kv.Event{{Kind: kv.EventPut, Value: make([]byte, batchBytes/2)}}})
	}
	from := raft.Index(1)
	for from <= 1100 {
		batch, next, _, err := h.read(from)
		if err != nil {
			from = err.(*compactedError).resumeFrom
			continue
		}
		size := 0
		for _, c := range batch {
			size += sizeOf(c)
		}
		if len(batch) == 0 || len(batch) > batchChanges || size > batchBytes && len(batch) > 1 || next <= from {
			t.Fatalf("from %d: %d changes of %d bytes, next %d", from, len(batch), size, next)
		}
		from = next
	}
}

func BenchmarkPublish(b *testing.B) {
	for _, watchers := range []int{0, 1, 64} {
		b.Run(fmt.Sprint(watchers, " watchers"), func(b *testing.B) {
			h := NewHistory(HistoryLimits{})
			done := make(chan struct{})
			var wg sync.WaitGroup
			for range watchers {
				wg.Go(func() {
					from := raft.Index(1)
					for {
						_, next, changed, err := h.read(from)
						if from = next; err != nil {
							from = err.(*compactedError).resumeFrom
						} else if changed != nil {
							select {
							case <-changed:
							case <-done:
								return
							}
						}
					}
				})
			}
			events := []kv.Event{{Kind: kv.EventCommand, Value: []byte("21.5")}}
			b.ReportAllocs()
			i := raft.Index(0)
			for b.Loop() {
				i++
				h.Publish(kv.Change{Index: i, Term: 1, Events: events})
			}
			close(done)
			wg.Wait()
		})
	}
}

// After a restored state the history begins behind it, and a watcher who waited
// for less is told at once.
func TestHistoryAfterARestore(t *testing.T) {
	h := NewHistory(HistoryLimits{})
	publish(h, 1, 1)
	_, _, changed, err := h.read(2)
	if err != nil {
		t.Fatal(err)
	}
	h.Restored(50)
	select {
	case <-changed:
	default:
		t.Error("a waiting watcher was not woken")
	}
	var compacted *compactedError
	for _, from := range []raft.Index{1, 2, 50} {
		if _, _, _, err := h.read(from); !errors.As(err, &compacted) || compacted.resumeFrom != 51 {
			t.Errorf("from %d: %v, want compacted, to resume from 51", from, err)
		}
	}
	publish(h, 51, 1)
	if batch, next, _, err := h.read(51); err != nil || len(batch) != 1 || next != 52 {
		t.Errorf("from 51: %d changes, next %d, %v", len(batch), next, err)
	}
}
