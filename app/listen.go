package app

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"syscall"
	"time"
)

// maxSocketPath is what fits into a socket's address on Linux (unix(7):
// sun_path of 108 bytes, with its NUL).
const maxSocketPath = 107

// probeTimeout bounds how long an agent that may hold the socket is waited
// for. A full queue counts as an answer: somebody holds it.
const probeTimeout = 2 * time.Second

// ErrInUse: another process serves the socket.
var ErrInUse = errors.New("another agent is serving this socket")

// Listen makes the agent's Unix socket, with mode 0660 and, where there is
// such a group and this process may give it, the group's. It makes the
// directory if that is missing, and removes a socket that a dead agent left,
// but never one that somebody answers on, nor a file of another kind.
func Listen(path, group string) (net.Listener, error) {
	l, err := listen(path, group)
	if err != nil {
		return nil, fmt.Errorf("making the socket %s: %w", path, err)
	}
	return l, nil
}

func listen(path, group string) (net.Listener, error) {
	path, err := filepath.Abs(path) // a name that begins with @ would be no file
	if err != nil {
		return nil, err
	}
	if len(path) > maxSocketPath {
		return nil, fmt.Errorf("its path has %d bytes and may have %d; choose a shorter one (socket, --socket)", len(path), maxSocketPath)
	}
	dir := filepath.Dir(path)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return nil, fmt.Errorf("making its directory: %w", err)
	}
	unlock, err := lock(path)
	if err != nil {
		return nil, err
	}
	defer unlock()
	if err := removeStale(path); err != nil {
		return nil, err
	}
	l, err := bind(path)
	if err != nil {
		return nil, err
	}
	if err := share(path, group); err != nil {
		return nil, errors.Join(err, l.Close())
	}
	return l, nil
}

// bind makes the socket for its owner alone. It takes its mode from its
// descriptor (Linux, unix_bind), so it is never open to others, whatever the
// umask, which belongs to the whole process and is left alone.
func bind(path string) (net.Listener, error) {
	config := net.ListenConfig{Control: func(_, _ string, c syscall.RawConn) error {
		var chmod error
		err := c.Control(func(fd uintptr) { chmod = syscall.Fchmod(int(fd), 0o600) })
		return errors.Join(err, chmod)
	}}
	return config.Listen(context.Background(), "unix", path)
}

// lock keeps two agents that start at once from each removing the other's
// socket as stale. It is a file beside the socket, held for moments only and
// then removed. (The directory itself will not do: the database locks its own
// for as long as the agent runs, and the socket may be in it.)
func lock(path string) (unlock func(), err error) {
	name := path + ".lock"
	timeout := time.NewTimer(probeTimeout)
	defer timeout.Stop()
	again := time.NewTicker(10 * time.Millisecond)
	defer again.Stop()
	for {
		f, err := os.OpenFile(name, os.O_RDONLY|os.O_CREATE|syscall.O_NOFOLLOW|syscall.O_NONBLOCK, 0o600)
		if err != nil {
			return nil, fmt.Errorf("locking it: %w", err)
		}
		err = syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB)
		if err == nil && isFile(f, name) {
			return func() { _, _ = os.Remove(name), f.Close() }, nil
		}
		f.Close()
		if err != nil && !errors.Is(err, syscall.EWOULDBLOCK) {
			return nil, fmt.Errorf("locking it: %w", err)
		}
		select {
		case <-again.C:
		case <-timeout.C:
			return nil, fmt.Errorf("%w: it has held %s for %v; stop it, or choose another path (socket, --socket)", ErrInUse, name, probeTimeout)
		}
	}
}

// isFile reports whether f is still what the name leads to: who had the lock
// before may have removed it in between.
func isFile(f *os.File, name string) bool {
	held, err := f.Stat()
	if err != nil {
		return false
	}
	named, err := os.Lstat(name)
	return err == nil && os.SameFile(held, named)
}

func removeStale(path string) error {
	info, err := os.Lstat(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	if info.Mode().Type() != fs.ModeSocket {
		return errors.New("there is a file of that name that is not a socket; remove it, or choose another path (socket, --socket)")
	}
	conn, err := net.DialTimeout("unix", path, probeTimeout)
	switch {
	case err == nil:
		return errors.Join(fmt.Errorf("%w; stop it, or choose another path (socket, --socket)", ErrInUse), conn.Close())
	case errors.Is(err, syscall.ECONNREFUSED):
		return os.Remove(path)
	case errors.Is(err, fs.ErrNotExist):
		return nil
	}
	return fmt.Errorf("%w, or does not answer: %w", ErrInUse, err)
}

// share opens the socket to its group. That the group is missing, or may not
// be given away, is ordinary for a user who runs an agent of their own: the
// socket then stays with the user's group.
func share(path, group string) error {
	if g, err := user.LookupGroup(group); err == nil {
		if gid, err := strconv.Atoi(g.Gid); err == nil {
			if err := os.Lchown(path, -1, gid); err != nil && !errors.Is(err, fs.ErrPermission) {
				return err
			}
		}
	}
	return os.Chmod(path, 0o660)
}

// boundedListener accepts no more while limit connections are open; further
// ones wait in the socket's queue, where they cost this process nothing.
type boundedListener struct {
	net.Listener
	slots  chan struct{}
	closed chan struct{}
	once   sync.Once
}

func bound(l net.Listener, limit int) net.Listener {
	return &boundedListener{Listener: l, slots: make(chan struct{}, limit), closed: make(chan struct{})}
}

func (l *boundedListener) Accept() (net.Conn, error) {
	select {
	case l.slots <- struct{}{}:
	case <-l.closed:
		return nil, net.ErrClosed
	}
	conn, err := l.Listener.Accept()
	if err != nil {
		<-l.slots
		return nil, err
	}
	return &boundedConn{Conn: conn, release: func() { <-l.slots }}, nil
}

func (l *boundedListener) Close() error {
	l.once.Do(func() { close(l.closed) })
	return l.Listener.Close()
}

type boundedConn struct {
	net.Conn
	release func()
	once    sync.Once
}

func (c *boundedConn) Close() error {
	err := c.Conn.Close()
	c.once.Do(c.release)
	return err
}

// CloseWrite lets net/http end an answer to a request it has not read to its
// end without the kernel throwing that answer away.
func (c *boundedConn) CloseWrite() error {
	if half, ok := c.Conn.(interface{ CloseWrite() error }); ok {
		return half.CloseWrite()
	}
	return c.Conn.Close()
}
