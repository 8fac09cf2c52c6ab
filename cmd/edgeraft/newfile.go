package main

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"
)

// errExists: there is a file that must not be lost without being asked for.
var errExists = errors.New("the file exists already (--overwrite replaces it)")

// newFile is a file under construction. It gets its name when it is complete and
// durable, so that whoever finds it under that has all of it.
type newFile struct {
	*os.File
	path string
}

// createFile begins a file that only its owner may read.
func createFile(path string, overwrite bool) (*newFile, error) {
	if _, err := os.Lstat(path); err == nil && !overwrite {
		return nil, fmt.Errorf("write %s: %w", path, errExists)
	}
	f, err := os.CreateTemp(filepath.Dir(path), "."+filepath.Base(path)+".part-*")
	if err != nil {
		return nil, fmt.Errorf("write %s: %w", path, err)
	}
	return &newFile{File: f, path: path}, nil
}

// discard removes what there is of it.
func (f *newFile) discard() { _, _ = f.Close(), os.Remove(f.Name()) }

// publish makes it durable and gives it its name, durably too.
func (f *newFile) publish(overwrite bool) error {
	err := errors.Join(f.Sync(), f.Close())
	if err == nil {
		err = rename(f.Name(), f.path, overwrite)
	}
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, errors.Join(err, os.Remove(f.Name())))
	}
	dir, err := os.Open(filepath.Dir(f.path))
	if err != nil {
		return fmt.Errorf("write %s: %w", f.path, err)
	}
	// Some file systems have nothing to sync in a directory.
	if err := dir.Sync(); err != nil && !errors.Is(err, unix.EINVAL) {
		return fmt.Errorf("write %s: %w", f.path, errors.Join(err, dir.Close()))
	}
	return dir.Close()
}

// rename gives a file its name; another one of that name is replaced only if it
// may be.
func rename(from, to string, overwrite bool) error {
	if overwrite {
		return os.Rename(from, to)
	}
	err := unix.Renameat2(unix.AT_FDCWD, from, unix.AT_FDCWD, to, unix.RENAME_NOREPLACE)
	switch {
	case errors.Is(err, fs.ErrExist):
		return errExists
	case errors.Is(err, unix.EINVAL) || errors.Is(err, unix.ENOSYS):
		// This file system cannot: a look must do.
		if _, err := os.Lstat(to); err == nil {
			return errExists
		}
		return os.Rename(from, to)
	}
	return err
}
