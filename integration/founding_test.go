package integration

import (
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/seal"
)

var (
	foundings = flag.Int("foundings", 2, "how many foundings to run")
	quietOnly = flag.Bool("undisturbed", false, "only foundings that nothing disturbs, to see how long they take")
	firstRun  = flag.Uint64("founding", 1, "the seed of the first")
)

// story is what happens in a founding. Its seed decides all but the timing of
// the processes.
type story struct {
	rng     *rand.Rand
	expect  int
	devices int // so many that any two groups of expect share one
	loss    int // percent
	quiet   bool
}

func newStory(seed uint64) *story {
	s := &story{rng: rand.New(rand.NewPCG(seed, 0))}
	s.expect = []int{3, 5, 9}[seed%3]
	s.devices, s.loss = s.expect, s.rng.IntN(41)
	if s.expect < 9 {
		s.devices += s.rng.IntN(2)
	}
	if s.quiet = (seed/3)%3 == 0 && *foundings > 2 || *quietOnly; s.quiet {
		s.devices, s.loss = s.expect, 0
	}
	return s
}

// TestFounding boots blank devices that were flashed from one image, in any
// order, under loss, with partitions and crashes meanwhile: each time exactly
// one cluster must come of it.
//
//	go test ./integration -run 'Founding$' -v -timeout 0 -foundings 200
//	go test ./integration -run 'Founding$' -v -timeout 0 -foundings 60 -undisturbed
func TestFounding(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 9)
	took := map[int][]time.Duration{}
	for i := range *foundings {
		seed := *firstRun + uint64(i)
		s := newStory(seed)
		ok := t.Run(fmt.Sprint(seed), func(t *testing.T) {
			d := found(t, net, s)
			if s.quiet {
				took[s.expect] = append(took[s.expect], d)
			}
			t.Logf("%d devices, %d expected, %d %% loss, quiet %v: one cluster %v after the last start",
				s.devices, s.expect, s.loss, s.quiet, d.Round(10*time.Millisecond))
		})
		if !ok {
			t.Fatalf("seed %d; again with -foundings 1 -founding %d", seed, seed)
		}
	}
	for expect, all := range took {
		slices.Sort(all)
		t.Logf("%d devices, nothing disturbed, %d times: from the last start to one cluster with a leader that all know: median %v, worst %v",
			expect, len(all), all[len(all)/2].Round(10*time.Millisecond), all[len(all)-1].Round(10*time.Millisecond))
	}
}

// found plays a story and returns how long after the last start all devices
// belonged to one cluster.
func found(t *testing.T, net *lab.Network, s *story) time.Duration {
	key := seal.NewKey()
	var agents []*agent
	for i := range s.devices {
		a := newAgent(t, net, i+1, fmt.Sprintf("EDGERAFT_BOOTSTRAP_EXPECT=%d", s.expect))
		if err := seal.WriteKeyFile(filepath.Join(a.dir, "cluster.key"), key, false); err != nil {
			t.Fatal(err)
		}
		agents = append(agents, a)
	}
	defer func() {
		net.Heal()
		net.Loss(0)
		for _, a := range agents {
			if a.proc != nil {
				a.proc.Kill()
			}
		}
	}()
	net.Loss(s.loss)
	var last time.Time
	for k, i := range s.rng.Perm(len(agents)) {
		if k > 0 {
			s.wait(1500)
		}
		last = time.Now()
		agents[i].start()
	}
	if !s.quiet {
		s.disturb(net, agents)
	}
	lab.Eventually(t, "one cluster", 3*time.Minute*slowness, func() error { return oneCluster(agents) })
	return time.Since(last)
}

// wait lets some time pass, at most so many milliseconds.
func (s *story) wait(most int) { <-time.After(time.Duration(s.rng.IntN(most)) * time.Millisecond) }

// disturb parts the devices for a while, and crashes some, in the time in which
// they found their cluster.
func (s *story) disturb(net *lab.Network, agents []*agent) {
	for range 1 + s.rng.IntN(3) {
		s.wait(2000)
		switch s.rng.IntN(3) {
		case 0:
			var group []int
			for i := range agents {
				if s.rng.IntN(2) == 0 {
					group = append(group, i+1)
				}
			}
			net.Partition(group)
			s.wait(4000)
			net.Heal()
		default:
			for _, a := range agents {
				if s.rng.IntN(3) == 0 {
					a.proc.Kill()
				}
			}
			s.wait(1500)
			for _, a := range agents {
				if !a.proc.Running() {
					a.start()
				}
			}
		}
	}
}

// oneCluster says what is missing to one cluster that all devices belong to. Two
// clusters are a failure at once.
func oneCluster(agents []*agent) error {
	ids := map[string]bool{}
	var missing []string
	for _, a := range agents {
		st, err := a.status()
		if err != nil {
			return err
		}
		if st.Cluster.ID != "" {
			ids[st.Cluster.ID] = true
		}
		if st.Node.State != "member" || st.Cluster.Leader == "" {
			missing = append(missing, fmt.Sprintf("%s is %s of %q, leader %q: %+v", a.name(), st.Node.State, st.Cluster.ID, st.Cluster.Leader, st.Warnings))
		}
	}
	if len(ids) > 1 {
		agents[0].t.Fatalf("%d clusters were founded: %v", len(ids), ids)
	}
	if missing != nil {
		return errors.New(strings.Join(missing, "\n"))
	}
	return nil
}

// What a founding waits for, and what ends the wait, is in the status; init does
// not found another cluster meanwhile.
func TestFoundingSaysWhatItWaitsFor(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	key := seal.NewKey()
	var agents []*agent
	for i := range 3 {
		a := newAgent(t, net, i+1, "EDGERAFT_BOOTSTRAP_EXPECT=3", "EDGERAFT_DISCOVERY=off", "EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521")
		if err := seal.WriteKeyFile(filepath.Join(a.dir, "cluster.key"), key, false); err != nil {
			t.Fatal(err)
		}
		agents = append(agents, a)
	}
	agents[2].start()
	agents[0].start()
	for _, a := range []*agent{agents[0], agents[2]} {
		lab.Eventually(t, a.name()+" says that one device is missing", 30*time.Second*slowness, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			if st.Founding == nil || len(st.Founding.Heard) != 2 || len(st.Warnings) == 0 || !strings.Contains(st.Warnings[0].Message, "2 of 3 devices are there") {
				return fmt.Errorf("founding %+v, warnings %+v", st.Founding, st.Warnings)
			}
			return nil
		})
	}
	if out, err := agents[0].cli("", "init"); err == nil || !strings.Contains(err.Error(), "together with others") || !strings.Contains(err.Error(), "remove bootstrap_expect") {
		t.Errorf("init says %q, %v", out, err)
	}
	if out, err := agents[1].cli("", "init"); err == nil || !strings.Contains(err.Error(), "together with others") {
		t.Errorf("init without an agent says %q, %v", out, err)
	}
	agents[1].start()
	lab.Eventually(t, "one cluster", time.Minute*slowness, func() error { return oneCluster(agents) })

	// A new device from the same image joins, and does not wait for others.
	agents[1].proc.Kill()
	if err := os.RemoveAll(filepath.Join(agents[1].dir, "data")); err != nil {
		t.Fatal(err)
	}
	agents[1].start()
	lab.Eventually(t, "one cluster, with the device that was flashed again", time.Minute*slowness, func() error { return oneCluster(agents) })
}
