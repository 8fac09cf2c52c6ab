package seal

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"syscall"
)

// ErrKeyExists: the key file holds another key, or something that is not one.
var ErrKeyExists = errors.New("the key file exists already and holds something else")

// ReadKeyFile reads the preferred key at path, as ReadRing does.
func ReadKeyFile(path string) (Key, error) {
	r, err := ReadRing(path)
	return r.First(), err
}

// ReadRing reads the keys at path; the first is the preferred one. A file that
// others than its owner may read or write is refused, and so is one over 4 KiB.
// Where there is none, the error is fs.ErrNotExist; where the text is no key,
// ErrBadKey.
func ReadRing(path string) (Ring, error) {
	// O_NONBLOCK: a named pipe in its place must not block the agent.
	f, err := os.OpenFile(path, os.O_RDONLY|syscall.O_NONBLOCK, 0)
	if err != nil {
		return Ring{}, fmt.Errorf("read the cluster key: %w", err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return Ring{}, fmt.Errorf("read the cluster key: %w", err)
	}
	if !info.Mode().IsRegular() {
		return Ring{}, fmt.Errorf("read the cluster key: %s is not a regular file", path)
	}
	if info.Mode().Perm()&0o066 != 0 {
		return Ring{}, fmt.Errorf("read the cluster key: %w: others may read or write %s (mode %04o): chmod 600 %s",
			fs.ErrPermission, path, info.Mode().Perm(), path)
	}
	text, err := io.ReadAll(io.LimitReader(f, maxTextLen+1))
	if err != nil {
		return Ring{}, fmt.Errorf("read the cluster key: %w", err)
	}
	r, err := parseRing(string(text))
	if err != nil {
		return Ring{}, fmt.Errorf("read the cluster key in %s: %w", path, err)
	}
	return r, nil
}

// WriteKeyFile makes path hold k, with mode 0600, so that a crash leaves the
// old file or the new one. The directory must exist. Where path holds k
// already, that is made durable. Where it holds anything else, the error is
// ErrKeyExists, unless force is set: another key locks the device out of its
// cluster.
func WriteKeyFile(path string, k Key, force bool) error {
	old, err := ReadKeyFile(path)
	switch {
	case err == nil && old.Equal(k):
		// Whoever wrote it may not have lived to make it durable.
		if err := syncDir(filepath.Dir(path)); err != nil {
			return fmt.Errorf("write the cluster key: %w", err)
		}
		return nil
	case errors.Is(err, fs.ErrNotExist), force:
	case err == nil:
		return fmt.Errorf("write the cluster key: %w: %s has another key", ErrKeyExists, path)
	default:
		return fmt.Errorf("write the cluster key: %w: %w", ErrKeyExists, err)
	}
	if err := replaceFile(path, []byte(k.Text()+"\n")); err != nil {
		return fmt.Errorf("write the cluster key: %w", err)
	}
	return nil
}

// WriteRing makes path hold the ring, as WriteKeyFile does, whatever it held.
func WriteRing(path string, r Ring) error {
	if len(r.keys) == 0 {
		return fmt.Errorf("write the cluster key: %w: it is empty", ErrRing)
	}
	if err := replaceFile(path, []byte(r.text())); err != nil {
		return fmt.Errorf("write the cluster key: %w", err)
	}
	return nil
}

// replaceFile puts a file of mode 0600 at path, atomically and durably.
func replaceFile(path string, content []byte) (err error) {
	dir := filepath.Dir(path)
	f, err := os.CreateTemp(dir, ".key-*") // CreateTemp makes it 0600
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			os.Remove(f.Name())
		}
	}()
	_, err = f.Write(content)
	if err == nil {
		err = f.Sync()
	}
	if closeErr := f.Close(); err == nil {
		err = closeErr
	}
	if err == nil {
		err = os.Rename(f.Name(), path)
	}
	if err != nil {
		return err
	}
	return syncDir(dir)
}

// syncDir makes the names in dir durable.
func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	defer d.Close()
	if err := d.Sync(); err != nil {
		return fmt.Errorf("sync %s: %w", dir, err)
	}
	return nil
}
