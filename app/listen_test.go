package app

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestListenMakesDirectoryAndMode(t *testing.T) {
	old := syscall.Umask(0) // the least careful
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "run", "edgeraft", "s")
	l, err := Listen(path, "no-such-group")
	if err != nil {
		t.Fatal(err)
	}
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o660 {
		t.Errorf("mode %v", info.Mode())
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
	if _, err := os.Lstat(path); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("after closing: %v", err)
	}
}

func TestTheSocketIsNeverOpenToOthers(t *testing.T) {
	old := syscall.Umask(0)
	defer syscall.Umask(old)
	path := filepath.Join(t.TempDir(), "s")
	l, err := bind(path)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	info, err := os.Lstat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != fs.ModeSocket|0o600 {
		t.Errorf("mode %v as soon as it is there", info.Mode())
	}
}

func TestListenRemovesOnlyWhatIsStale(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	first, err := Listen(path, "")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, ""); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), path) {
		t.Errorf("while it is served: %v", err)
	}
	if conn, err := net.Dial("unix", path); err != nil {
		t.Errorf("afterwards the first does not answer: %v", err)
	} else {
		conn.Close()
	}
	first.(*net.UnixListener).SetUnlinkOnClose(false) // as after a crash
	first.Close()
	second, err := Listen(path, "")
	if err != nil {
		t.Fatalf("over a stale socket: %v", err)
	}
	second.Close()

	if err := os.WriteFile(path, []byte("precious"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Listen(path, ""); err == nil || !strings.Contains(err.Error(), "not a socket") {
		t.Errorf("over a file: %v", err)
	}
	if b, err := os.ReadFile(path); err != nil || string(b) != "precious" {
		t.Errorf("the file: %q, %v", b, err)
	}
}

// Of agents that start at once on a stale socket, one gets it and keeps it. The
// moment in which they could rob each other is short: hence the rounds.
func TestListenAtOnce(t *testing.T) {
	for range 100 {
		path := filepath.Join(t.TempDir(), "s")
		stale, err := Listen(path, "")
		if err != nil {
			t.Fatal(err)
		}
		stale.(*net.UnixListener).SetUnlinkOnClose(false)
		stale.Close()
		listeners := make(chan net.Listener, 4)
		start := make(chan struct{})
		var wg sync.WaitGroup
		for range cap(listeners) {
			wg.Go(func() {
				<-start
				l, err := Listen(path, "")
				if err == nil {
					listeners <- l
				} else if !errors.Is(err, ErrInUse) {
					t.Error(err)
				}
			})
		}
		close(start)
		wg.Wait()
		n := len(listeners)
		for range n {
			(<-listeners).Close()
		}
		if n != 1 {
			t.Fatalf("%d got the socket", n)
		}
	}
}

// The database locks its directory for as long as the agent runs, and another
// user may lock any directory that they may read. Neither must hold the agent up.
func TestListenInALockedDirectory(t *testing.T) {
	dir := t.TempDir()
	f, err := os.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	l, err := Listen(filepath.Join(dir, "s"), "")
	if err != nil {
		t.Fatal(err)
	}
	names, err := os.ReadDir(dir)
	if err != nil || len(names) != 1 {
		t.Errorf("beside the socket there is something: %v, %v", names, err)
	}
	if err := l.Close(); err != nil {
		t.Error(err)
	}
}

// A lock that is never given back is an error, and not waited for without end.
func TestListenWhereTheLockIsHeld(t *testing.T) {
	path := filepath.Join(t.TempDir(), "s")
	unlock, err := lock(path)
	if err != nil {
		t.Fatal(err)
	}
	defer unlock()
	if _, err := Listen(path, ""); !errors.Is(err, ErrInUse) || !strings.Contains(err.Error(), ".lock") {
		t.Errorf("%v", err)
	}
}

func TestListenRefusesALongPath(t *testing.T) {
	for _, c := range []struct {
		length int
		ok     bool
	}{{maxSocketPath, true}, {maxSocketPath + 1, false}} {
		dir := t.TempDir()
		if len(dir)+2 > c.length {
			t.Skip("the directory for tests has a long name")
		}
		path := filepath.Join(dir, strings.Repeat("s", c.length-len(dir)-1))
		l, err := Listen(path, "")
		if (err == nil) != c.ok || err != nil && !strings.Contains(err.Error(), "107") {
			t.Errorf("%d bytes: %v", len(path), err)
		}
		if err == nil {
			l.Close()
		}
	}
}
