package main

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/internal/need"
)

// envAsProgram has this test binary be edgeraft.
const envAsProgram = "EDGERAFT_TEST_AS_PROGRAM"

func TestMain(m *testing.M) {
	if os.Getenv(envAsProgram) != "" {
		main()
	}
	os.Exit(m.Run())
}

// terminal is a process on a terminal of its own.
type terminal struct {
	t      *testing.T
	cmd    *exec.Cmd
	master *os.File
	read   chan struct{} // nobody has the terminal any more
	ended  chan struct{} // the process has

	mu    sync.Mutex
	shown bytes.Buffer
}

// onTerminal runs a command line with a new terminal as its controlling one.
func onTerminal(t *testing.T, env []string, args ...string) *terminal {
	t.Helper()
	master, err := os.OpenFile("/dev/ptmx", os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		need.Skip(t, "there are no terminals here: %v", err)
	}
	t.Cleanup(func() { _ = master.Close() })
	conn, err := master.SyscallConn() // Fd would let no Close end a Read
	if err != nil {
		t.Fatal(err)
	}
	number := 0
	var failed error
	if err := conn.Control(func(fd uintptr) {
		if failed = unix.IoctlSetPointerInt(int(fd), unix.TIOCSPTLCK, 0); failed == nil {
			number, failed = unix.IoctlGetInt(int(fd), unix.TIOCGPTN)
		}
	}); err != nil || failed != nil {
		t.Fatal(err, failed)
	}
	slave, err := os.OpenFile("/dev/pts/"+strconv.Itoa(number), os.O_RDWR|unix.O_NOCTTY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer slave.Close()
	p := &terminal{t: t, master: master, read: make(chan struct{}), ended: make(chan struct{}), cmd: exec.Command(os.Args[0], args...)}
	p.cmd.Env = append(env, envAsProgram+"=1", "HOME="+t.TempDir(), "EDGERAFT_CONFIG="+os.DevNull)
	p.cmd.Stdin, p.cmd.Stdout, p.cmd.Stderr = slave, slave, slave
	p.cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true, Setctty: true}
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = p.cmd.Process.Kill() })
	go p.watch()
	go func() {
		_ = p.cmd.Wait() // ProcessState tells
		close(p.ended)
	}()
	return p
}

// watch collects what is shown until all who have the terminal are gone.
func (p *terminal) watch() {
	defer close(p.read)
	b := make([]byte, 4096)
	for {
		n, err := p.master.Read(b)
		p.mu.Lock()
		p.shown.Write(b[:n])
		p.mu.Unlock()
		if err != nil {
			return
		}
	}
}

func (p *terminal) screen() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.shown.String()
}

// await waits until a text is shown.
func (p *terminal) await(text string) {
	p.t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !strings.Contains(p.screen(), text); {
		if time.Now().After(deadline) {
			p.t.Fatalf("%q is not shown: %s", text, p.screen())
		}
		<-time.After(5 * time.Millisecond)
	}
}

func (p *terminal) keys(text string) {
	p.t.Helper()
	if _, err := io.WriteString(p.master, text); err != nil {
		p.t.Fatal(err)
	}
}

// end waits for the end of the process, and returns how it ended.
func (p *terminal) end() int {
	p.t.Helper()
	late := time.After(30 * time.Second)
	for _, done := range []chan struct{}{p.ended, p.read} {
		select {
		case <-done:
		case <-late:
			p.t.Fatalf("it goes on: %s", p.screen())
		}
	}
	return p.cmd.ProcessState.ExitCode()
}

// dangerous are the commands that ask, what they want typed, and the request to the
// agent that carries them out.
func dangerous(t *testing.T) []struct {
	args          []string
	word, request string
} {
	before, after, _, err := backup.Encode(backup.Header{Cluster: "default", ClusterID: lostCluster, Index: 3, Term: 1}, []byte("state"))
	if err != nil {
		t.Fatal(err)
	}
	file := t.TempDir() + "/state.backup"
	if err := os.WriteFile(file, slices.Concat(before, []byte("state"), after), 0o600); err != nil {
		t.Fatal(err)
	}
	return []struct {
		args          []string
		word, request string
	}{
		{[]string{"recover"}, "recover default", "POST /v1/recover"},
		{[]string{"restore", file}, "restore", "POST /v1/restore"},
		{[]string{"join", "--as-new"}, "as new", "POST /v1/join"},
	}
}

const lostCluster = "f6c4f1a2-0d3b-4b5a-8f0e-0123456789ab"

// survivorAgent is an agent without a leader.
func survivorAgent(t *testing.T) *fakeAgent {
	done := `{"cluster_id":"` + lostCluster + `","was_cluster_id":"` + lostCluster + `","kept_as":"kept","index":9,"keys":1}`
	return serveFake(t, "", func(w http.ResponseWriter, r *http.Request) {
		answers(map[string]string{
			"GET /v1/status": `{"node":{"id":"aaaaaaaaaaaaaaaa","name":"attic","last":5,"last_term":2,"commit":4},"state":{"keys":3},
				"cluster":{"name":"default","id":"` + lostCluster + `"},
				"members":[{"id":"aaaaaaaaaaaaaaaa","role":"voter","self":true},{"id":"bbbbbbbbbbbbbbbb","role":"voter"}]}`,
			"POST " + r.URL.RequestURI(): done,
		})(w, r)
	})
}

// carriedOut reports whether the agent was asked to do it.
func carriedOut(a *fakeAgent, request string) bool {
	return slices.ContainsFunc(a.seen(), func(line string) bool { return strings.HasPrefix(line, request) })
}

func TestWhatIsTypedAtATerminal(t *testing.T) {
	for _, c := range dangerous(t) {
		t.Run(c.args[0], func(t *testing.T) {
			for _, typed := range []struct {
				name, keys string
				goesOn     bool
				code       int
				says       string
			}{
				{"the word", c.word + "\n", true, exitDone, ""},
				{"the word between blanks", "  " + c.word + " \n", true, exitDone, ""},
				{"another word", "yes\n", false, exitNo, "nothing was changed"},
				{"nothing but Enter", "\n", false, exitNo, "nothing was changed"},
				{"more than the word", c.word + " please\n", false, exitNo, "nothing was changed"},
				{"in capitals", strings.ToUpper(c.word) + "\n", false, exitNo, "nothing was changed"},
				{"Ctrl-D", "\x04", false, exitNo, "nothing was changed"},
				{"the word, and Ctrl-D without Enter", c.word + "\x04\x04", false, exitNo, "nothing was changed"},
				{"Ctrl-C", "\x03", false, exitNo, "nothing was changed"},
				{"the word, and Ctrl-C without Enter", c.word + "\x03", false, exitNo, "nothing was changed"},
			} {
				a := survivorAgent(t)
				p := onTerminal(t, []string{"EDGERAFT_SOCKET=" + a.socket}, c.args...)
				p.await(fmt.Sprintf("Type %q to go on", c.word))
				if carriedOut(a, c.request) {
					t.Fatalf("%s: it did not wait for the answer", typed.name)
				}
				p.keys(typed.keys)
				if code := p.end(); code != typed.code || !strings.Contains(p.screen(), typed.says) {
					t.Errorf("%s: exit code %d, want %d: %s", typed.name, code, typed.code, p.screen())
				}
				if got := carriedOut(a, c.request); got != typed.goesOn {
					t.Errorf("%s: carried out is %v: %q", typed.name, got, a.seen())
				}
			}
		})
	}
}

// A terminal that goes away is no consent.
func TestATerminalThatIsClosed(t *testing.T) {
	for _, c := range dangerous(t) {
		a := survivorAgent(t)
		p := onTerminal(t, []string{"EDGERAFT_SOCKET=" + a.socket}, c.args...)
		p.await("to go on")
		p.keys(c.word)
		if err := p.master.Close(); err != nil {
			t.Fatal(err)
		}
		if p.end() == exitDone || carriedOut(a, c.request) {
			t.Errorf("%q: %q", c.args, a.seen())
		}
	}
}

// Without a terminal nobody is asked, and nothing is done without --yes; also where
// standard input is /dev/null, as for a service.
func TestNothingIsDoneWithoutATerminal(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for _, c := range dangerous(t) {
		for name, stdin := range map[string]io.Reader{"a pipe with the word": strings.NewReader(c.word + "\n"), "/dev/null": null, "closed": nil} {
			a := survivorAgent(t)
			cmd := exec.Command(os.Args[0], c.args...)
			cmd.Env = []string{envAsProgram + "=1", "HOME=" + t.TempDir(), "EDGERAFT_CONFIG=" + os.DevNull, "EDGERAFT_SOCKET=" + a.socket}
			cmd.Stdin = stdin
			out, _ := cmd.CombinedOutput()
			if code := cmd.ProcessState.ExitCode(); code != exitUsage || !strings.Contains(string(out), "no terminal, so nothing was changed; --yes") {
				t.Errorf("%q from %s: exit code %d: %s", c.args, name, code, out)
			}
			if carriedOut(a, c.request) {
				t.Errorf("%q from %s: carried out", c.args, name)
			}
		}
	}
}
