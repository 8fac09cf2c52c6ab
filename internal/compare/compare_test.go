package compare

import "testing"

var cores = []struct {
	name  string
	start func() (cluster, error)
}{
	{"edgeraft", newEdgeraft},
	{"etcd", newEtcd},
	{"etcd-together", newEtcdTogether},
}

// TestWork holds that what is measured is really done: every command is
// committed and applied by all three, in order, across several snapshots.
func TestWork(t *testing.T) {
	for _, w := range works {
		for _, core := range cores {
			t.Run(w.name+"/"+core.name, func(t *testing.T) {
				c, err := core.start()
				if err != nil {
					t.Fatal(err)
				}
				if err := w.do(c, 3*snapshotEvery+w.batch/2); err != nil {
					t.Fatal(err)
				}
				for i := range members {
					if c.member(i).snapshot < 2*snapshotEvery {
						t.Errorf("member %d took its last snapshot after %d commands", i+1, c.member(i).snapshot)
					}
				}
			})
		}
	}
}

// BenchmarkPropose commits and applies b.N commands on all three members.
func BenchmarkPropose(b *testing.B) {
	for _, w := range works {
		for _, core := range cores {
			if core.name == "etcd-together" && w.batch == 1 {
				continue // the same as etcd
			}
			b.Run(w.name+"/"+core.name, func(b *testing.B) {
				c, err := core.start()
				if err != nil {
					b.Fatal(err)
				}
				b.ReportAllocs()
				b.ResetTimer()
				if err := w.do(c, b.N); err != nil {
					b.Fatal(err)
				}
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "proposals/s")
			})
		}
	}
}
