package boltlog

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/edgeraft/edgeraft/raft"
)

// Names of what Replace puts aside: the newest database, and the one before.
const (
	DamagedName      = databaseName + ".damaged"
	DamagedOlderName = DamagedName + olderSuffix
)

// maxReplaces is how many earlier identities are remembered.
const maxReplaces = 8

// Replace makes a new device of one whose storage is damaged or gone, when Open
// said so (ErrDamaged, ErrLostDatabase): a new identity, which remembers the old
// ones, and an empty database. What is left of the old is put aside as
// DamagedName and never touched again. A device that forgot its vote, or entries
// that it acknowledged, must not go on as the one it was; under its new name it
// can take its own place in the cluster.
//
// A power cut in between leaves ErrLostDatabase, and Replace can be called again,
// as after any error; with raft.ErrDiskFull when there is room.
func Replace(dir string, opt Options) error {
	return locked(dir, "replace the database in", opt, func(opt Options) error {
		err := replaceLocked(dir, DamagedName, opt)
		if older := filepath.Join(dir, DamagedOlderName); noSpace(err) && os.Remove(older) == nil {
			// Of two that were put aside the older is worth less than a device at work.
			err = replaceLocked(dir, DamagedName, opt)
		}
		return err
	})
}

func replaceLocked(dir, aside string, opt Options) error {
	known, err := readIdentity(dir)
	if err != nil {
		return err
	}
	id, err := newID()
	if err != nil {
		return err
	}
	fresh := identityFile{ID: id, Cluster: opt.ClusterName, Replaces: known.Replaces}
	if known.valid {
		fresh.Replaces = append(fresh.Replaces, known.ID)
	}
	if extra := len(fresh.Replaces) - maxReplaces; extra > 0 {
		fresh.Replaces = fresh.Replaces[extra:]
	}
	// All that needs room comes first: where there is none, nothing has changed, and
	// however often this is tried no identity is made up that nobody ever had.
	n := new(counters)
	if err := prepare(dir, id, opt, n); err != nil {
		return err
	}
	if err := prepareIdentity(dir, fresh, n); err != nil {
		return errors.Join(err, os.Remove(filepath.Join(dir, databaseName+newSuffix)))
	}
	if err := putAside(dir, aside); err != nil {
		return err
	}
	// The identity goes first: it says that there was a device, so that a missing
	// database is not taken for a fresh start, and which. Without it the database
	// must not follow: it would be that of another device.
	if err := publish(filepath.Join(dir, identityName), n); err != nil {
		return err
	}
	return publish(filepath.Join(dir, databaseName), n)
}

// putAside gives the database another name, where there is one, and keeps the one
// that has that already.
func putAside(dir, as string) error {
	path := func(name string) string { return filepath.Join(dir, name) }
	if _, err := os.Stat(path(databaseName)); err != nil {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		return err
	}
	if err := os.Rename(path(as), path(as+olderSuffix)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	if err := os.Rename(path(databaseName), path(as)); err != nil {
		return err
	}
	return syncDir(dir)
}

// validIDs returns those of a file's IDs that are some.
func validIDs(ids []raft.NodeID) []raft.NodeID {
	var out []raft.NodeID
	for _, id := range ids {
		if id.Valid() && len(out) < maxReplaces {
			out = append(out, id)
		}
	}
	return out
}
