package integration

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// formOf founds a cluster on the first agent, lets the others join, and waits
// until all of them vote.
func formOf(t *testing.T, agents ...*agent) (key string) {
	t.Helper()
	agents[0].start()
	var setup api.Setup
	if err := json.Unmarshal([]byte(agents[0].must("init", "--json")), &setup); err != nil {
		t.Fatal(err)
	}
	for _, a := range agents[1:] {
		if _, err := a.cli(setup.Key+"\n", "join", "-"); err != nil {
			t.Fatal(err)
		}
		a.start()
	}
	awaitVoters(t, agents...)
	return setup.Key
}

// awaitVoters waits until the agents, and no others, are voters of a cluster with
// a leader.
func awaitVoters(t *testing.T, agents ...*agent) {
	t.Helper()
	for _, a := range agents {
		lab.Eventually(t, fmt.Sprintf("%s sees %d voters", a.name(), len(agents)), 60*time.Second*slowness, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			if len(st.Members) != len(agents) || st.Cluster.Leader == "" || slices.ContainsFunc(st.Members, func(m api.Member) bool { return m.Role != "voter" }) {
				return fmt.Errorf("status is %+v", st)
			}
			return nil
		})
	}
}

func awaitNoLeader(t *testing.T, agents ...*agent) {
	t.Helper()
	for _, a := range agents {
		lab.Eventually(t, a.name()+" has no leader", 30*time.Second*slowness, func() error {
			st, err := a.status()
			if err == nil && st.Cluster.Leader != "" {
				err = fmt.Errorf("it follows %s", st.Cluster.Leader)
			}
			return err
		})
	}
}

func clusterIDOf(t *testing.T, a *agent) string {
	t.Helper()
	st, err := a.status()
	if err != nil {
		t.Fatal(err)
	}
	return st.Cluster.ID
}

// awaitWarning waits until status has a warning of this code.
func awaitWarning(t *testing.T, a *agent, code string) (w api.Warning) {
	t.Helper()
	lab.Eventually(t, a.name()+" warns of "+code, 60*time.Second*slowness, func() error {
		st, err := a.status()
		if err != nil {
			return err
		}
		for _, w = range st.Warnings {
			if w.Code == code {
				return nil
			}
		}
		return fmt.Errorf("warnings are %+v", st.Warnings)
	})
	return w
}

// Of three devices two are gone. The third goes on; the two come back, can commit
// nothing in its cluster, are told why, and come in again with one command.
func TestRecoverFromALostMajority(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	one, two, three := newAgent(t, net, 1), newAgent(t, net, 2), newAgent(t, net, 3)
	formOf(t, one, two, three)
	one.must("put", "kept", "v")
	three.must("get", "kept") // so it has it
	old := clusterIDOf(t, three)
	if _, err := three.cli("", "recover", "--yes", "--cluster-id", old); exitCodeOf(err) != 1 || !strings.Contains(err.Error(), "has a leader") {
		t.Errorf("recovered while all is well: %v", err)
	}
	one.proc.Kill()
	two.proc.Kill()
	awaitNoLeader(t, three)
	lab.Eventually(t, "the dead count as not heard", 60*time.Second*slowness, func() error {
		if _, err := three.cli("", "recover"); exitCodeOf(err) != 2 { // without a terminal to ask
			return err
		}
		return nil
	})
	lab.Eventually(t, "the recovery, once it has listened", 60*time.Second*slowness, func() error {
		_, err := three.cli("", "recover", "--yes", "--cluster-id", old)
		return err
	})
	awaitVoters(t, three)
	if got := three.must("get", "kept"); got != "v" {
		t.Errorf("kept is %q", got)
	}
	three.must("put", "after", "recovery")
	fresh := clusterIDOf(t, three)
	if out, err := three.cli("", "recover", "--yes", "--cluster-id", old); fresh == old || err != nil || !strings.Contains(out, "was recovered already") || clusterIDOf(t, three) != fresh {
		t.Errorf("a second time: %s, %v; the cluster is %s, was %s", out, err, fresh, old)
	}

	// The lost ones come back: together they are a majority of the old cluster.
	one.start()
	if w := awaitWarning(t, one, "recovered_without"); !strings.Contains(w.Next, "join --as-new") {
		t.Errorf("%+v", w)
	}
	awaitWarning(t, three, "former_cluster")
	whyFault{fault: "recovered without it", asked: one, code: "recovered_without", says: []string{"was given up for lost and recovered without it"},
		next: "edgeraft join --as-new"}.await(t)
	if !strings.Contains(one.proc.Log(), "recovered without it") || !strings.Contains(three.proc.Log(), "still belongs to the cluster") {
		t.Error("the logs do not say so")
	}
	if _, err := one.cli("", "put", "--timeout", "5s", "x", "y"); exitCodeOf(err) == 0 {
		t.Error("a lost member alone committed something")
	}
	// It is no cluster to be recovered a second time.
	if _, err := one.cli("", "recover", "--yes", "--cluster-id", old); exitCodeOf(err) != 1 || !strings.Contains(err.Error(), "was recovered already") || clusterIDOf(t, one) != old {
		t.Errorf("a second survivor was recovered: %v", err)
	}
	// Together they are a majority of the old cluster. But they know that it was
	// given up, and commit nothing.
	two.start()
	awaitWarning(t, two, "recovered_without")
	for _, a := range []*agent{one, two} {
		if out, err := a.cli("", "put", "--timeout", "5s", "old", "v"); exitCodeOf(err) == 0 {
			t.Errorf("the old majority works on %s: %s", a.name(), out)
		}
	}
	if s, err := two.status(); err != nil || s.Cluster.Leader != "" {
		t.Errorf("%s leads the old cluster, %v", s.Cluster.Leader, err)
	}
	one.must("join", "--as-new", "--yes")
	two.proc.Terminate(30 * time.Second * slowness)
	two.must("join", "--as-new", "--yes") // while no agent runs
	two.start()
	awaitVoters(t, one, two, three)
	for _, a := range []*agent{one, two} {
		if got := a.must("get", "after"); got != "recovery" || clusterIDOf(t, a) != fresh {
			t.Errorf("%s: after is %q", a.name(), got)
		}
	}
}

// Of five devices two survive, one of which has more: that is the one to keep, and
// the other comes in as new.
func TestRecoverTheMostAdvanced(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 6)
	var agents []*agent
	for i := range 6 {
		agents = append(agents, newAgent(t, net, i+1))
	}
	key := formOf(t, agents[:5]...)
	behind, ahead := agents[3], agents[4]
	behind.proc.Kill()
	agents[0].must("put", "late", "v")
	ahead.must("get", "late")
	for _, a := range agents[:3] {
		a.proc.Kill()
	}
	behind.start()
	awaitNoLeader(t, behind, ahead)
	old := clusterIDOf(t, ahead)
	lab.Eventually(t, "the one behind is refused", 60*time.Second*slowness, func() error {
		_, err := behind.cli("", "recover", "--yes", "--cluster-id", old)
		if exitCodeOf(err) != 1 {
			t.Fatalf("the one behind was recovered: %v", err)
		}
		if !strings.Contains(err.Error(), "device-5") {
			return err
		}
		return nil
	})
	var shown struct {
		Others []struct {
			Name      string
			LastIndex uint64 `json:"last_index"`
		}
	}
	if err := json.Unmarshal([]byte(ahead.must("recover", "--show", "--json")), &shown); err != nil || len(shown.Others) != 4 {
		t.Errorf("%+v, %v", shown, err)
	}
	ahead.proc.Terminate(30 * time.Second * slowness)
	ahead.must("recover", "--yes", "--cluster-id", old) // while no agent runs
	ahead.start()
	if got := ahead.must("get", "late"); got != "v" {
		t.Errorf("late is %q", got)
	}
	awaitWarning(t, behind, "recovered_without")
	behind.must("join", "--as-new", "--yes")
	if _, err := agents[5].cli(key+"\n", "join", "-"); err != nil { // and a new one
		t.Fatal(err)
	}
	agents[5].start()
	awaitVoters(t, ahead, behind, agents[5])
	if got := behind.must("get", "late"); got != "v" {
		t.Errorf("late is %q", got)
	}
}
