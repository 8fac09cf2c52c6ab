package integration

import (
	"context"
	"flag"
	"fmt"
	"path/filepath"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/powercut"
)

var (
	windowTable = flag.Bool("window-table", false, "measure commit windows, and print the table")
	windowSync  = flag.Duration("window-sync", 10*time.Millisecond, "how long a sync takes in it")
	windowFor   = flag.Duration("window-for", 20*time.Second, "how long each rate is offered in it")
)

// TestMeasureWindow prints what flash.commit_window saves and costs: what the
// leader's disk is handed for each entry, without what a file system adds, and how
// long its client waits. scripts/compare-storage.sh runs it.
func TestMeasureWindow(t *testing.T) {
	if !*windowTable {
		t.Skip("a measurement; scripts/compare-storage.sh runs it")
	}
	fmt.Printf("\ncommit windows, commands of 64 bytes on the leader, a sync takes %v: bytes / flushes for each, median latency\n", *windowSync)
	for _, w := range []string{"0s", "adaptive"} {
		c := &cluster{t: t, net: lab.New(t, 3)}
		disks := map[*agent]*powercut.Disk{}
		for i := range 3 {
			a := newAgent(t, c.net, i+1, "EDGERAFT_DISCOVERY=off", "EDGERAFT_FLASH_COMMIT_WINDOW="+w,
				"EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521")
			disks[a] = a.fuseDisk()
			c.agents = append(c.agents, a)
		}
		c.form()
		for _, d := range disks {
			d.Slow(func() time.Duration { return *windowSync })
		}
		for _, rate := range []int{1, 10, 100, 300} {
			leader := c.awaitLeader(c.agents)
			from, n := disks[leader].Len(), max(rate*int(windowFor.Seconds()), 1)
			p50, failed := offerCommands(leader.client, rate, n)
			var bytes, syncs int
			for _, e := range disks[leader].Recording().Events[from:] {
				bytes += len(e.Data)
				if e.Kind == powercut.Sync {
					syncs++
				}
			}
			fmt.Printf("%-10s %4d/s  %6d / %.3f  %6.1f ms", w, rate, bytes/n, float64(syncs)/float64(n), float64(p50.Microseconds())/1000)
			if failed > 0 {
				fmt.Printf("  %d of %d failed", failed, n)
			}
			fmt.Println()
		}
	}
}

// offerCommands proposes at an even rate, and returns the median latency and how
// many failed.
func offerCommands(c *client.Client, perSecond, n int) (p50 time.Duration, failed int) {
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	var mu sync.Mutex
	var took []time.Duration
	var under sync.WaitGroup
	for i := range n {
		<-tick.C
		under.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
			defer cancel()
			sent := time.Now()
			_, err := c.Propose(ctx, fmt.Appendf(nil, "%064d", i))
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				return
			}
			took = append(took, time.Since(sent))
		})
	}
	under.Wait()
	slices.Sort(took)
	if len(took) > 0 {
		p50 = took[len(took)/2]
	}
	return p50, failed
}

// TestFiguresFullLog prints the memory of three agents whose log grows as long as
// it becomes: small keys are written over, with values of 1 KiB; then the state
// itself grows.
func TestFiguresFullLog(t *testing.T) {
	c := needFigures(t, "GOMEMLIMIT=192MiB", "EDGERAFT_LIMITS_WATCH_HISTORY_BYTES=4194304") // as the package has it
	leader := c.awaitLeader(c.agents)
	for _, phase := range []struct {
		what        string
		keys, bytes int // of keys, and written in all
		value       int
	}{
		{"100 keys of 1 KiB, written over", 100, 40 << 20, 1 << 10},
		{"a state that grows", 1 << 20, 60 << 20, 16 << 10},
	} {
		most := map[*agent]uint64{}
		refused := c.fill(leader, phase.keys, phase.bytes/phase.value, phase.value, func() {
			for _, a := range c.agents {
				if st, err := a.status(); err == nil {
					most[a] = max(most[a], st.Storage.LogBytes)
				}
			}
		})
		fmt.Printf("%s: %d MB, %d refused\n", phase.what, phase.bytes>>20, refused)
		for _, a := range c.agents {
			m := readFields(t, filepath.Join("/proc", fmt.Sprint(a.proc.PID()), "status"))
			fmt.Printf("  %s: longest log %.1f MiB, RSS now %.1f MiB, most %.1f MiB (anonymous now %.1f)\n",
				a.name(), float64(most[a])/(1<<20), float64(m["VmRSS:"])/1024, float64(m["VmHWM:"])/1024, float64(m["RssAnon:"])/1024)
		}
	}
}

// fill writes n values from eight clients, and looks now and then.
func (c *cluster) fill(on *agent, keys, n, size int, look func()) (refused int) {
	var mu sync.Mutex
	var under sync.WaitGroup
	value := make([]byte, size)
	work := make(chan int)
	for range 8 {
		under.Go(func() {
			for i := range work {
				ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
				if _, err := on.client.Put(ctx, fmt.Sprintf("fill/%d/%d", size, i%keys), value, client.PutOptions{}); err != nil {
					mu.Lock()
					refused++
					mu.Unlock()
				}
				cancel()
			}
		})
	}
	for i := range n {
		work <- i
		if i%(max(n/200, 1)) == 0 {
			look()
		}
	}
	close(work)
	under.Wait()
	look()
	return refused
}
