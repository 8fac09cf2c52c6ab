package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/show"
)

// demoAgent is one agent process of the demonstration.
type demoAgent struct {
	name    string
	args    []string
	logPath string
	verbose io.Writer // nil: the log goes to its file only
	client  *client.Client
	cmd     *exec.Cmd
	ended   chan error
}

func newDemoAgent(dir, name string, ports []int, i int, mdns bool) (*demoAgent, error) {
	home := filepath.Join(dir, name)
	if err := os.Mkdir(home, 0o700); err != nil {
		return nil, fmt.Errorf("make the directory of %s: %w", name, err)
	}
	socket := filepath.Join(home, "s")
	args := []string{
		"run", "--config", os.DevNull, "--name", name,
		// A cluster name of its own keeps two demonstrations apart.
		"--cluster", fmt.Sprintf("demo-%d", os.Getpid()),
		"--data-dir", filepath.Join(home, "data"), "--socket", socket, "--key-file", filepath.Join(home, "key"),
		"--udp-listen", fmt.Sprintf(":%d", ports[i]),
	}
	if !mdns {
		args = append(args, "--discovery", "off")
		for _, p := range slices.Delete(slices.Clone(ports), i, i+1) {
			args = append(args, "--peers", fmt.Sprintf("127.0.0.1:%d", p))
		}
	}
	return &demoAgent{name: name, args: args, logPath: filepath.Join(home, "log"), client: client.New(socket)}, nil
}

// start starts this same program as an agent, in the environment of the
// demonstration but for settings that are meant for real agents.
func (a *demoAgent) start() error {
	self, err := os.Executable()
	if err != nil {
		return fmt.Errorf("find this program: %w", err)
	}
	log, err := os.OpenFile(a.logPath, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("make the log of %s: %w", a.name, err)
	}
	cmd := exec.Command(self, a.args...)
	cmd.Env = withoutSettings(os.Environ())
	cmd.Stderr = log
	if a.verbose != nil {
		cmd.Stderr = io.MultiWriter(log, a.verbose)
	}
	// Should the demonstration be killed, its agents must not live on.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	ended := make(chan error, 1)
	if err := cmd.Start(); err != nil {
		return errors.Join(fmt.Errorf("start %s: %w", a.name, err), log.Close())
	}
	go func() { ended <- errors.Join(cmd.Wait(), log.Close()) }()
	a.cmd, a.ended = cmd, ended
	return nil
}

func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(s string) bool {
		return len(s) > 9 && s[:9] == "EDGERAFT_"
	})
}

func (a *demoAgent) pid() int { return a.cmd.Process.Pid }

// kill ends the process without giving it a chance to do anything.
func (a *demoAgent) kill() error {
	if err := a.cmd.Process.Kill(); err != nil && !errors.Is(err, os.ErrProcessDone) {
		return fmt.Errorf("kill %s: %w", a.name, err)
	}
	<-a.ended
	a.cmd = nil
	return nil
}

// stopPatience is how long an agent may take to end when asked to.
const stopPatience = 10 * time.Second

// stop asks the process to end, and expects it to do so well and soon.
func (a *demoAgent) stop() error {
	if a.cmd == nil {
		return nil
	}
	if err := a.cmd.Process.Signal(syscall.SIGTERM); err != nil {
		return err
	}
	select {
	case err := <-a.ended:
		a.cmd = nil
		return err
	case <-time.After(stopPatience):
		return errors.Join(fmt.Errorf("it did not end within %v", stopPatience), a.kill())
	}
}

// statusInterval is how often a status is asked for while one is awaited.
const statusInterval = 20 * time.Millisecond

// awaitStatus asks for the status until it is as wanted.
func (a *demoAgent) awaitStatus(ctx context.Context, wanted func(api.Status) bool) (api.Status, error) {
	ticker := time.NewTicker(statusInterval)
	defer ticker.Stop()
	for {
		st, err := a.client.Status(ctx)
		if err == nil && wanted(st) {
			return st, nil
		}
		select {
		case <-ticker.C:
		case err := <-a.ended:
			a.ended <- err
			return api.Status{}, fmt.Errorf("agent %s ended by itself: %w", a.name, err)
		case <-ctx.Done():
			return api.Status{}, fmt.Errorf("status of %s: %w", a.name, errors.Join(ctx.Err(), err))
		}
	}
}

var errEnough = errors.New("everything was read")

// history reads all that was committed up to the event at index upTo: the
// indexes at which each command stands, and the whole as text, a line an event.
func (a *demoAgent) history(ctx context.Context, upTo uint64) (map[string][]uint64, []byte, error) {
	commands := map[string][]uint64{}
	var text bytes.Buffer
	err := a.client.Watch(ctx, client.WatchOptions{From: 1}, func(e api.Event) error {
		value := ""
		if e.Value != nil {
			value = *e.Value
		}
		if e.Kind == "command" {
			commands[value] = append(commands[value], e.Index)
		}
		fmt.Fprintf(&text, "%d %d %s %s %s\n", e.Index, e.Term, e.Kind, e.Key, value)
		if e.Index >= upTo {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		return nil, nil, err
	}
	return commands, text.Bytes(), nil
}

// freePorts finds UDP ports that nobody uses at present, once it is sure that
// this machine can talk to itself at all.
func freePorts(n int) ([]int, error) {
	probe, err := net.Dial("udp", "127.0.0.1:9")
	if err != nil {
		return nil, fmt.Errorf("this machine cannot even reach itself: bring up its loopback interface (ip link set lo up): %w", err)
	}
	probe.Close()
	var ports []int
	for range n {
		c, err := net.ListenUDP("udp", nil)
		if err != nil {
			return nil, fmt.Errorf("find a free port: %w", err)
		}
		defer c.Close()
		ports = append(ports, c.LocalAddr().(*net.UDPAddr).Port)
	}
	return ports, nil
}

// cleanUp ends what still runs and removes what was written.
func (d *demo) cleanUp() error {
	var errs []error
	for _, a := range d.agents {
		if a.cmd != nil {
			errs = append(errs, a.kill())
		}
		a.client.Close()
	}
	if d.dir != "" {
		errs = append(errs, os.RemoveAll(d.dir))
	}
	return errors.Join(errs...)
}

// shownLogLines is how much of each agent's log a failed demonstration shows.
const shownLogLines = 20

// showLogs shows the end of what the agents logged.
func (d *demo) showLogs(to io.Writer) {
	for _, a := range d.agents {
		text, err := os.ReadFile(a.logPath)
		if err != nil {
			continue
		}
		lines := bytes.Split(bytes.TrimSpace(text), []byte("\n"))
		fmt.Fprintf(to, "-- the end of the log of %s:\n", a.name)
		for _, line := range lines[max(0, len(lines)-shownLogLines):] {
			fmt.Fprintf(to, "%s\n", show.Printable(string(line)))
		}
	}
}
