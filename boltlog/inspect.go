package boltlog

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/raft"
)

// ErrBusy: the database changed each time it was read.
var ErrBusy = errors.New("the agent writes faster than its database can be read (try again when it has less to do, or stop it)")

// maxLooks bounds how often a database is read that changes meanwhile. One look
// takes some milliseconds once the file is in memory, and between two
// transactions there are tens of saves, each with its sync.
const maxLooks = 200

// Inspection is what a database holds, as far as it could be read.
type Inspection struct {
	Path      string
	FileBytes uint64
	Format    int
	Identity  Identity // Boot is the last one
	Stored    raft.Stored

	Epoch     uint64 // of the ring
	RingSlots int    // sectors for saves; 0: a format without a ring
	RingUsed  int    // of those, by saves since the last transaction
	Chunks    int    // that hold the entries up to Sealed
	Sealed    raft.Index

	// Notes are what is worth knowing and no damage: each is a sentence.
	Notes []string
}

// Inspect reads and checks all that the database in dir holds, exactly as Open
// does, whether an agent has it open or not. It writes nothing and takes no
// lock: it works on a copy of one moment, in memory, and reads again where the
// agent ended a transaction meanwhile, until ctx ends. What an agent that runs
// saves afterwards is not in it.
//
// Errors are those of Open but for ErrInUse, and ErrBusy; fs.ErrNotExist where
// there is no database and no trace of one. With an error, the Inspection has
// what could be read all the same, and none of it may be relied on.
func Inspect(ctx context.Context, dir string) (Inspection, error) {
	in, err := inspect(ctx, dir)
	if err != nil {
		err = fmt.Errorf("inspect the log in %s: %w", dir, err)
	}
	return in, err
}

func inspect(ctx context.Context, dir string) (Inspection, error) {
	path := filepath.Join(dir, databaseName)
	known, err := readIdentity(dir)
	if err != nil {
		return Inspection{Path: path}, err
	}
	// Without waiting, should it be a pipe.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if errors.Is(err, fs.ErrNotExist) && known.exists {
		err = fmt.Errorf("%w: its ID was %q", ErrLostDatabase, known.ID)
	}
	if err != nil {
		return Inspection{Path: path}, err
	}
	defer f.Close()
	switch info, err := f.Stat(); {
	case err != nil:
		return Inspection{Path: path}, err
	case !info.Mode().IsRegular():
		return Inspection{Path: path}, fmt.Errorf("%w: %s is no file", ErrDamaged, databaseName)
	case info.Size() == 0 && known.exists:
		return Inspection{Path: path}, fmt.Errorf("%w: %s is empty; its ID was %q", ErrLostDatabase, databaseName, known.ID)
	}
	// What the card has is wanted, and not what memory remembers of it.
	_ = unix.Fadvise(int(f.Fd()), 0, 0, unix.FADV_DONTNEED)
	in, err := lookUntilStill(ctx, file{f, func() (int64, error) {
		info, err := f.Stat()
		if err != nil {
			return 0, err
		}
		return info.Size(), nil
	}})
	in.Path, in.Identity.Replaces = path, known.Replaces
	if err != nil {
		return in, err
	}
	switch {
	case known.valid && known.ID != in.Identity.ID:
		return in, fmt.Errorf("%w: %s and %s", ErrOtherDevice, in.Identity.ID, known.ID)
	case !known.valid:
		in.note("The file %q is missing or not readable; the agent writes it again when it starts.", identityName)
	}
	return in, nil
}

// lookUntilStill looks until nothing changes meanwhile. Damage is believed when
// it is seen twice: to say so falsely would have somebody throw a device away.
func lookUntilStill(ctx context.Context, f file) (Inspection, error) {
	seen := false
	for range maxLooks {
		if err := ctx.Err(); err != nil {
			return Inspection{}, err
		}
		in, err := look(f)
		switch {
		case errors.Is(err, errChanged):
			continue
		case err == nil || seen:
			return in, err
		}
		seen = true
	}
	return Inspection{}, ErrBusy
}

// look takes a copy and reads it.
func look(f file) (Inspection, error) {
	image, err := capture(f)
	if err != nil {
		return Inspection{}, err
	}
	l, err := openCopy(image)
	if err != nil {
		return Inspection{}, errors.Join(err, closeAgain(image))
	}
	in, err := l.inspection()
	if !errors.Is(err, errPanicked) {
		err = errors.Join(err, l.db.Close())
	}
	return in, errors.Join(err, closeAgain(image))
}

// inspection is what is in l, which is not begun.
func (l *Log) inspection() (Inspection, error) {
	c, err := l.read()
	in := Inspection{
		FileBytes: l.disk.count.fileBytes.Load(), Format: int(c.format), Stored: c.stored,
		Identity: Identity{ID: c.device.ID, Boot: c.device.Boot, Cluster: c.device.Cluster},
		Epoch:    c.ring.Epoch, RingUsed: c.replayed.slots, Sealed: c.ring.Last,
	}
	if l.ring.slots > 0 {
		in.RingSlots = l.ring.slots - firstSlot
	}
	if err != nil || c.format != format {
		return in, err
	}
	if c.spentError != nil {
		err = fmt.Errorf("%w: the counts of what was written (the agent starts all the same, and counts anew): %w", ErrDamaged, c.spentError)
	}
	return in, errors.Join(err, guard("read", func() error { return l.observe(c, &in) }))
}

// observe fills in what Open has no use for.
func (l *Log) observe(c *content, in *Inspection) error {
	err := l.db.View(func(tx *bolt.Tx) error {
		starts, err := chunkStarts(tx.Bucket(bucketChunks))
		in.Chunks = len(starts)
		return err
	})
	if err != nil {
		return err
	}
	for slot := range int64(2) {
		if _, whole, err := readMeta(l.file, slot); err != nil {
			return err
		} else if !whole {
			in.note("Meta page %d is not whole, as after a power cut; the other one is, and counts.", slot)
		}
	}
	all, err := l.ring.read(l.disk)
	if err != nil {
		return err
	}
	for i := firstSlot + c.replayed.slots; i < l.ring.slots; i++ {
		b := all[i*sectorSize : (i+1)*sectorSize]
		s, ok := decodeSector(b, l.ring.seed)
		if ok && s.epoch == c.ring.Epoch || !ok && !allZero(b) {
			in.note("Sector %d of the ring is not whole: a save was cut off there, or is under way. It counts as never acknowledged.", i)
			break
		}
	}
	return nil
}

func (in *Inspection) note(text string, args ...any) {
	in.Notes = append(in.Notes, fmt.Sprintf(text, args...))
}

func allZero(b []byte) bool {
	for _, v := range b {
		if v != 0 {
			return false
		}
	}
	return true
}
