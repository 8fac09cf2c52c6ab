package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// keys waits until what a device knows of everybody's keys is as it should be.
func (c *cluster) keys(a *agent, what string, ok func(api.Keys) bool) {
	c.t.Helper()
	lab.Eventually(c.t, a.name()+" knows that "+what, 30*time.Second*slowness, func() error {
		st, err := a.status()
		if err != nil {
			return err
		}
		if st.Keys == nil || !ok(*st.Keys) {
			return fmt.Errorf("keys are %+v, warnings %+v", st.Keys, st.Warnings)
		}
		return nil
	})
}

// term is the present one, agreed on.
func (c *cluster) term(among []*agent) uint64 {
	c.t.Helper()
	st, err := c.awaitLeader(among).status()
	if err != nil {
		c.t.Fatal(err)
	}
	return st.Node.Term
}

// The cluster key is changed while the cluster works: with one member off, one
// restarted in between, and in whatever order. Nothing of it causes an election.
func TestRotation(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, "EDGERAFT_DISCOVERY=off",
			"EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521"))
	}
	changed := c.rotate()
	s := &siege{cluster: c, dir: t.TempDir()}
	s.listen(50)
	for _, d := range s.captured {
		if d[1] != s.captured[0][1] {
			t.Fatal("packets are still sealed with two keys")
		}
	}
	c.restartWith(changed)
}

// The same where there is nothing but a broker between the devices.
func TestRotationThroughABroker(t *testing.T) {
	if emulated() {
		t.Skip("NOT TESTED: needs isolated ports and Mosquitto, and says nothing about the machine code")
	}
	c, _ := throughBroker(t, false)
	c.restartWith(c.rotate())
}

// restartWith restarts a device that has the new key only, and ends the load.
func (c *cluster) restartWith(key string) {
	c.t.Helper()
	two := c.agents[1]
	two.proc.Kill()
	two.start()
	c.awaitProgress(c.agents)
	if text, err := os.ReadFile(filepath.Join(two.dir, "cluster.key")); err != nil || strings.TrimSpace(string(text)) != key {
		c.t.Errorf("the key file is not the new key: %v", err)
	}
	c.load.end()
	c.check("after the rotation")
}

// rotate forms a cluster, changes its key under load, and returns that.
func (c *cluster) rotate() string {
	t := c.t
	t.Helper()
	one, two, three := c.agents[0], c.agents[1], c.agents[2]
	c.form()
	c.load = startLoad(t, c.agents)
	c.awaitProgress(c.agents)
	three.proc.Kill()
	here := []*agent{one, two}
	c.awaitProgress(here)

	term := c.term(here)
	var changed api.KeyChanged
	if err := json.Unmarshal([]byte(one.must("keygen", "--rotate", "--json")), &changed); err != nil || changed.Key == "" {
		t.Fatalf("keygen --rotate printed %+v: %v", changed, err)
	}
	waits := func(names ...string) func(api.Keys) bool {
		return func(k api.Keys) bool {
			var waiting []string
			for _, m := range k.Waiting {
				waiting = append(waiting, m.Name)
			}
			return len(k.Older) == 1 && slices.Equal(slices.Sorted(slices.Values(waiting)), names)
		}
	}
	c.keys(one, "both others lack the new key", waits("device-2", "device-3"))
	c.keys(two, "it lacks a key", func(k api.Keys) bool { return len(k.Ahead) == 1 && k.Ahead[0].Name == "device-1" })
	if _, err := one.cli("", "keygen", "--rotate"); err == nil || !strings.Contains(err.Error(), "another rotation is under way") {
		t.Errorf("a rotation in a rotation: %v", err)
	}
	two.must("join", "--add", changed.Key)
	c.keys(one, "only device-3 lacks the new key", waits("device-3"))
	c.keys(two, "only device-3 lacks the new key", waits("device-3"))
	c.awaitProgress(here)
	if now := c.term(here); now != term {
		t.Errorf("the new key caused an election: term %d after %d", now, term)
	}
	if _, err := one.cli("", "keygen", "--drop-old"); err == nil || !strings.Contains(err.Error(), "device-3") {
		t.Errorf("the old key is dropped though device-3 lacks the new one: %v", err)
	}
	two.proc.Kill()
	two.start()
	c.awaitProgress(here)

	three.start() // with the old key only
	c.awaitProgress(c.agents)
	if _, err := three.cli(changed.Key+"\n", "join", "--add"); err != nil {
		t.Fatal(err)
	}
	for _, a := range c.agents {
		c.keys(a, "all have the new key", waits())
	}
	one.proc.Kill()
	three.proc.Kill()
	one.start()
	three.start()
	c.awaitProgress(c.agents)
	for _, a := range c.agents {
		c.keys(a, "all have the new key, after restarts", waits())
	}

	term = c.term(c.agents)
	for _, a := range []*agent{two, three, one} {
		a.must("keygen", "--drop-old")
		c.awaitProgress(c.agents)
		c.keys(a, "there is one key", func(k api.Keys) bool { return len(k.Older)+len(k.Ahead)+len(k.Waiting) == 0 })
		if text, err := os.ReadFile(filepath.Join(a.dir, "cluster.key")); err != nil || strings.TrimSpace(string(text)) != changed.Key {
			t.Errorf("the key file of %s is not the new key: %v", a.name(), err)
		}
	}
	if now := c.term(c.agents); now != term {
		t.Errorf("dropping the old key caused an election: term %d after %d", now, term)
	}
	return changed.Key
}
