package boltlog

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	bolt "go.etcd.io/bbolt"
	"golang.org/x/sys/unix"
)

// errChanged: a transaction ended while the file was copied.
var errChanged = errors.New("the database changed while it was read")

// file is the database's file, to read.
type file struct {
	io.ReaderAt
	size func() (int64, error)
}

// capture copies what the newest transaction of f consists of, and the ring,
// into memory, and checks it as verify does; errors of that are ErrDamaged. It
// takes no lock and writes nothing, so an agent may be writing f meanwhile. Its
// rules make the copy whole all the same:
//
//   - A transaction writes only pages that the newest one does not consist of,
//     and at last a meta page. So where both meta pages are the same before and
//     after, nothing that was copied in between had changed; else errChanged.
//   - The ring is the exception. But its slots are written in order, each save
//     only when the one before is durable, and none twice before a transaction
//     ends. It is copied from the end to the start, page by page: where a save
//     is in the copy, so are all before it. A save that was caught half is the
//     last, which is what a power cut would have left.
//
// The caller closes the copy.
func capture(f file) (copied *os.File, err error) {
	metas, err := readMetas(f)
	if err != nil {
		return nil, err
	}
	size, err := f.size() // after the meta pages: the file grows before they tell
	if err != nil {
		return nil, err
	}
	if size > MaxFileSize {
		return nil, fmt.Errorf("%w: it has %d bytes, the most is %d", ErrDamaged, size, MaxFileSize)
	}
	fd, err := unix.MemfdCreate(databaseName, unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("copy the database into memory: %w", err)
	}
	image := os.NewFile(uintptr(fd), "copy of "+databaseName)
	defer func() {
		if err != nil {
			err = errors.Join(err, image.Close())
		}
	}()
	if err := image.Truncate(size); err != nil {
		return nil, fmt.Errorf("copy the database into memory: %w", err)
	}
	if _, err := image.WriteAt(metas, 0); err != nil {
		return nil, fmt.Errorf("copy the database into memory: %w", err)
	}
	err = verifyPages(bytes.NewReader(metas), copier{from: f, to: image}, uint64(size))
	again, errAgain := readMetas(f)
	if errAgain != nil {
		return nil, errAgain
	}
	if !bytes.Equal(metas, again) {
		return nil, errChanged
	}
	if err != nil {
		return nil, err
	}
	return image, nil
}

// readMetas returns the first two pages, or what there is of them.
func readMetas(f io.ReaderAt) ([]byte, error) {
	b := make([]byte, 2*pageSize)
	n, err := f.ReadAt(b, 0)
	if err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("read the meta pages: %w", err)
	}
	return b[:n], nil
}

// copier reads from a file, and leaves what was read at the same place of
// another one.
type copier struct {
	from io.ReaderAt
	to   io.WriterAt
}

// ReadAt implements io.ReaderAt, page by page from the end to the start.
func (c copier) ReadAt(b []byte, off int64) (int, error) {
	for end := len(b); end > 0; {
		start := max(0, end-1-int((off+int64(end)-1)%pageSize))
		part := b[start:end]
		if _, err := c.from.ReadAt(part, off+int64(start)); err != nil {
			return 0, err
		}
		if _, err := c.to.WriteAt(part, off+int64(start)); err != nil {
			return 0, fmt.Errorf("copy the database into memory: %w", err)
		}
		end = start
	}
	return len(b), nil
}

// openCopy opens a copy, read-only, as openFile opens the database.
func openCopy(image *os.File) (*Log, error) {
	opt := boltOptions(image)
	opt.ReadOnly = true
	opt.PreLoadFreelist = true // to be asked about pages
	var db *bolt.DB
	err := guard("open", func() (err error) {
		db, err = bolt.Open(image.Name(), 0o600, opt)
		return err
	})
	if err != nil {
		return nil, err
	}
	l := &Log{db: db, file: image, disk: &disk{file: image, db: db, count: new(counters)}}
	return l, l.disk.measure()
}
