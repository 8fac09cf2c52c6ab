package storage

import (
	"context"
	"flag"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

var (
	program = flag.String("agent", "", "the program edgeraft")
	idle    = flag.Duration("idle", 3*time.Minute, "how long idle agents are watched")
)

const (
	agents       = 3
	command      = 64 // bytes
	patience     = time.Minute
	callPatience = 15 * time.Second // longer than the agent's own deadline
)

// rates are how fast is proposed, one proposal after the other.
var rates = []struct{ perSecond, seconds int }{{1, 120}, {10, 60}, {100, 60}}

// agent is a process, and the device that it alone writes to.
type agent struct {
	device
	client *client.Client
}

// TestMeasureAgents prints what the devices of three agents are handed: while
// nothing happens, and under load.
func TestMeasureAgents(t *testing.T) {
	all := startAgents(t, devices(t, agents))
	found(t, all)
	leader := leads(t, all)
	// The leader comes first.
	all[0], all[leader] = all[leader], all[0]

	// What happens now and then in a young cluster has happened, and the first
	// boot's ring and journal have been used.
	count(t, all, func() { load(t, all[0].client, 100, 1000) })
	fmt.Printf("\nthree agents that have nothing to do for %v: bytes / flushes of each device\n%-18s", *idle, "")
	show(count(t, all, func() { wait(*idle) }), 1, "%.0f / %.0f")

	fmt.Printf("\nthree agents, proposals of %d bytes on the leader: bytes / flushes for each of them\n%-18s%18s%18s%18s\n",
		command, "", "leader", "follower", "follower")
	for _, r := range rates {
		n := r.perSecond * r.seconds
		fmt.Printf("%-18s", fmt.Sprintf("%d/s for %d s", r.perSecond, r.seconds))
		show(count(t, all, func() { load(t, all[0].client, r.perSecond, n) }), n, "%.0f / %.3f")
	}
	if leads(t, all) != 0 {
		t.Error("the leader changed meanwhile: which column is whose is not known")
	}
}

// show prints what was written for each of n proposals.
func show(got []written, n int, format string) {
	for _, w := range got {
		fmt.Printf("%18s", fmt.Sprintf(format, float64(w.bytes)/float64(n), float64(w.flushes)/float64(n)))
	}
	fmt.Println()
}

// count returns what each agent's device is handed while something is done.
func count(t *testing.T, all []agent, do func()) []written {
	t.Helper()
	before := make([]written, len(all))
	var err error
	for i, a := range all {
		if before[i], err = a.begin(); err != nil {
			t.Fatal(err)
		}
	}
	do()
	for i, a := range all {
		if before[i], err = a.end(before[i]); err != nil {
			t.Fatal(err)
		}
	}
	return before
}

func wait(d time.Duration) { <-time.NewTimer(d).C }

// load makes n proposals at an even rate, without waiting for one before it
// makes the next, and returns when all are answered.
func load(t *testing.T, c *client.Client, perSecond, n int) {
	t.Helper()
	w := newWork(command, 1)
	tick := time.NewTicker(time.Second / time.Duration(perSecond))
	defer tick.Stop()
	failed := make(chan error, n)
	var under sync.WaitGroup
	for i := range n {
		<-tick.C
		under.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), callPatience)
			defer cancel()
			if _, err := c.Propose(ctx, w.entry(uint64(i+1))); err != nil {
				failed <- err
			}
		})
	}
	under.Wait()
	close(failed)
	for err := range failed {
		t.Fatalf("a proposal failed, so that what was counted means nothing: %v", err)
	}
}

// startAgents starts agents that know of each other, each with its data on a
// device of its own.
func startAgents(t *testing.T, on []device) []agent {
	t.Helper()
	ports := freePorts(t, len(on))
	var all []agent
	for i, d := range on {
		home := t.TempDir()
		socket := filepath.Join(home, "s")
		args := []string{
			*program, "run", "--config", os.DevNull, "--name", fmt.Sprintf("device-%d", i+1),
			"--cluster", fmt.Sprintf("compared-%d", os.Getpid()), "--key-file", filepath.Join(home, "key"),
			"--data-dir", filepath.Join(d.mount, "data"), "--socket", socket,
			"--udp-listen", fmt.Sprintf(":%d", ports[i]), "--discovery", "off",
		}
		for k, p := range ports {
			if k != i {
				args = append(args, "--peers", fmt.Sprintf("127.0.0.1:%d", p))
			}
		}
		lab.Start(t, lab.Command{Name: fmt.Sprintf("agent %d", i+1), Args: args})
		a := agent{d, client.New(socket)}
		t.Cleanup(a.client.Close)
		all = append(all, a)
	}
	return all
}

// freePorts finds UDP ports that nobody uses at present.
func freePorts(t *testing.T, n int) []int {
	t.Helper()
	var ports []int
	for range n {
		c, err := net.ListenUDP("udp", nil)
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close() // not before all are found
		ports = append(ports, c.LocalAddr().(*net.UDPAddr).Port)
	}
	return ports
}

// found makes one cluster of all, in which each may vote.
func found(t *testing.T, all []agent) {
	t.Helper()
	for i := range all {
		await(t, all[i], "answers", func(api.Status) bool { return true })
	}
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	setup, err := all[0].client.Init(ctx)
	if err != nil {
		t.Fatal(err)
	}
	for _, a := range all[1:] {
		if _, err := a.client.Join(ctx, setup.Key); err != nil {
			t.Fatal(err)
		}
	}
	for _, a := range all {
		await(t, a, "sees as many voters as there are agents", func(st api.Status) bool {
			voters := 0
			for _, m := range st.Members {
				if m.Role == "voter" {
					voters++
				}
			}
			return st.Cluster.Leader != "" && voters == len(all)
		})
	}
}

func await(t *testing.T, a agent, what string, wanted func(api.Status) bool) {
	t.Helper()
	lab.Eventually(t, "the agent with its data on "+a.mount+" "+what, patience, func() error {
		ctx, cancel := context.WithTimeout(context.Background(), callPatience)
		defer cancel()
		st, err := a.client.Status(ctx)
		if err == nil && !wanted(st) {
			err = fmt.Errorf("its status is %+v", st)
		}
		return err
	})
}

// leads returns which of them is the leader.
func leads(t *testing.T, all []agent) int {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	for i, a := range all {
		st, err := a.client.Status(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if st.Node.ID == st.Cluster.Leader {
			return i
		}
	}
	t.Fatal("no agent leads")
	return 0
}
