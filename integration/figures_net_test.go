package integration

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os/exec"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/udpcomms"
)

var figureRuns = flag.Int("runs", 10, "how often renumbering and power-on are measured")

func spread(times []time.Duration) string {
	slices.Sort(times)
	return fmt.Sprintf("median %.1f s, best %.1f s, worst %.1f s of %d", times[len(times)/2].Seconds(),
		times[0].Seconds(), times[len(times)-1].Seconds(), len(times))
}

// TestFiguresRenumbering measures how long it takes from new IPv4 addresses on all
// three devices until each has committed a command again.
func TestFiguresRenumbering(t *testing.T) {
	if !*figures {
		t.Skip("a measurement; scripts/figures.sh runs it")
	}
	net := lab.New(t, 3)
	net.NoIPv6()
	net.Hosts("10.77.0.1 pi1.lan")
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, "EDGERAFT_PEERS=pi1.lan:7521"))
	}
	c.form()
	third := 80
	for _, multicast := range []bool{true, false} {
		net.Multicast(multicast)
		var times []time.Duration
		for range *figureRuns {
			third++
			for i := range 3 {
				net.Renumber(i+1, fmt.Sprintf("10.%d.0.%d/24", third, i+1))
			}
			net.Hosts(fmt.Sprintf("10.%d.0.1 pi1.lan", third))
			begin := time.Now()
			for _, a := range c.agents {
				lab.Eventually(t, a.name()+" commits", 2*time.Minute, func() error {
					_, err := a.propose(fmt.Sprint("after renumbering ", third))
					return err
				})
			}
			times = append(times, time.Since(begin))
		}
		fmt.Printf("all 3 renumbered, multicast %v, until each has committed: %s\n", multicast, spread(times))
	}
}

// TestFiguresPowerOn measures how long it takes from the start of the last device
// until all are members and the voters are complete, the first time (init, join)
// and each further time (a leader that all know).
func TestFiguresPowerOn(t *testing.T) {
	if !*figures {
		t.Skip("a measurement; scripts/figures.sh runs it")
	}
	for _, devices := range []int{3, 9} {
		var first, again []time.Duration
		for range max(*figureRuns/3, 1) {
			net := lab.New(t, devices)
			c := &cluster{t: t, net: net}
			for i := range devices {
				c.agents = append(c.agents, newAgent(t, net, i+1))
			}
			var setup api.Setup
			if err := json.Unmarshal([]byte(c.agents[0].must("init", "--json")), &setup); err != nil {
				t.Fatal(err)
			}
			for _, a := range c.agents[1:] {
				if _, err := a.cli(setup.Key+"\n", "join", "-"); err != nil {
					t.Fatal(err)
				}
			}
			first = append(first, c.powerOn(func(st api.Status) error {
				voters := 0
				for _, m := range st.Members {
					if m.Role == "voter" {
						voters++
					}
				}
				if voters != min(devices, 5) || len(st.Members) != devices || st.Cluster.Leader == "" {
					return fmt.Errorf("%d members, %d voters", len(st.Members), voters)
				}
				return nil
			}))
			for range 3 {
				for _, a := range c.agents {
					a.proc.Kill()
				}
				again = append(again, c.powerOn(func(st api.Status) error {
					if st.Cluster.Leader == "" {
						return errors.New("no leader")
					}
					return nil
				}))
			}
			for _, a := range c.agents {
				a.proc.Kill()
			}
		}
		fmt.Printf("%d devices, from the start of the last, first time (init, join), until all are members and voters complete: %s\n", devices, spread(first))
		fmt.Printf("%d devices, from the start of the last after a power cut of all, until each knows a leader: %s\n", devices, spread(again))
	}
}

// powerOn starts all in random order and waits until all are ready.
func (c *cluster) powerOn(ready func(api.Status) error) time.Duration {
	c.t.Helper()
	for _, i := range rand.Perm(len(c.agents)) {
		a := c.agents[i]
		a.proc = c.net.Start(a.i, lab.Command{Name: "the agent of " + a.name(), Args: append(program, "run"), Env: a.env})
	}
	begin := time.Now()
	for _, a := range c.agents {
		lab.Eventually(c.t, a.name()+" is ready", time.Minute, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			return ready(st)
		})
	}
	return time.Since(begin)
}

// TestFiguresRejected measures how many packets a second a follower rejects on one
// core without missing a heartbeat.
func TestFiguresRejected(t *testing.T) {
	if !*figures {
		t.Skip("a measurement; scripts/figures.sh runs it")
	}
	lab.NeedCommand(t, "taskset", "util-linux")
	fmt.Printf("a sealed packet is %d bytes longer than what it holds; of %d bytes of a datagram\n", seal.Overhead, udpcomms.MaxDatagram)
	n := lab.New(t, neighbourDevice)
	s := &siege{cluster: &cluster{t: t, net: n}, dir: t.TempDir()}
	for i := range neighbourDevice - 1 {
		s.agents = append(s.agents, newAgent(t, n, i+1))
	}
	s.form()
	s.load = startLoad(t, s.agents)
	s.listen(300)
	s.load.end()
	leader := s.awaitLeader(s.agents)
	victim := s.others(leader)[0]
	if out, err := exec.Command("taskset", "-apc", "0", strconv.Itoa(victim.proc.PID())).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	random := rand.NewChaCha8([32]byte{2})
	kinds := map[string]func([]byte){
		"noise":                         func(d []byte) { random.Read(d) },
		"sealed with another key":       func(d []byte) { d[1]++ },
		"forged senders, sessions":      func(d []byte) { random.Read(d[2:12]); random.Read(d[22:46]) },
		"recorded":                      func([]byte) {},
		"forged in a session that runs": func(d []byte) { d[len(d)-1]++ },
	}
	for _, name := range []string{"noise", "sealed with another key", "recorded", "forged in a session that runs", "forged senders, sessions"} {
		var datagrams [][]byte
		for range 20 {
			for _, d := range s.captured {
				d = slices.Clone(d)
				kinds[name](d)
				datagrams = append(datagrams, d)
			}
		}
		s.rejected(victim, name, datagrams)
	}
}

// rejected floods one agent and prints what that was.
func (s *siege) rejected(victim *agent, name string, datagrams [][]byte) {
	s.t.Helper()
	before, err := victim.status()
	if err != nil {
		s.t.Fatal(err)
	}
	memory := s.memory(victim)
	flood := s.attack(0, datagrams, fmt.Sprintf("%s:%d", s.net.Addr(victim.i), agentPort))
	begin, longest := time.Now(), int64(0)
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for time.Since(begin) < 5*time.Second {
		<-tick.C
		st, err := victim.status()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, m := range st.Members {
			if m.Leader && m.LastContactMS != nil {
				longest = max(longest, *m.LastContactMS)
			}
		}
	}
	after, err := victim.status()
	took := time.Since(begin)
	flood.Kill()
	if err != nil {
		s.t.Fatal(err)
	}
	sum := func(st api.Status) (n uint64) {
		for _, d := range st.Traffic.Dropped {
			n += d
		}
		return n
	}
	fmt.Printf("%-30s %7.0f packets/s rejected, longest silence of the leader %4d ms, term %d then %d, memory %+d KiB\n", name+":",
		float64(sum(after)-sum(before))/took.Seconds(), longest, before.Node.Term, after.Node.Term, (s.memory(victim)-memory)>>10)
}
