package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/seal"
)

// withKey prepares n devices that hold one key.
func withKey(t *testing.T, net *lab.Network, n int, settings ...string) []*agent {
	t.Helper()
	key := seal.NewKey()
	var agents []*agent
	for i := range n {
		a := newAgent(t, net, i+1, settings...)
		if err := seal.WriteKeyFile(filepath.Join(a.dir, "cluster.key"), key, false); err != nil {
			t.Fatal(err)
		}
		agents = append(agents, a)
	}
	return agents
}

// peersOf is the setting with the addresses of n devices, and no multicast.
func peersOf(n int) []string {
	var all []string
	for i := range n {
		all = append(all, fmt.Sprintf("10.77.0.%d:7521", i+1))
	}
	return []string{"EDGERAFT_DISCOVERY=off", "EDGERAFT_PEERS=" + strings.Join(all, ",")}
}

// warns waits until a device warns with a code, and returns the message.
func (a *agent) warns(code string) string {
	a.t.Helper()
	message := ""
	lab.Eventually(a.t, a.name()+" warns: "+code, 90*time.Second*slowness, func() error {
		st, err := a.status()
		if err != nil {
			return err
		}
		for _, w := range st.Warnings {
			if w.Code == code {
				message = w.Message
				return nil
			}
		}
		return fmt.Errorf("warnings %+v", st.Warnings)
	})
	return message
}

// A second device with a copy of a member's data directory stops before it acts,
// says what to do, and does not start again; the cluster goes on with the
// original. Without the copied data it joins as a new device.
func TestCopiedDataDirectory(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 4)
	c := &cluster{t: t, net: net, agents: withKey(t, net, 4, append(peersOf(4), "EDGERAFT_BOOTSTRAP_EXPECT=3")...)}
	second := c.agents[3]
	c.agents = c.agents[:3]
	for _, a := range c.agents {
		a.start()
	}
	c.awaitMembers()
	c.load = startLoad(t, c.agents)
	c.awaitProgress(c.agents)
	original := c.agents[1]
	original.proc.Kill()
	image := filepath.Join(t.TempDir(), "image")
	for _, to := range []string{image, filepath.Join(second.dir, "data")} {
		if out, err := exec.Command("cp", "-a", filepath.Join(original.dir, "data"), to).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	original.start()
	c.awaitProgress(c.agents)

	for _, when := range []string{"at first", "again", "of an older boot"} {
		if when == "of an older boot" { // as when an image is written that was taken long ago
			original.proc.Kill()
			original.start()
			c.awaitProgress(c.agents)
			if err := os.RemoveAll(filepath.Join(second.dir, "data")); err != nil {
				t.Fatal(err)
			}
			if out, err := exec.Command("cp", "-a", image, filepath.Join(second.dir, "data")).CombinedOutput(); err != nil {
				t.Fatalf("%v: %s", err, out)
			}
		}
		second.proc = net.Start(second.i, lab.Command{Name: "the copy", Args: append(program, "run"), Env: second.env})
		if err := second.proc.Wait(30 * time.Second * slowness); err == nil {
			t.Errorf("%s: the copy ended as if all were well", when)
		}
		if log := second.proc.Log(); !strings.Contains(log, "a copy of its data directory") || !strings.Contains(log, "delete "+filepath.Join(second.dir, "data")) {
			t.Errorf("%s: the copy does not say what to do:\n%s", when, log)
		}
	}
	c.awaitProgress(c.agents)
	told := 0
	for _, a := range []*agent{c.agents[0], c.agents[2]} {
		st, err := a.status()
		if err != nil {
			t.Fatal(err)
		}
		for _, w := range st.Warnings {
			if w.Code == "copied_device" {
				told++
			}
		}
	}
	if told == 0 {
		t.Error("no other member warns of the copy")
	}
	if err := os.RemoveAll(filepath.Join(second.dir, "data")); err != nil {
		t.Fatal(err)
	}
	second.start()
	lab.Eventually(t, "it joins as a new device", 60*time.Second*slowness, func() error {
		st, err := second.status()
		if err == nil && (st.Node.State != "member" || len(st.Members) != 4) {
			err = fmt.Errorf("%s, %d members", st.Node.State, len(st.Members))
		}
		return err
	})
	c.load.end()
	c.check("with a copy refused")
}

// Two clusters of one name and key that were founded apart do not mix when they
// meet; both say so, and what to do, which then works.
func TestTwoClustersOfOneName(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 3)
	agents := withKey(t, net, 3)
	ids := map[string]bool{}
	for i, a := range agents[:2] {
		net.Isolate(1, 2)
		a.start()
		var setup api.Setup
		if err := json.Unmarshal([]byte(a.must("init", "--json")), &setup); err != nil {
			t.Fatal(err)
		}
		ids[setup.ClusterID] = true
		a.must("put", "cluster", fmt.Sprint(i))
	}
	if len(ids) != 2 {
		t.Fatalf("%d clusters were founded: %v", len(ids), ids)
	}
	// Discovery would find the other too, at its next look around in half a minute
	// or so; a device that starts says so at once.
	agents[1].proc.Kill()
	net.Heal()
	agents[1].start()
	for _, a := range agents[:2] {
		message := a.warns("foreign_cluster")
		st, err := a.status()
		if err != nil {
			t.Fatal(err)
		}
		for id := range ids {
			if id != st.Cluster.ID && !strings.Contains(message, id) {
				t.Errorf("%s does not name the other cluster: %s", a.name(), message)
			}
		}
		if !strings.Contains(message, "edgeraft join --as-new") {
			t.Errorf("%s does not say what to do: %s", a.name(), message)
		}
		if n := strings.Count(a.proc.Log(), "A second cluster with this name and key exists"); n != 1 {
			t.Errorf("%s has %d lines about it in its log, want 1:\n%s", a.name(), n, a.proc.Log())
		}
	}
	// A third device joins one of them, and only one.
	agents[2].start()
	lab.Eventually(t, "the third device belongs to one", 60*time.Second*slowness, func() error {
		st, err := agents[2].status()
		if err == nil && st.Node.State != "member" {
			err = errors.New(st.Node.State)
		}
		return err
	})
	for i, a := range agents[:2] {
		if got := a.must("get", "--stale", "cluster"); got != fmt.Sprint(i) {
			t.Errorf("the clusters mix: %s has %s", a.name(), got)
		}
	}
	st, err := agents[2].status()
	if err != nil {
		t.Fatal(err)
	}
	one, err := agents[0].status()
	if err != nil {
		t.Fatal(err)
	}
	other := agents[0] // of which the third is not
	if st.Cluster.ID == one.Cluster.ID {
		other = agents[1]
	}
	other.proc.Kill()
	if err := os.RemoveAll(filepath.Join(other.dir, "data")); err != nil {
		t.Fatal(err)
	}
	other.start()
	lab.Eventually(t, "one cluster is left", 60*time.Second*slowness, func() error { return oneCluster(agents) })
}

// Programs of different versions work together at the level of the oldest, and
// the status says which that is.
func TestOldBesideNew(t *testing.T) {
	t.Parallel()
	if os.Getenv(envBinary) != "" {
		t.Skip("NOT TESTED: a program of the future cannot be made of a given binary")
	}
	newer := filepath.Join(t.TempDir(), "edgeraft")
	if err := buildProgram(newer, "-X github.com/edgeraft/edgeraft/internal/agent.protocolLevel=9 -X github.com/edgeraft/edgeraft/internal/release.version=9.0.0"); err != nil {
		t.Fatal(err)
	}
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net, agents: withKey(t, net, 3, append(peersOf(3), "EDGERAFT_BOOTSTRAP_EXPECT=3")...)}
	c.agents[0].program, c.agents[1].program = []string{newer}, []string{newer}
	for _, a := range c.agents {
		a.start()
	}
	c.awaitMembers()
	c.load = startLoad(t, c.agents)
	c.awaitLevel(2)
	c.awaitProgress(c.agents)
	if st, err := c.agents[2].status(); err != nil || st.Members == nil {
		t.Errorf("%+v, %v", st, err)
	}
	for i, old := range []*agent{c.agents[2], c.agents[0]} { // one is updated, and one goes back
		old.proc.Kill()
		old.program = program
		if i == 0 {
			old.program = []string{newer}
		}
		old.start()
		c.awaitProgress(c.agents)
		c.awaitLevel([]uint32{9, 2}[i])
	}
	leader := c.awaitLeader(c.agents)
	if leader != c.agents[0] {
		if message := leader.warns("old_member"); !strings.Contains(message, c.agents[0].name()) {
			t.Errorf("%s warns of another: %s", leader.name(), message)
		}
	}
	c.load.end()
	c.check("with programs of different versions")
}

// A restore is refused while a device runs a version that would take its commands
// for others, on whichever device it is asked for, and not any more when that is
// updated.
func TestNoRestoreBesideAnOldDevice(t *testing.T) {
	t.Parallel()
	if os.Getenv(envBinary) != "" {
		t.Skip("NOT TESTED: a program of the past cannot be made of a given binary")
	}
	older := filepath.Join(t.TempDir(), "edgeraft")
	if err := buildProgram(older, "-X github.com/edgeraft/edgeraft/internal/agent.protocolLevel=1 -X github.com/edgeraft/edgeraft/internal/release.version=0.0.9"); err != nil {
		t.Fatal(err)
	}
	net := lab.New(t, 2)
	one, two := newAgent(t, net, 1), newAgent(t, net, 2)
	two.program = []string{older}
	formOf(t, one, two)
	one.must("put", "color", "blue")
	file := filepath.Join(t.TempDir(), "state.backup")
	one.must("backup", file)
	one.must("put", "color", "red")
	for range 2 { // with either as the leader
		lab.Eventually(t, "a restore is refused for the old device", 60*time.Second*slowness, func() error {
			_, err := one.cli("", "restore", "--yes", file)
			if exitCodeOf(err) != 1 {
				t.Fatalf("restored beside an old device: %v", err)
			}
			if !strings.Contains(err.Error(), "a version that does not know this") || !strings.Contains(err.Error(), "update edgeraft there") {
				return err
			}
			return nil
		})
		if got := one.must("get", "color"); got != "red" {
			t.Errorf("color is %q", got)
		}
		one.must("members", "transfer")
	}
	two.proc.Terminate(30 * time.Second * slowness)
	two.program = program
	two.start()
	awaitVoters(t, one, two)
	one.must("restore", "--yes", file)
	for _, a := range []*agent{one, two} {
		if got := a.must("get", "color"); got != "blue" {
			t.Errorf("%s: color is %q", a.name(), got)
		}
	}
}

// awaitLevel waits until all devices say that the cluster has a level, and know
// that of the leader.
func (c *cluster) awaitLevel(level uint32) {
	c.t.Helper()
	for _, a := range c.agents {
		lab.Eventually(c.t, fmt.Sprintf("%s says that the level is %d", a.name(), level), 60*time.Second*slowness, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			for _, m := range st.Members {
				if m.Leader && (m.Level < level || m.Version == "") {
					return fmt.Errorf("the leader is %+v", m)
				}
			}
			if st.Cluster.Level != level {
				return fmt.Errorf("level %d, members %+v", st.Cluster.Level, st.Members)
			}
			return nil
		})
	}
}
