package boltlog

import (
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"runtime/debug"
	"syscall"
	"time"
	"unicode/utf8"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	databaseName = "log.db"

	// MaxFileSize is the most bytes the database may have; a save beyond it
	// fails. A 32-bit kernel cannot map much more.
	MaxFileSize = 256 << 20

	maxClusterName = 255

	// pageSize is fixed, whatever the kernel's is: a card may move to a board
	// with pages of 16 KiB, and larger pages are larger writes.
	pageSize = 4096

	// lockPatience bounds the wait for bbolt's own lock. The directory's lock
	// is ours by then, so only a foreign tool can hold this one.
	lockPatience = 500 * time.Millisecond
)

// Options are the settings of Open.
type Options struct {
	// ClusterName is the label of the cluster: stored when the database is
	// made, compared ever after. 1 to 255 bytes of UTF-8.
	ClusterName string
}

// Identity is who the device is.
type Identity struct {
	ID raft.NodeID // made at random when the database is
	// Boot is how often the database was opened, this time included; durable
	// before Open returns. Nothing derived from it is ever used twice.
	Boot    uint64
	Cluster string // the cluster's label
}

// Opened is what a database holds when it is opened.
type Opened struct {
	Identity Identity
	Stored   raft.Stored
}

// Open opens the database in dir, and makes both (0700, 0600) where dir has no
// trace of a device. It checks all of the file: the longer the log, the longer
// it takes. The caller closes the Log.
func Open(dir string, opt Options) (*Log, Opened, error) {
	if n := len(opt.ClusterName); n == 0 || n > maxClusterName || !utf8.ValidString(opt.ClusterName) {
		return nil, Opened{}, fmt.Errorf("open the log in %s: %w: the cluster's name must have 1 to %d bytes of UTF-8",
			dir, ErrOptions, maxClusterName)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, Opened{}, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	l, opened, err := openLocked(dir, opt)
	if err != nil {
		return nil, Opened{}, fmt.Errorf("open the log in %s: %w", dir, errors.Join(err, lock.Close()))
	}
	l.lock = lock
	return l, opened, nil
}

// lockDir makes dir where it is missing and locks it, until the file it
// returns is closed. It is the directory that is locked, not the database, so
// that two agents cannot both make one.
func lockDir(dir string) (*os.File, error) {
	if _, err := os.Stat(dir); errors.Is(err, fs.ErrNotExist) {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			return nil, err
		}
		if err := syncDir(filepath.Dir(dir)); err != nil {
			return nil, err
		}
	}
	f, err := os.Open(dir)
	if err != nil {
		return nil, err
	}
	if err := syscall.Flock(int(f.Fd()), syscall.LOCK_EX|syscall.LOCK_NB); err != nil {
		if errors.Is(err, syscall.EWOULDBLOCK) {
			err = ErrInUse
		}
		return nil, errors.Join(err, f.Close())
	}
	return f, nil
}

func openLocked(dir string, opt Options) (*Log, Opened, error) {
	known, err := readIdentity(dir)
	if err != nil {
		return nil, Opened{}, err
	}
	path := filepath.Join(dir, databaseName)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && known.exists:
		return nil, Opened{}, fmt.Errorf("%w: its ID was %q", ErrLostDatabase, known.ID)
	case errors.Is(err, fs.ErrNotExist):
		if err := create(dir, opt.ClusterName); err != nil {
			return nil, Opened{}, fmt.Errorf("make the database: %w", err)
		}
	case err != nil:
		return nil, Opened{}, err
	case info.Size() == 0 && known.exists:
		return nil, Opened{}, fmt.Errorf("%w: %s is empty; its ID was %q", ErrLostDatabase, databaseName, known.ID)
	}
	l, err := openFile(path)
	if err != nil {
		return nil, Opened{}, err
	}
	opened, err := l.begin(dir, opt, known)
	if err != nil {
		if !errors.Is(err, errPanicked) {
			err = errors.Join(err, l.db.Close())
		}
		return nil, Opened{}, errors.Join(err, closeAgain(l.file))
	}
	return l, opened, nil
}

// openFile checks the file, then hands it to bbolt.
func openFile(path string) (*Log, error) {
	f, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	// After a failed sync the page cache may hold what the device does not.
	// This drops it; a file system that cannot is no worse off than before.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	if err := verify(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	var db *bolt.DB
	err = guard("open", func() (err error) {
		db, err = bolt.Open(path, 0o600, boltOptions(f))
		return err
	})
	if errors.Is(err, bolterrors.ErrTimeout) {
		err = ErrInUse
	}
	if err != nil {
		return nil, errors.Join(err, closeAgain(f))
	}
	return &Log{db: db, file: f}, nil
}

func boltOptions(f *os.File) *bolt.Options {
	return &bolt.Options{
		Timeout:        lockPatience,
		PageSize:       pageSize,
		MaxSize:        MaxFileSize,
		NoFreelistSync: true, // a page less in every save; verify reads the tree anyway
		FreelistType:   bolt.FreelistArrayType,
		NoStatistics:   true,
		OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	}
}

// begin reads what is stored, sees that it belongs here, and counts the boot.
func (l *Log) begin(dir string, opt Options, known identityFile) (Opened, error) {
	// After a crash the page cache may show a commit that is not on the device
	// yet. bbolt would reuse the pages it freed, and write them in any order
	// with it: this makes the commit durable first.
	if err := l.db.Sync(); err != nil {
		return Opened{}, err
	}
	var c content
	err := guard("read", func() error { return l.db.View(c.read) })
	if err != nil {
		return Opened{}, err
	}
	if known.valid && known.ID != c.device.ID {
		return Opened{}, fmt.Errorf("%w: %s and %s", ErrOtherDevice, c.device.ID, known.ID)
	}
	if c.device.Cluster != opt.ClusterName {
		return Opened{}, fmt.Errorf("%w: to %q, and the setting is %q", ErrOtherCluster, c.device.Cluster, opt.ClusterName)
	}
	if !known.valid {
		// A power cut between the two files, or damage: the database knows.
		if err := writeIdentity(dir, c.device); err != nil {
			return Opened{}, err
		}
	}
	if c.device.Boot == math.MaxUint64 {
		return Opened{}, fmt.Errorf("%w: its boot counter is at its end", ErrDamaged)
	}
	c.device.Boot++
	// Twice, so that both meta pages lead to this boot: with one of them damaged
	// bbolt goes back by a transaction, and the boot would be used again.
	for range 2 {
		if err := guard("count the boot", func() error { return l.db.Update(c.device.put) }); err != nil {
			return Opened{}, err
		}
	}
	l.last = c.last()
	return Opened{
		Identity: Identity{ID: c.device.ID, Boot: c.device.Boot, Cluster: c.device.Cluster},
		Stored:   c.stored,
	}, nil
}

// errPanicked marks what guard made of a panic.
var errPanicked = errors.New("the database code stopped")

// guard runs f, and makes an error of a panic or a memory fault in it: bbolt
// panics over damaged pages, and faults where the card cannot be read.
func guard(what string, f func() error) (err error) {
	defer debug.SetPanicOnFault(debug.SetPanicOnFault(true))
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%s: %w: %w: %v", what, ErrDamaged, errPanicked, p)
		}
	}()
	return f()
}

// closeAgain closes f unless bbolt already did.
func closeAgain(f *os.File) error {
	if err := f.Close(); !errors.Is(err, os.ErrClosed) {
		return err
	}
	return nil
}
