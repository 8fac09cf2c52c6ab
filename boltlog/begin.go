package boltlog

import (
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"os"
	"runtime/debug"

	bolt "go.etcd.io/bbolt"
	bolterrors "go.etcd.io/bbolt/errors"
	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/raft"
)

// openFile checks the file, then hands it to bbolt.
func openFile(path string, tap tap, count *counters) (*Log, error) {
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
	return &Log{db: db, file: f, disk: &disk{file: f, db: db, count: count, tap: tap}}, nil
}

func boltOptions(f *os.File) *bolt.Options {
	return &bolt.Options{
		Timeout:        lockPatience,
		PageSize:       pageSize,
		MaxSize:        MaxFileSize,
		NoFreelistSync: true, // a page less in every transaction; verify reads the tree anyway
		FreelistType:   bolt.FreelistArrayType,
		OpenFile:       func(string, int, os.FileMode) (*os.File, error) { return f, nil },
	}
}

// begin reads what is stored, sees that it belongs here, and starts an epoch of
// the ring, in the transaction that counts the boot. No save ever continues what
// an earlier process wrote: of that, a part may not be durable.
func (l *Log) begin(dir string, opt Options, known identityFile) (Opened, error) {
	// After a crash the page cache may show a commit that is not on the device
	// yet. bbolt would reuse the pages it freed, and write them in any order
	// with it: this makes the commit durable first, and the ring too.
	if err := l.disk.sync(); err != nil {
		return Opened{}, err
	}
	if err := l.disk.measure(); err != nil {
		return Opened{}, err
	}
	c, err := l.read()
	if err != nil {
		return Opened{}, err
	}
	if known.valid && known.ID != c.device.ID {
		return Opened{}, fmt.Errorf("%w: %s and %s", ErrOtherDevice, c.device.ID, known.ID)
	}
	if err := l.rename(dir, c, opt.ClusterName, known); err != nil {
		return Opened{}, err
	}
	if c.format == format1 {
		if err := l.convert(c, opt); err != nil {
			return Opened{}, err
		}
		if c, err = l.read(); err != nil {
			return Opened{}, err
		}
	}
	if !known.valid {
		// A power cut between the two files, or damage: the database knows. Its own
		// name may not be durable yet, and must be before that of the identity is:
		// else it would look lost.
		l.disk.count.syncs.Add(1)
		if err := syncDir(dir); err != nil {
			return Opened{}, err
		}
		if err := writeIdentity(dir, identityFile{ID: c.device.ID, Cluster: c.device.Cluster}, l.disk.count); err != nil {
			return Opened{}, err
		}
	}
	l.spending = newSpending(l.disk.count, opt.clock)
	l.spending.resume(c.spent, c.replayed.spent())
	if err := l.startEpoch(c); err != nil {
		return Opened{}, err
	}
	return Opened{
		Identity: Identity{ID: c.device.ID, Boot: c.device.Boot, Cluster: c.device.Cluster, Replaces: known.Replaces},
		Stored:   c.stored,
	}, nil
}

// rename takes over another name of the cluster, where this device belongs to
// none yet and has promised nothing: then the name was only mistyped. The epoch
// that begins stores it.
func (l *Log) rename(dir string, c *content, name string, known identityFile) error {
	if c.device.Cluster == name {
		return nil
	}
	if c.format != format || !Blank(c.stored) {
		return fmt.Errorf("%w: to %q, and the setting is %q", ErrOtherCluster, c.device.Cluster, name)
	}
	c.device.Cluster = name
	if !known.valid { // it will be written
		return nil
	}
	known.Cluster = name
	return writeIdentity(dir, known, l.disk.count)
}

// Blank reports whether a device belongs to no cluster yet, and has promised to
// found none.
func Blank(s raft.Stored) bool {
	return s.State == raft.HardState{} && s.Founding.IsZero() && s.Snapshot == nil && len(s.Entries) == 0
}

// read reads all that is stored, and gets the ring ready for the first seal.
func (l *Log) read() (*content, error) {
	var c content
	err := guard("read", func() error {
		if err := l.db.View(func(tx *bolt.Tx) error { return c.read(tx, &l.ring, l.disk) }); err != nil {
			return err
		}
		if c.format == format {
			all, err := l.ring.read(l.disk)
			if err != nil {
				return err
			}
			if err := l.ring.replay(all, &c, &l.tail); err != nil {
				return err
			}
		}
		return c.check()
	})
	return &c, err
}

// startEpoch counts the boot and makes room in the ring.
func (l *Log) startEpoch(c *content) error {
	if c.device.Boot == math.MaxUint64 {
		return fmt.Errorf("%w: its boot counter is at its end", ErrDamaged)
	}
	c.device.Boot++
	l.stored, l.first, l.last = c.ring, c.ring.First, c.lastEntry()
	l.ring.restart(c.ring.Epoch)
	if err := l.disk.begin(c, l.ring.slots); err != nil {
		return err
	}
	// The number of the boot becomes durable twice, here with the first of the
	// transaction's syncs: with one meta page damaged, bbolt goes back by a
	// transaction, and without this the boot would be used again. What else the
	// transaction does can be done again: the ring still has it, until the first
	// save, whose sector then shows that a transaction is missing.
	if err := l.ring.writeBoot(l.disk, c.ring.Epoch+1, c.device.Boot, c.stored.State); err != nil {
		return err
	}
	return l.seal(sealing{state: c.stored.State, first: l.first, last: l.last, boot: &c.device, tail: &l.tail})
}

// newRing gives c a ring of its own, and an empty log.
func (c *content) newRing(opt Options) error {
	c.ring = ringState{ID: make([]byte, ringIDLen), Epoch: 1, First: 1, FileBytes: uint64(opt.Preallocate)}
	_, err := rand.Read(c.ring.ID)
	return err
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
