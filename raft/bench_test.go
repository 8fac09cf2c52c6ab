package raft

import (
	"fmt"
	"math"
	"testing"
)

// trio is three Cores that talk to each other at once, with disks that take no
// time: what is measured is the Cores.
type trio struct {
	b     *testing.B
	cores []*Core
	queue []Message
	done  int // proposals applied by the first
}

func newTrio(b *testing.B) *trio {
	b.Helper()
	tr := &trio{b: b}
	from := Stored{State: HardState{Cluster: testCluster, Term: 1, Commit: 1}}
	from.Entries = []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA, idB, idC)}}
	for i, id := range []NodeID{idA, idB, idC} {
		c, err := New(Config{
			ID: id, ElectionTicks: 10, HeartbeatTicks: 2, Boot: 1, ProposalBase: uint64(i+1) << 40,
			Random: func(int) int { return 0 }, MaxLogBytes: math.MaxInt32,
		}, from)
		if err != nil {
			b.Fatal(err)
		}
		tr.cores = append(tr.cores, c)
	}
	for tr.cores[0].Role() != Leader {
		tr.cores[0].Tick()
		tr.run()
	}
	return tr
}

// run carries out everything until nothing is left to do.
func (tr *trio) run() {
	for busy := true; busy; {
		busy = false
		for i, c := range tr.cores {
			for {
				rd := c.Ready()
				if rd.Empty() {
					break
				}
				busy = true
				tr.queue = append(tr.queue, rd.Messages...)
				if i == 0 {
					for _, e := range rd.Committed {
						if e.ID != 0 {
							tr.done++
						}
					}
				}
				if rd.Save != nil {
					c.Saved(rd.Save.Seq)
				}
			}
		}
		queue := tr.queue
		tr.queue = nil
		for _, m := range queue {
			if err := tr.cores[m.To[0]-'a'].Step(m); err != nil {
				tr.b.Fatal(err)
			}
		}
	}
}

// BenchmarkPropose commits 256-byte proposals on three Cores, made on the leader
// or on a follower, so many at a time.
func BenchmarkPropose(b *testing.B) {
	for on, where := range []string{"leader", "follower"} {
		for _, batch := range []int{1, 64, 1024} {
			b.Run(fmt.Sprintf("on=%s/batch=%d", where, batch), func(b *testing.B) {
				tr := newTrio(b)
				data := make([]byte, 256)
				b.ReportAllocs()
				b.ResetTimer()
				for n := 0; n < b.N; {
					for range min(batch, b.N-n) {
						if _, err := tr.cores[on].Propose(data); err != nil {
							b.Fatal(err)
						}
						n++
					}
					tr.run()
				}
				b.StopTimer()
				if tr.done != b.N {
					b.Fatalf("%d of %d committed", tr.done, b.N)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proposals/s")
			})
		}
	}
}

// BenchmarkRead confirms one linearizable read after another.
func BenchmarkRead(b *testing.B) {
	tr := newTrio(b)
	b.ReportAllocs()
	for b.Loop() {
		tr.cores[1].Read()
		tr.run()
	}
}
