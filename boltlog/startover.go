package boltlog

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
)

// Names of what StartOver and KeepCopy leave: the newest, and the one before with
// olderSuffix.
const (
	LeftName = databaseName + ".left"
	KeptName = databaseName + ".before-recovery"

	olderSuffix = ".older"
)

// StartOver makes a new device of one that is to leave its cluster: a new
// identity, which remembers the old ones, and an empty database. The old database
// is put aside as LeftName. The directory must not be open. It differs from Replace
// only in what is left: nothing is damaged.
//
// A power cut in between leaves ErrLostDatabase, and StartOver can be called
// again.
func StartOver(dir string, opt Options) error {
	return locked(dir, "start over in", opt, func(opt Options) error { return replaceLocked(dir, LeftName, opt) })
}

// KeepCopy copies the database, which must not be open, to KeptName, durably, and
// keeps the copy that was there before. It returns the copy's path.
func KeepCopy(dir string, opt Options) (string, error) {
	kept := filepath.Join(dir, KeptName)
	return kept, locked(dir, "copy the database in", opt, func(Options) (err error) {
		from, err := os.Open(filepath.Join(dir, databaseName))
		if err != nil {
			return err
		}
		defer from.Close()
		to, err := os.OpenFile(kept+newSuffix, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
		if err != nil {
			return err
		}
		_, err = io.Copy(to, from)
		if err = errors.Join(err, to.Close()); err != nil {
			return errors.Join(err, os.Remove(kept+newSuffix))
		}
		if err := os.Rename(kept, kept+olderSuffix); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return err
		}
		return publish(kept, new(counters))
	})
}

// locked runs f, with the complete options, while nobody else has the directory.
func locked(dir, doing string, opt Options, f func(Options) error) error {
	err := opt.complete()
	if err == nil {
		var lock *os.File
		if lock, err = lockDir(dir); err == nil {
			err = errors.Join(explained(f(opt)), lock.Close())
		}
	}
	if err != nil {
		return fmt.Errorf("%s %s: %w", doing, dir, err)
	}
	return nil
}
