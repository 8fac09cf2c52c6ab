package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// cluster is three devices on a LAN, with load on each.
type cluster struct {
	t      *testing.T
	net    *lab.Network
	agents []*agent // [i-1] is device i
	load   *load
	checks int
}

// others are all devices but one.
func (c *cluster) others(not *agent) []*agent {
	return slices.DeleteFunc(slices.Clone(c.agents), func(a *agent) bool { return a == not })
}

// form founds the cluster on device 1; the others join, device 2 with a
// running agent and device 3 before it runs.
func (c *cluster) form() {
	c.t.Helper()
	one, two, three := c.agents[0], c.agents[1], c.agents[2]
	one.start()
	two.start()
	var setup api.Setup
	if err := json.Unmarshal([]byte(one.must("init", "--json")), &setup); err != nil || setup.Key == "" {
		c.t.Fatalf("init printed %+v: %v", setup, err)
	}
	if _, err := two.cli(setup.Key+"\n", "join", "-"); err != nil {
		c.t.Fatal(err)
	}
	if _, err := three.cli(setup.Key+"\n", "join", "-"); err != nil {
		c.t.Fatal(err)
	}
	three.start()
	c.awaitMembers()
}

// awaitMembers waits until every device knows three voters.
func (c *cluster) awaitMembers() {
	c.t.Helper()
	for _, a := range c.agents {
		lab.Eventually(c.t, a.name()+" sees three voters", 60*time.Second*slowness, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			voters := 0
			for _, m := range st.Members {
				if m.Role == "voter" {
					voters++
				}
			}
			if voters != len(c.agents) || st.Cluster.Leader == "" {
				return fmt.Errorf("status is %+v", st)
			}
			return nil
		})
	}
}

// awaitLeader waits until some devices agree on a leader that is one of them.
func (c *cluster) awaitLeader(among []*agent) *agent {
	c.t.Helper()
	var leader *agent
	lab.Eventually(c.t, "a leader", 30*time.Second*slowness, func() error {
		leader = nil
		var seen []string
		for _, a := range among {
			st, err := a.status()
			if err != nil {
				return err
			}
			seen = append(seen, fmt.Sprintf("%s (%s, term %d) follows %q", st.Node.ID, st.Node.Role, st.Node.Term, st.Cluster.Leader))
			if st.Node.Role == "leader" && st.Cluster.Leader == st.Node.ID {
				leader = a
			}
			if st.Cluster.Leader == "" {
				return errors.New(strings.Join(seen, ", "))
			}
		}
		if leader == nil {
			return errors.New(strings.Join(seen, ", "))
		}
		st, err := leader.status()
		if err != nil {
			return err
		}
		for _, a := range among {
			if other, err := a.status(); err != nil || other.Cluster.Leader != st.Node.ID {
				return fmt.Errorf("not agreed: %s", strings.Join(seen, ", "))
			}
		}
		return nil
	})
	return leader
}

// awaitProgress waits until the load of each of some devices got on.
func (c *cluster) awaitProgress(on []*agent) {
	c.t.Helper()
	const more = 20
	start := make(map[int]int)
	for _, a := range on {
		start[a.i] = c.load.ackedOn(a.i)
	}
	for _, a := range on {
		lab.Eventually(c.t, fmt.Sprintf("%d more proposals acknowledged on %s", more, a.name()), 60*time.Second*slowness, func() error {
			if n := c.load.ackedOn(a.i) - start[a.i]; n < more {
				return fmt.Errorf("%d acknowledged", n)
			}
			return nil
		})
	}
}

// check compares the histories of all devices with each other and with what
// the proposers were told.
func (c *cluster) check(after string) {
	c.t.Helper()
	proposals := c.load.soFar()
	c.checks++
	var end api.Applied
	lab.Eventually(c.t, "a last command for the check "+after, 30*time.Second*slowness, func() (err error) {
		end, err = c.agents[0].propose(fmt.Sprintf("check %d", c.checks))
		return err
	})
	acked := 0
	for _, p := range proposals {
		if p.outcome == acknowledged {
			acked++
		}
	}
	first := c.agents[0].history(end.Index)
	for _, fault := range faultsIn(first, proposals, end.Index) {
		c.t.Errorf("%s: %s", after, fault)
	}
	for _, a := range c.agents[1:] {
		lines := a.history(end.Index)
		for i := range min(len(lines), len(first)) {
			if lines[i] != first[i] {
				c.t.Fatalf("%s: the histories part at line %d: device-1 has %s%s has %s", after, i+1, first[i], a.name(), lines[i])
			}
		}
		if len(lines) != len(first) {
			c.t.Errorf("%s: device-1 has %d events up to index %d, %s has %d", after, len(first), end.Index, a.name(), len(lines))
		}
	}
	c.t.Logf("%s: %d events up to index %d alike on all devices, %d of %d proposals acknowledged", after, len(first), end.Index, acked, len(proposals))
}

// Three processes with no address configured find each other by multicast and
// keep every promise through what happens to them.
func TestThreeDevices(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation; TestThreeDevicesConfigured is for that")
	}
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	c.survive()
}

// The same with the addresses configured and without multicast, as on networks
// that do not pass it and under emulation.
func TestThreeDevicesConfigured(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		settings := []string{"EDGERAFT_DISCOVERY=off", "EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521"}
		if emulated() {
			settings = append(settings, "EDGERAFT_TIMING_HEARTBEAT=1s", "EDGERAFT_TIMING_ELECTION=4s")
		}
		c.agents = append(c.agents, newAgent(t, net, i+1, settings...))
	}
	c.survive()
}

// survive is the life of a cluster: it forms, works, loses its leader in three
// ways, loses packets, and loses its power.
func (c *cluster) survive() {
	c.form()
	for _, a := range c.agents {
		if _, err := a.propose("by hand on " + a.name()); err != nil {
			c.t.Fatal(err)
		}
		a.must("put", "key/"+a.name(), "value of "+a.name())
	}
	c.checkKeys()
	c.load = startLoad(c.t, c.agents)
	c.awaitProgress(c.agents)
	c.check("at first")

	leader := c.awaitLeader(c.agents)
	leader.proc.Kill()
	c.awaitProgress(c.others(leader))
	leader.start()
	c.awaitProgress(c.agents)
	c.check("after kill -9 of the leader")

	leader = c.awaitLeader(c.agents)
	successor := c.others(leader)[0]
	c.others(leader)[1].must("members", "transfer", successor.name())
	if now := c.awaitLeader(c.agents); now != successor {
		c.t.Errorf("%s leads, not %s, to whom it was handed", now.name(), successor.name())
	}
	c.awaitProgress(c.agents)
	c.check("after leadership was handed over")

	leader = c.awaitLeader(c.agents)
	c.net.Isolate(leader.i)
	c.awaitLeader(c.others(leader))
	c.awaitProgress(c.others(leader))
	c.net.Heal()
	c.awaitLeader(c.agents)
	c.awaitProgress(c.agents)
	c.check("after a partition that isolated the leader")

	leader = c.awaitLeader(c.agents)
	leader.proc.Pause()
	c.awaitLeader(c.others(leader))
	c.awaitProgress(c.others(leader))
	leader.proc.Resume()
	c.awaitProgress(c.agents)
	c.check("after the leader hung for a while")

	c.net.Loss(10)
	c.awaitProgress(c.agents)
	c.net.Loss(0)
	c.check("after loss of every tenth packet")

	for _, a := range c.agents {
		a.proc.Kill()
	}
	for _, a := range c.agents {
		a.start()
	}
	c.awaitMembers()
	c.awaitProgress(c.agents)
	c.check("after the restart of all")

	c.load.end()
	c.check("at the end")
	c.checkKeys()
	for _, a := range c.agents {
		a.proc.Terminate(10 * time.Second * slowness)
	}
}

// checkKeys reads on every device what was put on every device.
func (c *cluster) checkKeys() {
	c.t.Helper()
	for _, reader := range c.agents {
		for _, writer := range c.agents {
			if got, want := reader.must("get", "key/"+writer.name()), "value of "+writer.name(); got != want {
				c.t.Errorf("key of %s read on %s: %q, want %q", writer.name(), reader.name(), got, want)
			}
		}
	}
}
