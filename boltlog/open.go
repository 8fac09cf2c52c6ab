package boltlog

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
	"time"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	databaseName = "log.db"

	// MaxFileSize is the most bytes the database may have; a save beyond it
	// fails. A 32-bit kernel cannot map much more.
	MaxFileSize = 256 << 20
	// DefaultRingSize is Options.RingSize where that is 0: at one entry a save a
	// transaction every 63 saves, which is 5 % of what is written. Four times as
	// much would save 3 % more.
	DefaultRingSize = 256 << 10
	// DefaultPreallocation is Options.Preallocate where that is 0: the ring, a log
	// of 8 MiB, after which the agent takes a snapshot, and a state of some MiB,
	// twice while it is replaced. It is two seconds of a slow card, once.
	DefaultPreallocation = 16 << 20

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
	// made, compared ever after, except that a device which is Blank may get
	// another. 1 to 255 bytes of UTF-8.
	ClusterName string
	// RingSize is the size of the ring in bytes, with the place for the boot; 0:
	// DefaultRingSize. Whole pages of 4096 bytes, 4 to 1024 of them. A database
	// keeps the one it was made with.
	RingSize int
	// Preallocate is the size of the file that is made, in bytes; 0:
	// DefaultPreallocation. At least the ring and 64 KiB. What a log needs beyond
	// it is added, at a price, and counted in Stats.Growths.
	Preallocate int

	tap   tap
	clock clock // nil: the real one
}

// minFile is what a file must have beside the ring.
const minFile = 64 << 10

// complete fills in defaults. The error is ErrOptions.
func (o *Options) complete() error {
	if n := len(o.ClusterName); n == 0 || n > maxClusterName || !utf8.ValidString(o.ClusterName) {
		return fmt.Errorf("%w: the cluster's name must have 1 to %d bytes of UTF-8", ErrOptions, maxClusterName)
	}
	if o.RingSize == 0 {
		o.RingSize = DefaultRingSize
	}
	if o.Preallocate == 0 {
		o.Preallocate = DefaultPreallocation
	}
	if o.RingSize%pageSize != 0 || o.slots() < minSlots || o.slots() > maxSlots {
		return fmt.Errorf("%w: a ring of %d bytes; it must be %d to %d pages of %d", ErrOptions, o.RingSize, minSlots, maxSlots, pageSize)
	}
	if o.Preallocate%pageSize != 0 || o.Preallocate < o.RingSize+minFile || o.Preallocate > MaxFileSize {
		return fmt.Errorf("%w: a file of %d bytes; it must be pages of %d, and %d to %d bytes",
			ErrOptions, o.Preallocate, pageSize, o.RingSize+minFile, MaxFileSize)
	}
	return nil
}

func (o *Options) slots() int { return o.RingSize / sectorSize }

// Identity is who the device is.
type Identity struct {
	ID raft.NodeID // made at random when the database is
	// Boot is higher each time that the database is opened; durable before Open
	// returns. Nothing derived from it is ever used twice.
	Boot    uint64
	Cluster string // the cluster's label
	// Replaces is who the device was before it lost its storage, oldest first: see
	// Replace.
	Replaces []raft.NodeID
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
	if err := opt.complete(); err != nil {
		return nil, Opened{}, fmt.Errorf("open the log in %s: %w", dir, err)
	}
	lock, err := lockDir(dir)
	if err != nil {
		return nil, Opened{}, fmt.Errorf("open the log in %s: %w", dir, explained(err))
	}
	l, opened, err := openLocked(dir, opt)
	if err != nil {
		return nil, Opened{}, fmt.Errorf("open the log in %s: %w", dir, errors.Join(explained(err), lock.Close()))
	}
	l.lock = lock
	return l, opened, nil
}

// lockDir makes dir where it is missing and locks it, until the file it
// returns is closed. It is the directory that is locked, not the database, so
// that two agents cannot both make one.
func lockDir(dir string) (*os.File, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, err
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
	path, count := filepath.Join(dir, databaseName), new(counters)
	switch info, err := os.Stat(path); {
	case errors.Is(err, fs.ErrNotExist) && known.exists:
		return nil, Opened{}, fmt.Errorf("%w: its ID was %q", ErrLostDatabase, known.ID)
	case errors.Is(err, fs.ErrNotExist):
		id, err := newID()
		if err == nil {
			err = create(dir, id, opt, count)
		}
		if err != nil {
			return nil, Opened{}, fmt.Errorf("make the database: %w", err)
		}
	case err != nil:
		return nil, Opened{}, err
	case info.Size() == 0 && known.exists:
		return nil, Opened{}, fmt.Errorf("%w: %s is empty; its ID was %q", ErrLostDatabase, databaseName, known.ID)
	}
	l, err := openFile(path, opt.tap, count)
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
