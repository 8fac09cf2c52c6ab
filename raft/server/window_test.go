package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// written is what came of saves that were handed to a disk one after the other.
type written struct {
	writes  int
	slowest time.Duration // from being handed over to being durable
}

// handIn hands n saves to a disk, with a pause between two; or, with a pause
// below 0, each when the one before is durable.
func handIn(t *testing.T, w window, sync, pause time.Duration, n int) written {
	c := &card{delay: sync}
	d := newDisk(c, w, raft.HardState{})
	go d.run()
	at := make(map[uint64]time.Time)
	var out written
	durable := uint64(0)
	done := func(r result) {
		for seq := durable + 1; seq <= r.seq; seq++ {
			out.slowest = max(out.slowest, time.Since(at[seq]))
		}
		durable = r.seq
	}
	for i := range n {
		s := raft.Save{Seq: uint64(i + 1), State: raft.HardState{Term: 1}, First: 1}
		s.Entries = []raft.Entry{{Index: raft.Index(i + 1), Term: 1, Kind: raft.EntryCommand}}
		at[s.Seq] = time.Now()
		d.put(s)
		for wait := time.After(max(pause, 0)); pause < 0 && durable < s.Seq || pause >= 0 && wait != nil; {
			select {
			case r := <-d.results:
				done(r)
			case <-wait:
				wait = nil
			}
		}
	}
	for durable < uint64(n) {
		done(<-d.results)
	}
	d.stop()
	if len(c.stored.Entries) != n {
		t.Errorf("%d of %d entries are stored", len(c.stored.Entries), n)
	}
	out.writes = c.saves
	return out
}

func TestCommitWindow(t *testing.T) {
	const sync = 20 * time.Millisecond
	for _, c := range []struct {
		name    string
		w       window
		pause   time.Duration
		least   int // writes for 100 saves
		most    int
		slowest time.Duration
	}{
		{"none, seldom", window{}, 50 * time.Millisecond, 100, 100, sync},
		{"none, often", window{}, 5 * time.Millisecond, 24, 27, 2 * sync},
		{"100 ms, often", window{fixed: 100 * time.Millisecond}, 5 * time.Millisecond, 4, 6, 2*sync + 100*time.Millisecond},
		{"100 ms, one client alone", window{fixed: 100 * time.Millisecond}, -1, 100, 100, sync + 100*time.Millisecond},
		{"adaptive, seldom", window{adaptive: true}, 50 * time.Millisecond, 100, 100, sync},
		{"adaptive, often", window{adaptive: true}, 5 * time.Millisecond, 8, 13, 5 * sync},
		{"adaptive, one client alone", window{adaptive: true}, -1, 100, 100, sync},
	} {
		synctest.Test(t, func(t *testing.T) {
			got := handIn(t, c.w, sync, c.pause, 100)
			// The first few are written while nothing is known yet.
			if got.writes < c.least || got.writes > c.most || got.slowest > c.slowest {
				t.Errorf("%s: %+v, want %d to %d writes, and %v", c.name, got, c.least, c.most, c.slowest)
			}
		})
	}
}

// TestVotesDoNotWait, nor do terms and snapshots, nor what is large; and what
// waits goes with them.
func TestVotesDoNotWait(t *testing.T) {
	entry := func(n int) []raft.Entry {
		return []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryCommand, Data: make([]byte, n)}}
	}
	before := raft.HardState{Term: 1, Vote: "a"}
	for name, s := range map[string]raft.Save{
		"a vote":     {State: raft.HardState{Term: 1, Vote: "b"}},
		"a term":     {State: raft.HardState{Term: 2, Vote: "a"}, Entries: entry(1)},
		"a snapshot": {State: before, Snapshot: &raft.Snapshot{Index: 1}},
		"a promise":  {State: before, Founding: &raft.Founding{}},
		"much":       {State: before, Entries: entry(windowBytes)},
	} {
		w := window{fixed: time.Second, last: before}
		if wait := w.of(&s); wait != 0 {
			t.Errorf("%s waits %v", name, wait)
		}
	}
	small := raft.Save{State: before, Entries: entry(1)}
	if w := (window{fixed: time.Second, last: before}); w.of(&small) != time.Second {
		t.Error("an entry does not wait")
	}
	synctest.Test(t, func(t *testing.T) {
		c := &card{delay: time.Millisecond}
		d := newDisk(c, window{fixed: time.Minute, last: before}, raft.HardState{})
		go d.run()
		began := time.Now()
		small.Seq = 1
		d.put(small)
		synctest.Wait()
		d.put(raft.Save{Seq: 2, State: raft.HardState{Term: 1, Vote: "b"}})
		if r := <-d.results; r.seq != 2 || time.Since(began) > 2*time.Millisecond {
			t.Errorf("save %d is durable after %v", r.seq, time.Since(began))
		}
		d.stop()
	})
}

// TestElectionWithACommitWindow: the longest one costs no election and no leader.
func TestElectionWithACommitWindow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startWith(t, 3, func(w *world) { w.window = MaxCommitWindow })
		for range 5 {
			leader := w.leader()
			w.mustPropose(leader, "x")
			term := w.status(leader).Term
			<-time.After(time.Minute)
			if now := w.status(w.leader()); now.Term != term {
				t.Errorf("the term went from %d to %d", term, now.Term)
			}
			w.halt(leader) // hands over
			w.leader()
			w.boot(leader, nil)
		}
		w.haltAll()
	})
}
