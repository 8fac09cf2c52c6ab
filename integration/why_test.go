package integration

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// whyFault is a row of the table: what is done to a device or its cluster, and
// what `edgeraft why` then says, on which device.
type whyFault struct {
	fault string
	do    func() // nil: it is so already
	asked *agent
	code  string
	says  []string // on the first line
	next  string   // what the second line tells to type begins so
	// mend does what the second line says, and then all is well; nil: what comes
	// next goes on from here.
	mend func(next string)
	by   func(stdin string, args ...string) (string, error) // who asks; nil: asked.cli
}

// whyScenes are faults with real processes, each scene on a network of its own.
var whyScenes = []struct {
	about  string
	faults func(*testing.T) []whyFault
}{
	{"one device", oneDevice},
	{"no room for a database", noRoomToStart},
	{"several found together", foundingTogether},
	{"a member's storage", storageOfAMember},
	{"the network", networkFaults},
	{"one way", oneWayOut},
	{"wrong keys and names", wrongKeysAndNames},
	{"admission", admission},
	{"a broker", brokerFaults},
	{"full disks", fullDisks},
	{"stuck disks", stuckDisks},
	{"given up for lost", givenUp},
}

// For each fault the first line of `edgeraft why` names the true cause and the
// second what to type; where a test can type that, it does, and all is well again.
func TestWhyNamesTheCause(t *testing.T) {
	t.Parallel()
	w := &whyTally{}
	var together sync.WaitGroup // they mostly wait
	for _, s := range whyScenes {
		together.Go(func() {
			t.Run(s.about, func(t *testing.T) {
				w.scenes.Add(1)
				w.play(t, s.faults(t))
			})
		})
	}
	together.Wait()
	t.Logf("%d of %d causes named", w.named.Load(), w.faults.Load())
	if n := w.named.Load(); n < 20 && int(w.scenes.Load()) == len(whyScenes) { // else only some were asked for
		t.Errorf("%d faults are too few", n)
	}
}

// whyTally counts the scenes, their faults, and those whose cause was named.
type whyTally struct{ scenes, faults, named atomic.Int32 }

func (w *whyTally) play(t *testing.T, faults []whyFault) {
	w.faults.Add(int32(len(faults)))
	for _, f := range faults {
		if f.do != nil {
			f.do()
		}
		first, next := f.await(t)
		w.named.Add(1)
		t.Logf("%s\n\t%s\n\tNext: %s", f.fault, first, next)
		if f.mend != nil {
			f.mend(next)
			awaitWell(t, f.asked, "after "+f.fault, "healthy: ")
		}
	}
}

// await waits until the cause is named, with exit code 1.
func (f whyFault) await(t *testing.T) (first, next string) {
	t.Helper()
	ask := f.by
	if ask == nil {
		ask = f.asked.cli
	}
	lab.Eventually(t, "why names the cause of: "+f.fault, 60*time.Second*slowness, func() error {
		out, err := ask("", "why")
		wrong := fmt.Errorf("it says %q (%v), want %q, %q and Next: %s", out, err, f.code, f.says, f.next)
		var lines []string
		if lines = strings.Split(out, "\n"); exitCodeOf(err) != 1 || len(lines) != 3 {
			return wrong
		}
		for _, part := range f.says {
			if !strings.Contains(lines[0], part) {
				return wrong
			}
		}
		var ok bool
		first = lines[0]
		if next, ok = strings.CutPrefix(lines[1], "Next: "); !ok || !strings.HasPrefix(next, f.next) {
			return wrong
		}
		var same struct{ Code string }
		out, _ = ask("", "why", "--json")
		if err := json.Unmarshal([]byte(out), &same); err != nil || same.Code != f.code {
			return fmt.Errorf("it says %s, want the code %s", out, f.code)
		}
		return nil
	})
	return first, next
}

// awaitWell waits until why says that a device does its work, and some words.
func awaitWell(t *testing.T, a *agent, when string, words ...string) {
	t.Helper()
	lab.Eventually(t, a.name()+" is well "+when, 60*time.Second*slowness, func() error {
		out, err := a.cli("", "why")
		for _, word := range words {
			if err == nil && !strings.Contains(out, word) {
				err = fmt.Errorf("it does not say %q", word)
			}
		}
		if err != nil {
			return fmt.Errorf("%w: %s", err, out)
		}
		return nil
	})
}

// typed is how a device types what it was told to: KEY is the key, and what is in
// brackets is for people.
func typed(a *agent, key string, more ...string) func(next string) {
	return func(next string) {
		a.t.Helper()
		line, _, _ := strings.Cut(next, "   (")
		words := strings.Fields(strings.TrimPrefix(strings.ReplaceAll(line, "KEY", key), "sudo "))
		if words[0] != "edgeraft" {
			if out, err := exec.Command(words[0], words[1:]...).CombinedOutput(); err != nil {
				a.t.Fatalf("%s: %v: %s", line, err, out)
			}
			return
		}
		a.must(append(words[1:], more...)...)
	}
}

// Where the device asked does its work, why says so, also when something is wrong
// elsewhere.
func TestWhyIsContent(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	formOf(t, c.agents...)
	for _, a := range c.agents {
		awaitWell(t, a, "with three of three", "healthy: "+a.name())
		if out := a.must("why"); strings.Contains(out, "But:") {
			t.Errorf("with three of three: %s", out)
		}
	}
	leader := c.awaitLeader(c.agents)
	off := c.others(leader)[0]
	off.proc.Kill()
	awaitWell(t, leader, "with two of three", "healthy: ", "But: Member "+off.name()+" (", "Next: edgeraft members remove ")
	for _, a := range c.others(off) {
		a.must("put", "k", "v")
		awaitWell(t, a, "with two of three", "healthy: ")
	}
	if os.Getenv(envBinary) != "" {
		t.Skip("NOT TESTED: a program whose clock is wrong cannot be made of a given binary")
	}
	off.program = []string{filepath.Join(t.TempDir(), "edgeraft")}
	if err := buildProgram(off.program[0], "-X github.com/edgeraft/edgeraft/internal/agent.clockAhead=-3h"); err != nil {
		t.Fatal(err)
	}
	off.start()
	if leader = c.awaitLeader(c.agents); leader == off {
		off.must("members", "transfer")
		leader = c.awaitLeader(c.agents)
	}
	awaitWell(t, leader, "with a wrong clock elsewhere", "healthy: ", "But: Clocks differ from this device's: "+off.name()+" (", ") by -", "Next: timedatectl status   (on "+off.name())
	awaitWell(t, off, "with a wrong clock", "healthy: ", "But: The clock of the leader differs", leader.name()+" (", ") by +")
}

func writeFile(t *testing.T, path string, data []byte) {
	t.Helper()
	if err := os.WriteFile(path, data, 0o600); err != nil {
		t.Fatal(err)
	}
}
