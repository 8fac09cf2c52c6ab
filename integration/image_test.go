package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// Devices that are flashed from an image that was taken after a first start have
// one identity. Of two at least one stops and says what to do, and when that is
// done all are one cluster.
func TestImageWithAnIdentity(t *testing.T) {
	net := lab.New(t, 4)
	c := &cluster{t: t, net: net, agents: withKey(t, net, 4, append(peersOf(4), "EDGERAFT_BOOTSTRAP_EXPECT=3")...)}
	first, last := c.agents[0], c.agents[3]
	first.start()
	first.proc.Kill()
	if out, err := exec.Command("cp", "-a", filepath.Join(first.dir, "data"), filepath.Join(last.dir, "data")).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	begin := func(a *agent) {
		a.proc = net.Start(a.i, lab.Command{Name: "the agent of " + a.name(), Args: append(program[:len(program):len(program)], "run"), Env: a.env})
	}
	for _, a := range c.agents {
		begin(a)
	}
	stopped := 0
	lab.Eventually(t, "all are one cluster", 90*time.Second*slowness, func() error {
		for _, a := range c.agents {
			if a.proc.Running() {
				continue
			}
			data := filepath.Join(a.dir, "data")
			if log := a.proc.Log(); a != first && a != last || !strings.Contains(log, "delete "+data) {
				t.Fatalf("%s stopped:\n%s", a.name(), log)
			}
			stopped++
			if err := os.RemoveAll(data); err != nil {
				t.Fatal(err)
			}
			begin(a)
		}
		for _, a := range c.agents {
			if st, err := a.status(); err != nil || len(st.Members) != 4 {
				return fmt.Errorf("%s: %d members, %w", a.name(), len(st.Members), err)
			}
		}
		return nil
	})
	if stopped == 0 {
		t.Error("no copy was refused")
	}
	c.load = startLoad(t, c.agents)
	c.awaitProgress(c.agents)
	c.load.end()
	c.check("founded from an image with an identity")
}
