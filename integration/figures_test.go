package integration

import (
	"context"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// Figures are measured, not asserted: scripts/figures.sh prints them.
var (
	figures     = flag.Bool("figures", false, "measure and print figures")
	figureKills = flag.Int("kills", 20, "leader kills to measure")
	figureIdle  = flag.Duration("idle", time.Minute, "how long to watch idle agents")
)

func needFigures(t *testing.T, settings ...string) *cluster {
	t.Helper()
	if !*figures {
		t.Skip("a measurement; scripts/figures.sh runs it")
	}
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, settings...))
	}
	c.form()
	return c
}

// TestFiguresFailover measures the time from kill -9 of the leader to the
// acknowledgement of a command proposed on another device after the kill.
func TestFiguresFailover(t *testing.T) {
	c := needFigures(t)
	var times []time.Duration
	for i := range *figureKills {
		leader := c.awaitLeader(c.agents)
		survivor := c.others(leader)[i%2]
		leader.proc.Kill()
		begin := time.Now()
		ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
		_, err := survivor.client.Propose(ctx, fmt.Appendf(nil, "after kill %d", i))
		cancel()
		if err != nil {
			t.Fatalf("after kill %d: %v", i, err)
		}
		times = append(times, time.Since(begin))
		leader.start()
		c.awaitMembers()
		c.awaitLeader(c.agents)
	}
	slices.Sort(times)
	fmt.Printf("failover over %d leader kills: median %.2f s, best %.2f s, worst %.2f s\n", len(times),
		times[len(times)/2].Seconds(), times[0].Seconds(), times[len(times)-1].Seconds())
}

// TestFiguresIdle measures what an agent costs while nothing happens.
func TestFiguresIdle(t *testing.T) {
	c := needFigures(t)
	for i := range 20 {
		if _, err := c.agents[i%3].propose(fmt.Sprint("before idling ", i)); err != nil {
			t.Fatal(err)
		}
	}
	leader := c.awaitLeader(c.agents)
	settle := time.NewTimer(15 * time.Second) // until discovery has calmed down
	<-settle.C
	before := c.measureAll()
	settle.Reset(*figureIdle)
	<-settle.C
	after := c.measureAll()
	s := figureIdle.Seconds()
	fmt.Printf("idle for %v, each agent:\n%-10s %-8s %9s %11s %9s %11s %9s %9s %11s %8s\n", *figureIdle,
		"device", "role", "RSS KiB", "anon KiB", "CPU ms/s", "switches/s", "sent/s", "rcvd/s", "sent B/s", "saves")
	for i, a := range c.agents {
		role := "follower"
		if a == leader {
			role = "leader"
		}
		b, e := before[i], after[i]
		fmt.Printf("%-10s %-8s %9d %11d %9.2f %11.1f %9.2f %9.2f %11.0f %8d\n", a.name(), role, e.rss, e.anon,
			float64(e.cpu-b.cpu)*1000/clockTicks/s, float64(e.switches-b.switches)/s,
			float64(e.sent-b.sent)/s, float64(e.received-b.received)/s, float64(e.sentBytes-b.sentBytes)/s, e.saves-b.saves)
	}
}

// clockTicks is how many of the kernel's units of CPU time make a second; it
// is 100 on every Linux that Go supports.
const clockTicks = 100

// usage is what a process has used, and the interface of its device has seen.
type usage struct {
	rss, anon                        int64 // KiB
	cpu                              int64 // clockTicks
	switches                         int64
	sent, received, sentBytes, saves int64
}

func (c *cluster) measureAll() []usage {
	c.t.Helper()
	var all []usage
	for _, a := range c.agents {
		all = append(all, c.measure(a))
	}
	return all
}

func (c *cluster) measure(a *agent) usage {
	c.t.Helper()
	var u usage
	proc := fmt.Sprintf("/proc/%d", a.proc.PID())
	status := readFields(c.t, proc+"/status")
	u.rss, u.anon = status["VmRSS:"], status["RssAnon:"]
	stat, err := os.ReadFile(proc + "/stat")
	if err != nil {
		c.t.Fatal(err)
	}
	text := string(stat)
	fields := strings.Fields(text[strings.LastIndexByte(text, ')')+1:])
	for _, f := range fields[11:13] { // utime and stime, proc(5)
		n, _ := strconv.ParseInt(f, 10, 64)
		u.cpu += n
	}
	tasks, _ := filepath.Glob(proc + "/task/*/status")
	for _, task := range tasks {
		s := readFields(c.t, task)
		u.switches += s["voluntary_ctxt_switches:"] + s["nonvoluntary_ctxt_switches:"]
	}
	u.received, u.sent, u.sentBytes = c.interfaceCounts(a)
	st, err := a.status()
	if err != nil {
		c.t.Fatal(err)
	}
	u.saves = int64(st.Storage.Saves)
	return u
}

// readFields reads the numbers of a file of "name: number" lines.
func readFields(t *testing.T, path string) map[string]int64 {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 {
			out[f[0]], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return out
}

// interfaceCounts reads what passed a device's interface, mDNS included.
func (c *cluster) interfaceCounts(a *agent) (received, sent, sentBytes int64) {
	c.t.Helper()
	out, err := exec.Command("ip", "netns", "exec", c.net.Namespace(a.i), "cat", "/proc/net/dev").Output()
	if err != nil {
		c.t.Fatal(err)
	}
	for line := range strings.Lines(string(out)) {
		f := strings.Fields(line)
		if len(f) < 11 || f[0] != "eth0:" {
			continue
		}
		received, _ = strconv.ParseInt(f[2], 10, 64)
		sentBytes, _ = strconv.ParseInt(f[9], 10, 64)
		sent, _ = strconv.ParseInt(f[10], 10, 64)
	}
	return received, sent, sentBytes
}
