package lab

import (
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"
)

// outputDelay is how long output is awaited after a process ended.
const outputDelay = 2 * time.Second

// Command says what to run.
type Command struct {
	// Name is how the process is called in logs and failures.
	Name string
	// Args is the program and its arguments.
	Args []string
	// Env is added to the environment of the test, of which settings of the
	// agent and of tests (EDGERAFT_*) are left out.
	Env []string
	// Stdout, when not nil, gets what the process prints, beside its log.
	Stdout io.Writer
}

// Process is a running program. Its methods may be used by any goroutine that
// may use t.
type Process struct {
	t    testing.TB
	name string
	cmd  *exec.Cmd
	log  *tail
	done chan struct{} // closed when it ended
	err  error         // of Wait; to be read after done
}

// Start runs a command on device i. It is killed when the test ends, and the
// end of its output is shown when the test failed.
func (n *Network) Start(i int, c Command) *Process {
	n.t.Helper()
	// The command ip becomes the program, so signals meet the program itself.
	c.Args = append([]string{"ip", "netns", "exec", n.Namespace(i)}, c.Args...)
	return Start(n.t, c)
}

// Start runs a command on the machine of the test, otherwise as Network.Start.
func Start(t testing.TB, c Command) *Process {
	t.Helper()
	p := &Process{t: t, name: c.Name, log: &tail{}, done: make(chan struct{})}
	p.cmd = exec.Command(c.Args[0], c.Args[1:]...)
	p.cmd.Env = append(withoutSettings(os.Environ()), c.Env...)
	p.cmd.Stdout, p.cmd.Stderr = p.log, p.log
	if c.Stdout != nil {
		p.cmd.Stdout = io.MultiWriter(p.log, c.Stdout)
	}
	// A test that is killed takes its processes with it.
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	// A child of its own that holds the output must not hold up the test.
	p.cmd.WaitDelay = outputDelay
	if err := p.cmd.Start(); err != nil {
		t.Fatalf("start %s: %v", c.Name, err)
	}
	go func() {
		p.err = p.cmd.Wait()
		close(p.done)
	}()
	t.Cleanup(func() {
		p.Kill()
		if t.Failed() {
			t.Logf("-- %s (process %d) ended with: %v; the end of its output:\n%s", p.name, p.cmd.Process.Pid, p.err, p.log)
		}
	})
	return p
}

func withoutSettings(env []string) []string {
	return slices.DeleteFunc(slices.Clone(env), func(v string) bool { return strings.HasPrefix(v, "EDGERAFT_") })
}

// Kill ends the process by SIGKILL, whatever it is doing, and waits for that.
func (p *Process) Kill() {
	p.t.Helper()
	p.signal(syscall.SIGKILL)
	<-p.done
}

// Pause stops the process by SIGSTOP, as a machine that hangs.
func (p *Process) Pause() { p.t.Helper(); p.signal(syscall.SIGSTOP) }

// Resume lets a paused process go on.
func (p *Process) Resume() { p.t.Helper(); p.signal(syscall.SIGCONT) }

// Terminate asks the process to end by SIGTERM, and fails the test unless it
// does so with exit code 0 in time.
func (p *Process) Terminate(within time.Duration) {
	p.t.Helper()
	p.signal(syscall.SIGTERM)
	if err := p.Wait(within); err != nil {
		p.t.Errorf("%s after SIGTERM: %v", p.name, err)
	}
}

func (p *Process) signal(s syscall.Signal) {
	p.t.Helper()
	if err := p.cmd.Process.Signal(s); err != nil && !errors.Is(err, os.ErrProcessDone) {
		p.t.Errorf("send %v to %s: %v", s, p.name, err)
	}
}

// Running reports whether the process has not ended.
func (p *Process) Running() bool {
	select {
	case <-p.done:
		return false
	default:
		return true
	}
}

// Wait waits for the end of the process and returns how it ended: nil for exit
// code 0, an *exec.ExitError for others.
func (p *Process) Wait(within time.Duration) error {
	timer := time.NewTimer(within)
	defer timer.Stop()
	select {
	case <-p.done:
		return p.err
	case <-timer.C:
		return fmt.Errorf("%s did not end within %v", p.name, within)
	}
}

// PID is the process's ID.
func (p *Process) PID() int { return p.cmd.Process.Pid }

// Log is the end of what the process printed.
func (p *Process) Log() string { return p.log.String() }
