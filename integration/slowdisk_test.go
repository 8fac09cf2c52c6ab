package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/internal/powercut"
)

// slowTable prints the table of scripts/slow-disk.sh; each of its rows takes as long
// as slowFor.
var (
	slowTable = flag.Bool("slow-table", false, "measure slow disks, and print the whole table")
	slowFor   = flag.Duration("slow-for", 58*time.Second, "how long disks are slow, for each row of the table")
)

// slowRow is one kind of slowness.
type slowRow struct {
	who   string // "leader", "follower", "all"
	delay time.Duration
	once  bool
}

func (r slowRow) String() string {
	if r.once {
		return fmt.Sprintf("%s once %v", r.who, r.delay)
	}
	return fmt.Sprintf("%s %v", r.who, r.delay)
}

// slowFigures is what came of it.
type slowFigures struct {
	leaders  uint64 // changes
	failed   float64
	gap, p50 time.Duration
}

func (f slowFigures) String() string {
	return fmt.Sprintf("%d leader changes, %.1f %% failed, longest gap %.2f s, p50 %.3f s", f.leaders, f.failed, f.gap.Seconds(), f.p50.Seconds())
}

// TestSlowDisk: fsync takes seconds on a minority of the devices, and there is no
// election (but for the leader's handing over) and nobody waits, the local clients
// of the slow device included. The whole table is printed with -slow-table.
func TestSlowDisk(t *testing.T) {
	rows, long := []slowRow{{"leader", 2 * time.Second, false}, {"follower", 5 * time.Second, false}}, 5*time.Second
	if *slowTable {
		rows, long = nil, *slowFor
		for _, who := range []string{"leader", "follower"} {
			for _, s := range []time.Duration{1, 2, 5} {
				rows = append(rows, slowRow{who, s * time.Second, false})
			}
			rows = append(rows, slowRow{who, 10 * time.Second, true})
		}
		rows = append(rows, slowRow{"all", time.Second, false}, slowRow{"all", 2 * time.Second, false})
	}
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	disks := map[*agent]*powercut.Disk{}
	for i := range 3 {
		a := newAgent(t, net, i+1, "EDGERAFT_DISCOVERY=off", "EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521")
		disks[a] = a.fuseDisk()
		c.agents = append(c.agents, a)
	}
	c.form()
	for _, r := range rows {
		f := c.slow(r, disks, long)
		fmt.Printf("%-20s %s\n", r, f)
		if r.who == "all" || *slowTable {
			continue
		}
		// A leader may hand over once; an election that takes its time would be a gap.
		if f.failed > 0 || f.gap > 2*time.Second || f.p50 > time.Second || f.leaders > 1 || r.who == "follower" && f.leaders > 0 {
			t.Errorf("%s: %s", r, f)
		}
	}
}

// fuseDisk puts a disk below an agent's data whose syncs can be made slow.
func (a *agent) fuseDisk() *powercut.Disk {
	a.t.Helper()
	dir := filepath.Join(a.dir, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		a.t.Fatal(err)
	}
	d, err := powercut.Mount(dir, powercut.Recording{Base: powercut.NewImage()})
	if err != nil {
		need.Skip(a.t, "%v", err)
	}
	a.t.Cleanup(func() {
		d.Slow(nil)
		if a.proc != nil {
			a.proc.Kill()
		}
		if err := d.Unmount(); err != nil {
			a.t.Error(err)
		}
	})
	return d
}

// slow offers 5 writes a second at each device for a while, during which disks are
// slow. Clients give up after 10 s.
func (c *cluster) slow(r slowRow, disks map[*agent]*powercut.Disk, long time.Duration) slowFigures {
	c.t.Helper()
	leader := c.awaitLeader(c.agents)
	st, err := leader.status()
	if err != nil {
		c.t.Fatal(err)
	}
	victims := []*agent{leader}
	switch r.who {
	case "follower":
		victims = c.others(leader)[:1]
	case "all":
		victims = c.agents
	}
	for _, a := range victims {
		var first atomic.Bool
		disks[a].Slow(func() time.Duration {
			if r.once && first.Swap(true) {
				return 0
			}
			return r.delay
		})
	}
	f := c.offer(long)
	for _, a := range victims {
		disks[a].Slow(nil)
	}
	now, err := c.awaitLeader(c.agents).status()
	if err != nil {
		c.t.Fatal(err)
	}
	f.leaders = now.Node.Term - st.Node.Term
	return f
}

func (c *cluster) offer(long time.Duration) slowFigures {
	const patience = 10 * time.Second
	var mu sync.Mutex
	var acked []time.Time
	var took []time.Duration
	failed := 0
	var under sync.WaitGroup
	began := time.Now()
	tick := time.NewTicker(time.Second / 15)
	defer tick.Stop()
	n := 0
	for ; time.Since(began) < long; n++ {
		<-tick.C
		a, key := c.agents[n%3], fmt.Sprint("slow/", n%100)
		under.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), patience)
			defer cancel()
			sent := time.Now()
			_, err := a.client.Put(ctx, key, []byte("x"), client.PutOptions{})
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				failed++
				return
			}
			acked, took = append(acked, time.Now()), append(took, time.Since(sent))
		})
	}
	end := time.Now()
	under.Wait()
	f := slowFigures{failed: 100 * float64(failed) / float64(n)}
	slices.SortFunc(acked, time.Time.Compare)
	last := began
	for _, at := range append(acked, end) {
		if at.After(end) {
			at = end
		}
		f.gap, last = max(f.gap, at.Sub(last)), at
	}
	if slices.Sort(took); len(took) > 0 {
		f.p50 = took[len(took)/2]
	}
	return f
}
