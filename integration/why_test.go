package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// whyFaults counts the faults whose cause was asked for, and named.
type whyFaults struct {
	t     *testing.T
	named int
}

// expect waits until `edgeraft why` on a device names a cause on its first line,
// with exit code 1, and says what to do.
func (w *whyFaults) expect(fault string, a *agent, says string) {
	w.t.Helper()
	last := ""
	lab.Eventually(w.t, "why names the cause of: "+fault, 40*time.Second*slowness, func() error {
		out, err := a.cli("", "why")
		first, rest, _ := strings.Cut(out, "\n")
		last = first
		if exitCodeOf(err) != 1 || !strings.Contains(first, says) || !strings.HasPrefix(rest, "Next: ") {
			return fmt.Errorf("it says %q (%v), want %q", out, err, says)
		}
		return nil
	})
	w.named++
	w.t.Logf("%s: %s", fault, last)
}

// Faults with real processes; for each, the first line of `edgeraft why` names
// the cause.
func TestWhyNamesTheCause(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 5)
	w := &whyFaults{t: t}
	var a []*agent
	for i := range 5 {
		a = append(a, newAgent(t, net, i+1))
	}
	one, two, three, four, five := a[0], a[1], a[2], a[3], a[4]

	w.expect("never started", one, "No agent is running: there is no socket")
	four.env = append(four.env, "EDGERAFT_BOOTSTRAP_EXPECT=3")
	four.start()
	w.expect("no key yet", four, "has no cluster key")
	four.proc.Kill()
	w.expect("killed", four, "so it was killed or crashed")
	four.must("keygen", "--out", filepath.Join(four.dir, "cluster.key"))
	four.start()
	w.expect("waiting for others to found with", four, "1 of 3 devices are there")
	four.proc.Pause()
	w.expect("stopped", four, "does not answer")
	four.proc.Kill()
	four.env = four.env[:len(four.env)-1]
	key := formOf(t, one, two, three)
	if out, err := one.cli("", "why"); err != nil || !strings.HasPrefix(out, "healthy: ") {
		t.Errorf("while all is well: %q, %v", out, err)
	}

	// One device by itself.
	four.start()
	w.expect("another key than the others have", four, "its key may be the wrong one")
	four.proc.Kill()
	if err := os.Chmod(filepath.Join(four.dir, "cluster.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	w.expect("a key that all may read", four, "key file cannot be used")
	config := filepath.Join(four.dir, "edgeraft.toml")
	good, err := os.ReadFile(config)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, config, append([]byte("nmae = \"x\"\n"), good...))
	w.expect("a setting misspelt", four, "cannot start with its configuration")
	writeFile(t, config, good)

	// A member by itself.
	three.proc.Terminate(30 * time.Second * slowness)
	three.env = append(three.env, "EDGERAFT_CLUSTER=other")
	w.expect("another cluster's name", three, "is of another cluster")
	three.env = three.env[:len(three.env)-1]
	database := filepath.Join(three.dir, "data", "log.db")
	whole, err := os.ReadFile(database)
	if err != nil {
		t.Fatal(err)
	}
	writeFile(t, database, whole[:4096])
	w.expect("a damaged database", three, "is damaged")
	if err := os.Remove(database); err != nil {
		t.Fatal(err)
	}
	w.expect("a lost database", three, "is gone")
	writeFile(t, database, whole)
	three.start()
	awaitVoters(t, one, two, three)
	net.Isolate(3)
	w.expect("cut off", three, "There is no quorum: 2 of 3 voters are needed and 1 are heard; missing: device-")
	net.Heal()
	awaitVoters(t, one, two, three)

	// The cluster.
	five.env = append(five.env, "EDGERAFT_DISCOVERY=off")
	if _, err := five.cli(key+"\n", "join", "-"); err != nil {
		t.Fatal(err)
	}
	five.start()
	w.expect("nobody to be found", five, "No member of the cluster")
	five.must("init") // by mistake: it should have joined
	five.proc.Terminate(30 * time.Second * slowness)
	five.env = five.env[:len(five.env)-1]
	five.start()
	w.expect("a second cluster", five, "A second cluster with this name and key exists")
	five.proc.Kill()

	var st api.Status
	if err := json.Unmarshal([]byte(three.must("status", "--json")), &st); err != nil {
		t.Fatal(err)
	}
	one.must("members", "remove", st.Node.ID)
	w.expect("removed", three, "was removed from its cluster")
	two.proc.Kill()
	w.expect("one of two is gone", one, "missing: device-2 (")
	t.Logf("%d faults, each named on the first line", w.named)
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
