package server

import (
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// startSmall starts n devices whose logs are replaced by snapshots early.
func startSmall(t *testing.T, n, snapshotBytes int) *world {
	w := start(t, n)
	w.snapshotBytes, w.trailBytes = snapshotBytes, 1<<10
	w.rebootAll()
	return w
}

func (w *world) rebootAll() {
	for _, d := range w.devices {
		w.halt(d)
	}
	for _, d := range w.devices {
		w.boot(d, nil)
	}
}

// A device that was off while the log it needs was replaced by snapshots gets
// one, holds the same as the others, and still does after restarts.
func TestALaggardGetsASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSmall(t, 3, 8<<10)
		behind := w.followers()[0]
		w.halt(behind)
		rest := slices.DeleteFunc(slices.Clone(w.devices), func(d *device) bool { return d == behind })
		const n = 400
		for i := range n {
			w.mustPropose(rest[i%2], fmt.Sprint("command ", i))
		}
		if st := w.status(rest[0]); st.Snapshot == 0 || st.First < n/4 || st.LogBytes > 64<<10 {
			t.Errorf("the snapshot is at %d, the log begins at %d and has %d bytes", st.Snapshot, st.First, st.LogBytes)
		}
		w.boot(behind, nil)
		w.eventually("it has caught up", func() bool { return slices.Equal(behind.app.all(), rest[0].app.all()) })
		w.eventually("its snapshot is durable", func() bool { st := w.status(behind); return st.Snapshot > 0 && st.Stable == st.Last })
		for range 2 {
			w.rebootAll()
			w.mustPropose(behind, "after a restart")
		}
		for _, d := range w.devices {
			w.eventually("all hold the same", func() bool {
				return slices.Equal(d.app.all(), w.devices[0].app.all()) && len(d.app.all()) == n+2
			})
		}
		w.haltAll()
	})
}

// While a snapshot is under way the cluster commits on, under the same leader.
func TestASnapshotStarvesNobody(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSmall(t, 3, 64<<10)
		behind := w.followers()[0]
		w.halt(behind)
		rest := slices.DeleteFunc(slices.Clone(w.devices), func(d *device) bool { return d == behind })
		big := string(make([]byte, 8<<10))
		for i := range 200 {
			w.mustPropose(rest[i%2], fmt.Sprint(i, big))
		}
		term := w.status(rest[0]).Term
		w.boot(behind, nil)
		for i := 0; w.status(behind).Applied < 200; i++ {
			begin := time.Now()
			w.mustPropose(rest[i%2], fmt.Sprint("meanwhile ", i))
			if took := time.Since(begin); took > time.Second {
				t.Errorf("a commit took %v", took)
			}
			if i > 50_000 {
				t.Fatal("the snapshot does not arrive")
			}
			<-time.After(10 * time.Millisecond)
		}
		if now := w.status(rest[0]).Term; now != term {
			t.Errorf("the term went from %d to %d", term, now)
		}
		w.haltAll()
	})
}

// A new device joins a cluster whose log does not begin at 1 any more.
func TestJoiningByASnapshot(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := startSmall(t, 2, 8<<10)
		for i := range 500 {
			w.mustPropose(w.devices[i%2], fmt.Sprint(i))
		}
		d := &device{id: testID(7), card: &card{delay: time.Millisecond}}
		w.devices = append(w.devices, d)
		w.boot(d, nil)
		w.eventually("it is a voter and holds all", func() bool {
			return w.status(d).Config.IsVoter(d.id) && len(d.app.all()) == 500
		})
		if st := w.status(d); st.Snapshot == 0 {
			t.Error("it got there without a snapshot")
		}
		w.haltAll()
	})
}

func TestABadSnapshotEndsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 1)
		d := w.devices[0]
		w.halt(d)
		d.card.stored.Snapshot = &raft.Snapshot{
			Index: 1, Term: 1, ConfigIndex: 1, Data: []byte("not JSON"),
			Config: &raft.Configuration{Members: []raft.Member{{ID: d.id, Role: raft.Voter}}},
		}
		w.boot(d, nil)
		if err := <-d.ended; err == nil {
			t.Error("it went on")
		}
	})
}
