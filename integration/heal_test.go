package integration

import (
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// A device whose storage is damaged or gone becomes a new one and takes its own
// old place, with no operator, while the others live; it holds everything again,
// and nothing that was acknowledged is missing anywhere.
func TestDamagedStorageHeals(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1,
			"EDGERAFT_DISCOVERY=off", "EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521"))
	}
	c.form()
	for i := range 100 {
		c.agents[i%3].must("put", fmt.Sprint("key/", i), "before")
	}
	for round, harm := range []struct {
		what string
		do   func(database string) error
	}{
		{"behind the first pages there is noise", func(database string) error { return overwrite(database, 0.001, 0.5, 0xa5) }},
		{"it is gone", os.Remove},
		{"all of it is zeros", func(database string) error { return overwrite(database, 0, 1, 0) }},
		{"it is cut short", func(database string) error { return os.Truncate(database, 20_000) }},
	} {
		victim := c.agents[round%3]
		if round%2 == 0 {
			victim = c.awaitLeader(c.agents)
		}
		st, err := victim.status()
		if err != nil {
			t.Fatal(err)
		}
		old := st.Node.ID
		victim.proc.Kill()
		if err := harm.do(filepath.Join(victim.dir, "data", "log.db")); err != nil {
			t.Fatal(err)
		}
		victim.start()
		c.awaitPlace(victim, old, harm.what)
		c.agents[(round+1)%3].must("put", fmt.Sprint("round/", round), "after")
		if got := victim.must("list", "--json"); got != c.others(victim)[0].must("list", "--json") {
			t.Errorf("%s: the states differ", harm.what)
		}
	}
}

// awaitPlace waits until all devices know three voters, and who was old is not
// among them.
func (c *cluster) awaitPlace(victim *agent, old, what string) {
	c.t.Helper()
	for _, a := range c.agents {
		lab.Eventually(c.t, fmt.Sprintf("%s: %s sees %s in its own place", what, a.name(), victim.name()), 90*time.Second*slowness, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			voters := 0
			for _, m := range st.Members {
				if m.ID == old {
					return fmt.Errorf("%s is still a member: %+v", old, st.Members)
				}
				if m.Role == "voter" {
					voters++
				}
			}
			if voters != 3 || len(st.Members) != 3 {
				return fmt.Errorf("members %+v, warnings %+v", st.Members, st.Warnings)
			}
			return nil
		})
	}
}

// overwrite puts a byte over a part of a file.
func overwrite(name string, from, to float64, b byte) error {
	data, err := os.ReadFile(name)
	if err != nil {
		return err
	}
	for i := int(from * float64(len(data))); i < int(to*float64(len(data))); i++ {
		data[i] = b
	}
	return os.WriteFile(name, data, 0o600)
}
