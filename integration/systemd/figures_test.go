package systemd

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// Figures are measured, not asserted: scripts/figures.sh prints them.
var (
	figures    = flag.Bool("figures", false, "measure and print figures of the packaged service")
	figureIdle = flag.Duration("idle", 3*time.Minute, "how long to watch the idle service")
)

// used is what a process has used.
type used struct {
	rss, anon           int64         // KiB
	cpu                 time.Duration // of all its threads
	voluntary, forced   int64         // switches
	written             int64         // bytes, to any file
	sent, received, log int64         // packets, and lines in the journal
}

// TestFiguresService measures what the packaged service costs while idle.
func TestFiguresService(t *testing.T) {
	if !*figures {
		t.Skip("a measurement; scripts/figures.sh runs it")
	}
	needSystemd(t)
	root := debianRoot(t)
	l := &life{t: t, old: buildPackage(t, "0.0.1")}
	l.new = l.old
	net := lab.New(t, 3)
	for i := range 3 {
		l.machines = append(l.machines, boot(t, net, root, i+1))
	}
	l.install()
	for _, m := range l.machines { // with the timing it is shipped with
		m.must("rm", "/etc/edgeraft/edgeraft.toml")
		m.must("systemctl", "restart", "edgeraft")
	}
	l.form()
	settle := time.NewTimer(20 * time.Second) // until discovery has calmed down
	<-settle.C
	leads := leader(t, l.machines)
	before := make([]used, len(l.machines))
	for i, m := range l.machines {
		before[i] = m.used()
	}
	settle.Reset(*figureIdle)
	<-settle.C
	s := figureIdle.Seconds()
	fmt.Printf("the packaged service, idle for %v:\n%-10s %-8s %9s %9s %10s %12s %10s %8s %8s %13s %8s\n", *figureIdle,
		"device", "role", "RSS KiB", "anon KiB", "CPU ms/s", "wake-ups/s", "preempt/s", "sent/s", "rcvd/s", "disk bytes/h", "log lines")
	for i, m := range l.machines {
		role := "follower"
		if m == leads {
			role = "leader"
		}
		b, e := before[i], m.used()
		fmt.Printf("%-10s %-8s %9d %9d %10.2f %12.1f %10.1f %8.2f %8.2f %13.0f %8d\n", m.name(), role, e.rss, e.anon,
			float64((e.cpu-b.cpu).Microseconds())/1000/s, float64(e.voluntary-b.voluntary)/s, float64(e.forced-b.forced)/s,
			float64(e.sent-b.sent)/s, float64(e.received-b.received)/s, float64(e.written-b.written)/s*3600, e.log-b.log)
	}
}

func (m *machine) used() used {
	m.t.Helper()
	proc := fmt.Sprintf("/proc/%d", m.outside(m.property("MainPID")))
	var u used
	status := m.numbers(proc + "/status")
	u.rss, u.anon = status["VmRSS:"], status["RssAnon:"]
	u.written = m.numbers(proc + "/io")["write_bytes:"]
	tasks, err := filepath.Glob(proc + "/task/*")
	if err != nil || len(tasks) == 0 {
		m.t.Fatalf("the threads of the agent: %v", err)
	}
	for _, task := range tasks {
		s := m.numbers(task + "/status")
		u.voluntary += s["voluntary_ctxt_switches:"]
		u.forced += s["nonvoluntary_ctxt_switches:"]
		text, err := os.ReadFile(task + "/schedstat") // sched-stats: time on the processor, in ns
		if err != nil {
			m.t.Fatal(err)
		}
		ns, _, _ := strings.Cut(string(text), " ")
		n, _ := strconv.ParseInt(ns, 10, 64)
		u.cpu += time.Duration(n)
	}
	for line := range strings.Lines(m.must("cat", "/proc/net/dev")) {
		if f := strings.Fields(line); len(f) > 10 && f[0] == "eth0:" {
			u.received, _ = strconv.ParseInt(f[2], 10, 64)
			u.sent, _ = strconv.ParseInt(f[10], 10, 64)
		}
	}
	u.log = int64(strings.Count(m.must("journalctl", "--boot", "--unit", "edgeraft", "--output", "cat")+"\n", "\n"))
	return u
}

// numbers reads a file of "name: number" lines.
func (m *machine) numbers(path string) map[string]int64 {
	m.t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		m.t.Fatal(err)
	}
	out := map[string]int64{}
	for line := range strings.Lines(string(text)) {
		if f := strings.Fields(line); len(f) >= 2 {
			out[f[0]], _ = strconv.ParseInt(f[1], 10, 64)
		}
	}
	return out
}
