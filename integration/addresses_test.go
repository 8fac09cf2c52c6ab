package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// found waits until each device hears all others, and they commit. It returns how
// long that took.
func (c *cluster) found(what string) time.Duration {
	c.t.Helper()
	begin := time.Now()
	c.awaitProgress(c.agents)
	took := time.Since(begin)
	c.t.Logf("%s: all commit again after %.1f s", what, took.Seconds())
	return took
}

// kept waits until a device has kept an address of each other.
func (c *cluster) kept(a *agent, part string) {
	c.t.Helper()
	lab.Eventually(c.t, a.name()+" keeps "+part, 30*time.Second, func() error {
		text, err := os.ReadFile(filepath.Join(a.dir, "data", "addresses"))
		if n := strings.Count(string(text), part); err == nil && n < len(c.agents)-1 {
			err = fmt.Errorf("%d of them: %s", n, text)
		}
		return err
	})
}

// knows waits until each device has heard each other at such an address.
func (c *cluster) knows(prefix string) {
	c.t.Helper()
	for _, a := range c.agents {
		lab.Eventually(c.t, a.name()+" knows where all others are", 60*time.Second, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			for _, m := range st.Members {
				if !m.Self && !strings.HasPrefix(m.Address, prefix) {
					return fmt.Errorf("%s is at %s", m.Name, m.Address)
				}
			}
			return nil
		})
	}
}

// Addresses are hints: all change at once, multicast fails, names and what is
// kept on disk remain, and interfaces go and come. Nobody types anything.
func TestAddressesChange(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	hosts := func(third int) { net.Hosts(fmt.Sprintf("10.%d.0.1 pi1.lan", third)) }
	renumber := func(third int) {
		for i := range 3 {
			net.Renumber(i+1, fmt.Sprintf("10.%d.0.%d/24", third, i+1))
		}
	}
	net.NoIPv6() // its link-local addresses would not change
	hosts(77)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, "EDGERAFT_PEERS=pi1.lan:7521"))
	}
	c.form()
	c.load = startLoad(t, c.agents)
	c.found("at first")

	renumber(80)
	c.found("all renumbered at once, found by multicast")

	net.Multicast(false)
	renumber(81)
	hosts(81)
	c.found("all renumbered at once without multicast, found by one name")

	c.knows("10.81.0.") // the followers of each other, too

	net.Hosts() // the name is gone, too
	leader := c.awaitLeader(c.agents)
	for _, a := range c.agents {
		a.proc.Terminate(10 * time.Second)
	}
	for _, a := range c.others(leader) {
		c.kept(a, "10.81.0.")
		a.start()
	}
	c.awaitLeader(c.others(leader)) // they find each other, though the one that knew both is off
	leader.start()
	c.found("all restarted without multicast and names, found by what was kept")

	c.agents[1].proc.Kill()
	damaged := filepath.Join(c.agents[1].dir, "data", "addresses")
	if err := os.WriteFile(damaged, []byte(`{"version":1,"devices":[{"id"`), 0o600); err != nil {
		t.Fatal(err)
	}
	c.agents[1].start()
	c.found("what one kept is damaged, and the others find it")

	net.Replug(2, "10.81.0.2/24")
	c.found("an interface made anew under its old name")
	net.Replug(3, "10.81.0.33/24")
	c.found("an interface made anew, with another address")
	c.load.end()
	c.check("after all changes of addresses")
}

// Devices that have nothing but IPv6 link-local addresses, which mean something
// with their zone only, found by multicast and then by what was kept.
func TestLinkLocalOnly(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		net.Renumber(i + 1)
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	c.form()
	c.load = startLoad(t, c.agents)
	c.found("link-local only")
	net.Multicast(false)
	for _, a := range c.agents {
		a.proc.Terminate(10 * time.Second)
		c.kept(a, "%eth0]:7521")
	}
	for _, a := range c.agents {
		a.start()
	}
	c.found("link-local only, restarted without multicast")
	st, err := c.agents[0].status()
	if err != nil {
		t.Fatal(err)
	}
	for _, m := range st.Members {
		if !m.Self && m.Address != "" && !strings.HasPrefix(m.Address, "[fe80:") {
			t.Errorf("%s is at %s", m.Name, m.Address)
		}
	}
	c.load.end()
}

// Devices on two networks go on by the other when one fails.
func TestTwoInterfaces(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 3)
	net.Second()
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	c.form()
	c.load = startLoad(t, c.agents)
	c.found("two networks")
	for i := range 3 {
		net.Link(i+1, "eth0", false)
	}
	c.found("the first network fails")
	for i := range 3 {
		net.Link(i+1, "eth0", true)
		net.Link(i+1, "eth1", false)
	}
	c.found("the first is back, the second fails")
	c.load.end()
}
