package systemd

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// Deadlines are for a machine that is busy with other tests.
const (
	bootTime    = 60 * time.Second
	settleTime  = 60 * time.Second
	commandTime = 60 * time.Second
)

// socket is where the packaged agent serves.
const socket = "/run/edgeraft/edgeraft.sock"

// machine is a container with its own systemd: a device.
type machine struct {
	t       testing.TB
	i       int
	dir     string // has what it changed of the root file system
	command lab.Command
	proc    *lab.Process
	pid     int // of its systemd, as the test sees it
}

// boot starts machine i, on device i of the network. It sees the common root
// file system, and keeps what it changes.
func boot(t testing.TB, net *lab.Network, root string, i int) *machine {
	t.Helper()
	m := &machine{t: t, i: i, dir: t.TempDir()}
	for _, sub := range []string{"upper/etc", "work", "merged"} {
		if err := os.MkdirAll(filepath.Join(m.dir, sub), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.WriteFile(filepath.Join(m.dir, "upper/etc/hostname"), []byte(m.name()+"\n"), 0o644); err != nil {
		t.Fatal(err)
	}
	// The mount is in a namespace of its own, so it goes away with the container.
	const script = `mount -t overlay overlay -o "lowerdir=$0,upperdir=$1/upper,workdir=$1/work" "$1/merged" &&
		exec systemd-nspawn --quiet --directory "$1/merged" --boot --register=no --keep-unit --machine "$2" --network-namespace-path "$3" </dev/null`
	m.command = lab.Command{Name: "the container of " + m.name(), Args: []string{
		"unshare", "--mount", "--propagation", "private", "sh", "-c", script, root, m.dir,
		fmt.Sprintf("edgeraft-%d-%d", os.Getpid(), i), "/run/netns/" + net.Namespace(i),
	}}
	t.Cleanup(m.kill)
	t.Cleanup(m.tell)
	m.powerOn()
	return m
}

func (m *machine) powerOn() {
	m.t.Helper()
	m.proc = lab.Start(m.t, m.command)
	m.awaitUp()
}

// powerOff shuts the machine down in an orderly way.
func (m *machine) powerOff() {
	m.t.Helper()
	_, _ = m.try("systemctl", "poweroff") // it may end before it answers
	if err := m.proc.Wait(bootTime); err != nil {
		m.t.Errorf("shutting down %s: %v", m.name(), err)
	}
}

func (m *machine) name() string { return fmt.Sprintf("device-%d", m.i) }

// awaitUp waits until systemd has started everything.
func (m *machine) awaitUp() {
	m.t.Helper()
	lab.Eventually(m.t, m.name()+" is up", bootTime, func() error {
		if !m.proc.Running() {
			return errors.New("the container ended: " + m.proc.Log())
		}
		pids, err := children(m.proc.PID())
		if err != nil || len(pids) == 0 {
			return fmt.Errorf("no systemd in it yet: %w", err)
		}
		m.pid = pids[0]
		// degraded: a unit of Debian's that does not work in a container.
		state, err := m.try("systemctl", "is-system-running")
		if state != "running" && state != "degraded" {
			return fmt.Errorf("systemd is %q (%w)", state, err)
		}
		return nil
	})
}

// tell shows what the service logged, when the test failed.
func (m *machine) tell() {
	if !m.t.Failed() || !m.proc.Running() {
		return
	}
	out, err := m.try("journalctl", "--unit", "edgeraft", "--no-hostname", "--output", "short-monotonic", "--lines", "60")
	m.t.Logf("-- the service on %s logged (%v):\n%s", m.name(), err, out)
}

// children are the processes that a process started.
func children(pid int) ([]int, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/task/%d/children", pid, pid))
	if err != nil {
		return nil, err
	}
	var out []int
	for _, word := range strings.Fields(string(text)) {
		child, err := strconv.Atoi(word)
		if err != nil {
			return nil, err
		}
		out = append(out, child)
	}
	return out, nil
}

// kill ends the container at once, and with its first process all others in it.
func (m *machine) kill() {
	pids, _ := children(m.proc.PID()) // it may have ended
	for _, pid := range pids {
		if p, err := os.FindProcess(pid); err == nil {
			_ = p.Kill()
		}
	}
	m.proc.Kill()
}

// command prepares a command that runs inside, as root.
func (m *machine) inside(ctx context.Context, args ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(m.pid), "--mount", "--pid", "--net", "--uts", "--ipc", "--cgroup", "--root", "--wd",
		"env", "-i", "PATH=/usr/sbin:/usr/bin:/sbin:/bin", "HOME=/root", "LC_ALL=C", "SYSTEMD_PAGER="}
	return exec.CommandContext(ctx, "nsenter", append(enter, args...)...)
}

// try runs a command inside to its end and returns what it printed.
func (m *machine) try(args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), commandTime)
	defer cancel()
	cmd := m.inside(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	err := cmd.Run()
	if err != nil {
		err = fmt.Errorf("%s on %s: %w: %s", strings.Join(args, " "), m.name(), err, stderr.String())
	}
	return strings.TrimSpace(stdout.String()), err
}

// must is try for what has to work at once.
func (m *machine) must(args ...string) string {
	m.t.Helper()
	out, err := m.try(args...)
	if err != nil {
		m.t.Fatal(err)
	}
	return out
}

// write makes a file inside.
func (m *machine) write(path, text string) {
	m.t.Helper()
	cmd := m.inside(context.Background(), "sh", "-c", `mkdir -p "$(dirname "$0")" && cat >"$0"`, path)
	cmd.Stdin = strings.NewReader(text)
	if out, err := cmd.CombinedOutput(); err != nil {
		m.t.Fatalf("write %s on %s: %v: %s", path, m.name(), err, out)
	}
}

// path is where the test finds a file of the container.
func (m *machine) path(name string) string { return fmt.Sprintf("/proc/%d/root%s", m.pid, name) }

// client speaks to the agent's socket as a local program does.
func (m *machine) client() *client.Client { return client.New(m.path(socket)) }

// status is the agent's, which may be unhealthy.
func (m *machine) status() (api.Status, error) {
	c := m.client()
	defer c.Close()
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return c.Status(ctx)
}

// property is what `systemctl show` tells of the service.
func (m *machine) property(name string) string {
	m.t.Helper()
	return m.must("systemctl", "show", "--value", "--property", name, "edgeraft")
}

// awaitMembers waits until machines all know so many voters, and a leader.
func awaitMembers(t testing.TB, voters int, on []*machine) {
	t.Helper()
	for _, m := range on {
		lab.Eventually(t, fmt.Sprintf("%s sees %d voters", m.name(), voters), settleTime, func() error {
			st, err := m.status()
			if err != nil {
				return err
			}
			isVoter := func(am api.Member) bool { return am.Role == "voter" }
			n := len(slices.DeleteFunc(slices.Clone(st.Members), func(am api.Member) bool { return !isVoter(am) }))
			if n != voters || !st.Healthy {
				text, err := json.Marshal(st)
				return fmt.Errorf("status: %s (%w)", text, err)
			}
			return nil
		})
	}
}

// leader is the machine that leads, according to all.
func leader(t testing.TB, machines []*machine) *machine {
	t.Helper()
	var leads *machine
	lab.Eventually(t, "all agree on a leader", settleTime, func() error {
		leads = nil
		seen := map[string]bool{}
		for _, m := range machines {
			st, err := m.status()
			if err != nil {
				return err
			}
			seen[st.Cluster.Leader] = true
			if st.Cluster.Leader == st.Node.ID {
				leads = m
			}
		}
		if leads == nil || len(seen) != 1 {
			return fmt.Errorf("they follow %v", seen)
		}
		return nil
	})
	return leads
}

func without(machines []*machine, not *machine) []*machine {
	return slices.DeleteFunc(slices.Clone(machines), func(m *machine) bool { return m == not })
}
