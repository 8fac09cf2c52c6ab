package integration

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/seal"
)

// A learner takes the place of a voter that is dead for dead_after, under load;
// the dead one returns as a learner, and takes the place of the next.
func TestALearnerTakesADeadVotersPlace(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 4)
	key := seal.NewKey()
	c := &cluster{t: t, net: net}
	for i := range 4 {
		a := newAgent(t, net, i+1, "EDGERAFT_DISCOVERY=off", "EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521,10.77.0.4:7521",
			"EDGERAFT_BOOTSTRAP_EXPECT=3", "EDGERAFT_TIMING_HEARTBEAT=100ms", "EDGERAFT_TIMING_ELECTION=500ms", "EDGERAFT_DEAD_AFTER=2s")
		if err := seal.WriteKeyFile(filepath.Join(a.dir, "cluster.key"), key, false); err != nil {
			t.Fatal(err)
		}
		c.agents = append(c.agents, a)
		a.start()
	}
	c.awaitRoles(c.agents, 3, "", "at first")
	c.load = startLoad(t, c.agents)
	defer c.load.end()
	for round := range 2 {
		roles := c.roles(c.agents[0])
		var learner, victim *agent
		leader := c.awaitLeader(c.agents)
		for _, a := range c.agents {
			switch {
			case roles[a.name()] == "learner":
				learner = a
			case victim == nil && (a == leader) == (round == 0):
				victim = a // the leader, and then another
			}
		}
		victim.proc.Kill()
		c.awaitRoles(c.others(victim), 3, victim.name(), "with "+victim.name()+" dead")
		if roles := c.roles(learner); roles[learner.name()] != "voter" {
			t.Errorf("round %d: %s has not taken the place of %s: %v", round, learner.name(), victim.name(), roles)
		}
		c.awaitProgress(c.others(victim))
		victim.start()
		c.awaitProgress(c.agents)
		c.awaitRoles(c.agents, 3, victim.name(), "with "+victim.name()+" back")
	}
	c.load.end()
	c.check("at the end")
}

// roles is the role of each member as one device sees it.
func (c *cluster) roles(a *agent) map[string]string {
	c.t.Helper()
	var st api.Status
	lab.Eventually(c.t, a.name()+" tells the roles", 30*time.Second*slowness, func() (err error) {
		st, err = a.status()
		return err
	})
	roles := map[string]string{}
	for _, m := range st.Members {
		roles[m.Name] = m.Role
	}
	return roles
}

// awaitRoles waits until some devices know so many voters, and one that is none.
func (c *cluster) awaitRoles(on []*agent, voters int, none, when string) {
	c.t.Helper()
	for _, a := range on {
		lab.Eventually(c.t, fmt.Sprintf("%s: %s knows %d voters, and %q is none", when, a.name(), voters, none), 60*time.Second*slowness, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			n := 0
			for _, m := range st.Members {
				if m.Role == "voter" {
					n++
				}
				if m.Role == "voter" && m.Name == none {
					return fmt.Errorf("%s is a voter", none)
				}
			}
			if n != voters || len(st.Members) != len(c.agents) || st.Cluster.Leader == "" {
				return fmt.Errorf("members %+v", st.Members)
			}
			return nil
		})
	}
}
