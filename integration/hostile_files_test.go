package integration

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// Exit codes of the command line, as its help states them.
const (
	exitNo    = 1
	exitUsage = 2
)

// newLoneAgent prepares an agent that keeps to itself, so that it needs no
// network and no rights.
func newLoneAgent(t *testing.T, settings ...string) *agent {
	t.Helper()
	return newAgent(t, nil, 1, append([]string{"EDGERAFT_DISCOVERY=off", "EDGERAFT_UDP_LISTEN=127.0.0.1:0"}, settings...)...)
}

func (a *agent) path(name string) string { return filepath.Join(a.dir, name) }

// startAlone starts the agent outside any lab.
func (a *agent) startAlone() {
	a.t.Helper()
	a.proc = lab.Start(a.t, lab.Command{Name: "the agent", Args: append(program, "run"), Env: a.env})
	lab.Eventually(a.t, "the agent answers", 10*time.Second*slowness, func() error {
		_, err := a.status()
		return err
	})
}

// refuses holds that the agent does not start, with this exit code, and says
// why and what to do in words that hold each of want.
func (a *agent) refuses(code int, want ...string) {
	a.t.Helper()
	a.fails([]string{"run"}, code, want...)
}

// fails is refuses for any command.
func (a *agent) fails(args []string, code int, want ...string) {
	a.t.Helper()
	_, err := a.cli("", args...)
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != code {
		a.t.Errorf("want exit code %d, got: %v", code, err)
		return
	}
	said := err.Error()
	for _, w := range want {
		if !strings.Contains(said, w) {
			a.t.Errorf("want %q in: %s", w, said)
		}
	}
	if strings.Contains(said, "goroutine ") || strings.Contains(said, "panic") || len(said) > 8<<10 {
		a.t.Errorf("that is no message for people: %.8000s", said)
	}
}

func TestBadConfiguration(t *testing.T) {
	for name, c := range map[string]struct {
		text string
		want []string
	}{
		"an unknown key":     {"name = \"a\"\ndata_dri = \"/x\"\n", []string{"line 2", "data_dri", "data_dir"}},
		"an unknown table":   {"[nothing]\nx = 1\n", []string{"nothing"}},
		"a wrong type":       {"\n\nmax_voters = \"five\"\n", []string{"line 3", "max_voters", "wrong type"}},
		"a wrong type below": {"[udp]\nlisten = 7521\n", []string{"line 2", "udp.listen", "wrong type"}},
		"a bad value":        {"max_voters = 4\n", []string{"max_voters", "odd"}},
		"no TOML":            {"name: a\n", []string{"line 1"}},
		"a binary":           {"\x7fELF\x02\x01\x01\x00\x00\xff\xfe", []string{"edgeraft.toml"}},
		"a huge file":        {strings.Repeat("# long\n", 1<<20), []string{"larger than"}},
		"deep nesting":       {"name = " + strings.Repeat("[", 30000), []string{"edgeraft.toml"}},
		"many problems":      {strings.Repeat("x", 10) + " = 1\n" + manyKeys(2000), []string{"more"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newLoneAgent(t)
			if err := os.WriteFile(a.path("edgeraft.toml"), []byte(c.text), 0o600); err != nil {
				t.Fatal(err)
			}
			a.refuses(exitUsage, c.want...)
			if _, err := os.Stat(a.path("data")); err == nil {
				t.Error("it made a data directory all the same")
			}
		})
	}
	t.Run("a directory", func(t *testing.T) {
		a := newLoneAgent(t, "EDGERAFT_CONFIG="+t.TempDir())
		a.refuses(exitUsage, "directory")
	})
	t.Run("no such file", func(t *testing.T) {
		a := newLoneAgent(t, "EDGERAFT_CONFIG=/no/such/file")
		a.refuses(exitUsage, "/no/such/file")
	})
	t.Run("an unknown variable", func(t *testing.T) {
		a := newLoneAgent(t, "EDGERAFT_DATA_DRI=/x")
		a.refuses(exitUsage, "EDGERAFT_DATA_DRI")
	})
}

func manyKeys(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "k%d = 1\n", i)
	}
	return b.String()
}

func TestBadDatabase(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(t *testing.T, database, identity string)
		want  []string
	}{
		// The format is a byte and its complement, under the key "format".
		"a newer format": {change(func(b []byte) []byte {
			return bytes.ReplaceAll(b, []byte("format\x02\xfd"), []byte("format\x03\xfc"))
		}), []string{"format 3", "newer edgeraft"}},
		"the identity of another device": {func(t *testing.T, _, identity string) {
			other := `{"version":1,"id":"zzzzzzzzzzzzzzzz","cluster":"default"}`
			if err := os.WriteFile(identity, []byte(other), 0o600); err != nil {
				t.Fatal(err)
			}
		}, []string{"different devices"}},
	} {
		t.Run(name, func(t *testing.T) {
			a := newLoneAgent(t)
			a.must("init")
			c.spoil(t, a.path("data/log.db"), a.path("data/identity"))
			a.refuses(exitNo, append(c.want, a.path("data"))...)
			a.refuses(exitNo, c.want...) // the first refusal made it no worse, and no better
		})
	}
	t.Run("of another cluster", func(t *testing.T) {
		a := newLoneAgent(t)
		a.must("init")
		a.env = append(a.env, "EDGERAFT_CLUSTER=other")
		a.refuses(exitNo, `"default"`, `"other"`, "another cluster")
	})
	t.Run("without its identity file", func(t *testing.T) {
		a := newLoneAgent(t)
		a.must("init")
		before, err := os.ReadFile(a.path("data/identity"))
		if err != nil {
			t.Fatal(err)
		}
		if err := os.Remove(a.path("data/identity")); err != nil {
			t.Fatal(err)
		}
		a.startAlone()
		if after, err := os.ReadFile(a.path("data/identity")); err != nil || !bytes.Equal(before, after) {
			t.Errorf("the identity was %s and is %s, %v", before, after, err)
		}
	})
	t.Run("a file for a directory", func(t *testing.T) {
		a := newLoneAgent(t)
		if err := os.WriteFile(a.path("data"), []byte("x"), 0o600); err != nil {
			t.Fatal(err)
		}
		a.refuses(exitNo, a.path("data"), "directory")
	})
}

// change spoils the database by changing its bytes.
func change(f func([]byte) []byte) func(*testing.T, string, string) {
	return func(t *testing.T, database, _ string) {
		b, err := os.ReadFile(database)
		if err != nil {
			t.Fatal(err)
		}
		spoilt := f(b)
		if bytes.Equal(spoilt, b) {
			t.Fatal("nothing was spoilt")
		}
		if err := os.WriteFile(database, spoilt, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func TestBadKeyFile(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(path string) error
		want  string
	}{
		"that others may read": {func(path string) error { return os.Chmod(path, 0o644) }, "chmod 600"},
		"that holds noise":     {func(path string) error { return os.WriteFile(path, []byte("\x00\xffnoise"), 0o600) }, "not a valid cluster key"},
		"that is empty":        {func(path string) error { return os.WriteFile(path, nil, 0o600) }, "not a valid cluster key"},
		"that is huge":         {func(path string) error { return os.WriteFile(path, make([]byte, 1<<20), 0o600) }, "not a valid cluster key"},
		"that is a directory":  {func(path string) error { return errors.Join(os.Remove(path), os.Mkdir(path, 0o700)) }, "regular file"},
		"that is a named pipe": {func(path string) error { return errors.Join(os.Remove(path), syscall.Mkfifo(path, 0o600)) }, "regular file"},
	} {
		t.Run(name, func(t *testing.T) {
			a := newLoneAgent(t)
			a.must("init")
			if err := c.spoil(a.path("cluster.key")); err != nil {
				t.Fatal(err)
			}
			a.refuses(exitNo, a.path("cluster.key"), c.want)
		})
	}
}

// Who wants what another agent or program has does not get it, and the other
// goes on.
func TestTwoAgents(t *testing.T) {
	first := newLoneAgent(t)
	first.must("init")
	first.startAlone()
	port, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer port.Close()
	for name, c := range map[string]struct {
		settings []string
		want     string
	}{
		"on one data directory": {[]string{"EDGERAFT_CONFIG=" + first.path("edgeraft.toml")}, "another agent is using this directory"},
		"on one socket":         {[]string{"EDGERAFT_SOCKET=" + first.path("s")}, "another agent is serving this socket"},
		"on one port":           {[]string{"EDGERAFT_UDP_LISTEN=" + port.LocalAddr().String()}, "udp.listen"},
	} {
		t.Run(name, func(t *testing.T) {
			second := newLoneAgent(t)
			second.must("init")
			second.env = append(second.env, c.settings...)
			second.refuses(exitNo, c.want)
			if _, err := first.propose("the first still works"); err != nil {
				t.Error(err)
			}
		})
	}
	first.proc.Terminate(10 * time.Second * slowness)
}

func TestSocketPaths(t *testing.T) {
	const longest = 107 // bytes, unix(7)
	place := func(t *testing.T, length int) *agent {
		dir, err := os.MkdirTemp("", "er") // that of the test may be too long already
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { os.RemoveAll(dir) })
		path := filepath.Join(dir, strings.Repeat("s", length-len(dir)-1))
		return newLoneAgent(t, "EDGERAFT_SOCKET="+path)
	}
	put := func(a *agent) {
		a.proc = lab.Start(a.t, lab.Command{Name: "the agent", Args: append(program, "run"), Env: a.env})
		lab.Eventually(a.t, "the agent commits", 10*time.Second*slowness, func() error {
			_, err := a.cli("", "put", "a", "b")
			return err
		})
	}
	t.Run("the longest", func(t *testing.T) {
		a := place(t, longest)
		a.must("init")
		put(a)
	})
	t.Run("one byte longer", func(t *testing.T) {
		place(t, longest+1).refuses(exitUsage, "107")
	})
	t.Run("in the data directory, and again after a kill", func(t *testing.T) {
		a := newLoneAgent(t)
		a.env = append(a.env, "EDGERAFT_SOCKET="+a.path("data/s"))
		a.must("init")
		put(a)
		a.proc.Kill()
		put(a)
	})
	t.Run("a file in its place", func(t *testing.T) {
		a := newLoneAgent(t)
		if err := os.WriteFile(a.path("s"), []byte("precious"), 0o600); err != nil {
			t.Fatal(err)
		}
		a.refuses(exitNo, "not a socket")
		if b, err := os.ReadFile(a.path("s")); err != nil || string(b) != "precious" {
			t.Errorf("the file is %q now, %v", b, err)
		}
	})
	t.Run("something else answers", func(t *testing.T) {
		a := newLoneAgent(t)
		l, err := net.Listen("unix", a.path("s"))
		if err != nil {
			t.Fatal(err)
		}
		server := &http.Server{Handler: http.NotFoundHandler()}
		defer server.Close()
		go func() { _ = server.Serve(l) }() // it ends with ErrServerClosed
		a.refuses(exitNo, "serving this socket")
		a.fails([]string{"status"}, exitNo, "is the socket an edgeraft agent's?")
	})
}
