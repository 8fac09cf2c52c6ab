package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// agent is one device: its directory, which outlives the process, and the
// process while there is one.
type agent struct {
	t   testing.TB
	net *lab.Network
	i   int
	dir string
	// program is what runs, where it is not the program under test.
	program []string
	env     []string
	proc    *lab.Process
	client  *client.Client
}

// newAgent prepares device i. Nothing is configured but where its files are
// and what it is called.
func newAgent(t testing.TB, net *lab.Network, i int, settings ...string) *agent {
	t.Helper()
	a := &agent{t: t, net: net, i: i, dir: t.TempDir()}
	config := filepath.Join(a.dir, "edgeraft.toml")
	text := fmt.Sprintf("name = %q\ndata_dir = %q\n", a.name(), filepath.Join(a.dir, "data"))
	if err := os.WriteFile(config, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := filepath.Join(a.dir, "s")
	a.env = append([]string{
		"EDGERAFT_CONFIG=" + config,
		"EDGERAFT_SOCKET=" + socket,
		"EDGERAFT_KEY_FILE=" + filepath.Join(a.dir, "cluster.key"),
		// The whole history of the test is compared.
		"EDGERAFT_LIMITS_WATCH_HISTORY_EVENTS=100000",
		"EDGERAFT_LIMITS_WATCH_HISTORY_BYTES=33554432",
	}, settings...)
	a.client = client.New(socket)
	t.Cleanup(a.client.Close)
	return a
}

func (a *agent) name() string { return fmt.Sprintf("device-%d", a.i) }

func (a *agent) start() {
	a.t.Helper()
	run := program
	if a.program != nil {
		run = a.program
	}
	a.proc = a.net.Start(a.i, lab.Command{Name: "the agent of " + a.name(), Args: append(run[:len(run):len(run)], "run"), Env: a.env})
	lab.Eventually(a.t, a.name()+" answers", 10*time.Second*slowness, func() error {
		_, err := a.status()
		return err
	})
}

func (a *agent) status() (api.Status, error) {
	if a.proc == nil || !a.proc.Running() {
		return api.Status{}, fmt.Errorf("%s does not run", a.name())
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second*slowness)
	defer cancel()
	return a.client.Status(ctx)
}

// cli runs one command of the command line to its end and returns what it
// printed on standard output.
func (a *agent) cli(stdin string, args ...string) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second*slowness)
	defer cancel()
	argv := append(append([]string{}, program...), args...)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "EDGERAFT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, a.env...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return stdout.String(), fmt.Errorf("%s on %s: %w: %s", strings.Join(args, " "), a.name(), err, stderr.String())
	}
	return stdout.String(), nil
}

// must is cli for what has to work at once.
func (a *agent) must(args ...string) string {
	a.t.Helper()
	out, err := a.cli("", args...)
	if err != nil {
		a.t.Fatal(err)
	}
	return strings.TrimSuffix(out, "\n")
}

// propose commits a command by the command line.
func (a *agent) propose(command string) (api.Applied, error) {
	var applied api.Applied
	out, err := a.cli("", "propose", "--json", command)
	if err == nil {
		err = json.Unmarshal([]byte(out), &applied)
	}
	return applied, err
}

// history is what `watch --from 1 --json` prints of all events up to the one
// at an index, a line each.
func (a *agent) history(upTo uint64) []string {
	a.t.Helper()
	var out collector
	watch := lab.Start(a.t, lab.Command{Name: "watch on " + a.name(), Args: append(program, "watch", "--from", "1", "--json"),
		Env: a.env, Stdout: &out})
	defer watch.Kill()
	var lines []string
	lab.Eventually(a.t, fmt.Sprintf("watch on %s comes to index %d", a.name(), upTo), 30*time.Second*slowness, func() error {
		lines = out.lines()
		if !watch.Running() {
			return fmt.Errorf("it ended: %s", watch.Log())
		}
		for i, line := range lines {
			e, err := parseEvent(line)
			if err != nil {
				return err
			}
			if e.Index >= upTo {
				lines = lines[:i+1]
				return nil
			}
		}
		return fmt.Errorf("%d lines so far", len(lines))
	})
	return lines
}
