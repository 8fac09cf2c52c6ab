package doctor

import (
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

const (
	// maxText bounds what is read of a file of the system, maxOutput what is taken
	// of a command, in bytes.
	maxText   = 1 << 20
	maxOutput = 4 << 20
	// maxEntries bounds the entries looked at in one directory.
	maxEntries = 4096
)

// host is where facts come from.
type host struct {
	root string // what stands for /
	uid  int    // the user who asks, effectively
	// run runs a command and returns what it prints. That there is no such command
	// is exec.ErrNotFound.
	run func(ctx context.Context, name string, args ...string) (string, error)
}

func thisHost() host { return host{root: "/", uid: os.Geteuid(), run: run} }

func (h host) path(name string) string { return filepath.Join(h.root, name) }

// read returns a text of the system, with the space around it cut off.
func (h host) read(name string) (string, error) {
	f, err := os.Open(h.path(name))
	if err != nil {
		return "", err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxText))
	return strings.TrimSpace(string(b)), err
}

func (h host) exists(name string) bool {
	_, err := os.Stat(h.path(name))
	return err == nil
}

// list returns the names in a directory.
func (h host) list(name string) []string {
	f, err := os.Open(h.path(name))
	if err != nil {
		return nil
	}
	defer f.Close()
	names, _ := f.Readdirnames(maxEntries) // what could be read is what there is to look at
	return names
}

// run finds a command also where only root looks for it.
func run(ctx context.Context, name string, args ...string) (string, error) {
	path, err := exec.LookPath(name)
	for _, dir := range []string{"/usr/sbin", "/sbin", "/usr/local/sbin"} {
		if err != nil {
			path, err = exec.LookPath(filepath.Join(dir, name))
		}
	}
	if err != nil {
		return "", exec.ErrNotFound
	}
	cmd := exec.CommandContext(ctx, path, args...)
	cmd.Env = append(os.Environ(), "LC_ALL=C")
	out, err := cmd.StdoutPipe()
	if err != nil {
		return "", err
	}
	if err := cmd.Start(); err != nil {
		return "", err
	}
	text, err := io.ReadAll(io.LimitReader(out, maxOutput+1))
	if len(text) > maxOutput {
		_ = cmd.Process.Kill()
		err = errors.New("it prints too much")
	}
	return string(text), errors.Join(err, cmd.Wait())
}
