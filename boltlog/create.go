package boltlog

import (
	"crypto/rand"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"

	bolt "go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	identityName    = "identity"
	newSuffix       = ".new" // of a file under construction; one left by a crash is thrown away
	identityVersion = 2
	maxIdentity     = 4 << 10 // bytes read of the identity file
)

// identityFile is DIR/identity, and whether there is one and it can be read.
type identityFile struct {
	Version int         `json:"version"`
	ID      raft.NodeID `json:"id"`
	Cluster string      `json:"cluster"`
	// Replaces is as in Identity.
	Replaces []raft.NodeID `json:"replaces,omitempty"`
	// Sum is of all the rest; version 1 had none.
	Sum string `json:"sum,omitempty"`

	exists, valid bool
}

// sum is what Sum must be: CRC-32C of the file without it.
func (f identityFile) sum() string {
	f.Sum = ""
	b, err := json.Marshal(f)
	if err != nil {
		panic("boltlog: strings and a number did not encode: " + err.Error())
	}
	return fmt.Sprintf("%08x", crc32.Checksum(b, castagnoli))
}

// sound reports whether this is what was written.
func (f identityFile) sound() bool {
	return f.ID.Valid() && (f.Version == 1 && f.Sum == "" || f.Version == identityVersion && f.Sum == f.sum())
}

// readIdentity reads DIR/identity. That it cannot be understood is no error:
// the database has the same, and a checksum.
func readIdentity(dir string) (identityFile, error) {
	f, err := os.Open(filepath.Join(dir, identityName))
	if errors.Is(err, fs.ErrNotExist) {
		return identityFile{}, nil
	}
	if err != nil {
		return identityFile{}, err
	}
	defer f.Close()
	b, err := io.ReadAll(io.LimitReader(f, maxIdentity))
	if err != nil {
		return identityFile{}, fmt.Errorf("read the identity: %w", err)
	}
	var id identityFile
	err = json.Unmarshal(b, &id)
	id.exists, id.valid = true, err == nil && id.sound()
	id.Replaces = validIDs(id.Replaces)
	return id, nil
}

func writeIdentity(dir string, f identityFile, n *counters) error {
	if err := prepareIdentity(dir, f, n); err != nil {
		return err
	}
	return publish(filepath.Join(dir, identityName), n)
}

// prepareIdentity writes the file under its first name.
func prepareIdentity(dir string, f identityFile, n *counters) error {
	f.Version = identityVersion
	f.Sum = f.sum()
	b, err := json.Marshal(f)
	if err != nil {
		return fmt.Errorf("write the identity: %w", err)
	}
	path := filepath.Join(dir, identityName)
	if err := os.WriteFile(path+newSuffix, append(b, '\n'), 0o600); err != nil {
		return errors.Join(fmt.Errorf("write the identity: %w", err), discard(path+newSuffix))
	}
	n.otherBytes.Add(uint64(len(b) + 1))
	return nil
}

func newID() (raft.NodeID, error) {
	var random [10]byte
	_, err := rand.Read(random[:])
	return raft.NodeIDFrom(random), err
}

// discard removes a file that was not finished, or not even begun.
func discard(path string) error {
	err := os.Remove(path)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// create makes the database of a new device, in a file that has all its
// blocks. It gets its name when it is complete and durable, so that a crash
// leaves none or a whole one. The identity file follows when the database is
// opened: the other way round, a crash in between would look like a lost
// database.
func create(dir string, id raft.NodeID, opt Options, n *counters) error {
	if err := prepare(dir, id, opt, n); err != nil {
		return err
	}
	return publish(filepath.Join(dir, databaseName), n)
}

// prepare makes the database under its first name.
func prepare(dir string, id raft.NodeID, opt Options, n *counters) error {
	c := content{device: device{ID: id, Cluster: opt.ClusterName}}
	if err := c.newRing(opt); err != nil {
		return err
	}
	if err := syncAbove(dir); err != nil {
		return err
	}
	path := filepath.Join(dir, databaseName)
	if err := c.build(path+newSuffix, opt, n); err != nil {
		// On a full disk it would be in its own way.
		return errors.Join(err, discard(path+newSuffix))
	}
	return nil
}

// build writes the file of a new database. The zeros come between bbolt's first
// pages, which only an empty file gets, and its first transaction.
func (c *content) build(path string, opt Options, n *counters) error {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	noCopyOnWrite(f)
	db, err := bolt.Open(path, 0o600, boltOptions(f))
	if err != nil {
		return errors.Join(err, closeAgain(f))
	}
	n.otherBytes.Add(firstPages * pageSize)
	n.syncs.Add(1)
	d := disk{file: f, db: db, count: n, tap: opt.tap}
	if err := zeros(f, int64(opt.Preallocate), n); err != nil {
		return errors.Join(err, db.Close())
	}
	d.count.fileBytes.Store(uint64(opt.Preallocate))
	written, err := d.update(func(tx *bolt.Tx) error { return c.put(tx, opt.slots()) })
	n.otherBytes.Add(written)
	return errors.Join(err, db.Close())
}

// firstPages is how many pages bbolt writes into an empty file.
const firstPages = 4

// publish makes path.new durable and gives it its name, durably.
func publish(path string, n *counters) error {
	f, err := os.OpenFile(path+newSuffix, os.O_RDWR, 0)
	if err != nil {
		return err
	}
	n.syncs.Add(2)
	if err := errors.Join(f.Sync(), f.Close()); err != nil {
		return err
	}
	if err := os.Rename(path+newSuffix, path); err != nil {
		return err
	}
	return syncDir(filepath.Dir(path))
}

// syncAbove makes the name of dir durable, and of every directory above it. Any
// of them may be new, made by a process that did not live to do this; and a name
// that is not durable takes with it all that is below.
func syncAbove(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	for above := filepath.Dir(dir); above != dir; above = filepath.Dir(dir) {
		// What may not be read was not made by this user, and some file systems
		// have nothing to sync.
		if err := syncDir(above); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, syscall.EINVAL) {
			return err
		}
		dir = above
	}
	return nil
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}
