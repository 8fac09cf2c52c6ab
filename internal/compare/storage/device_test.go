package storage

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// device is the block device below a mounted file system.
type device struct{ mount, stat string }

// written is what a device was handed since the machine was started.
type written struct{ bytes, flushes int64 }

func newDevice(mount string) (device, error) {
	var st unix.Stat_t
	if err := unix.Stat(mount, &st); err != nil {
		return device{}, fmt.Errorf("stat %s: %w", mount, err)
	}
	d := device{mount, fmt.Sprintf("/sys/dev/block/%d:%d/stat", unix.Major(st.Dev), unix.Minor(st.Dev))}
	_, err := d.read()
	return d, err
}

// read reads the counters, the 7th and the 16th of the kernel's
// Documentation/block/stat.rst.
func (d device) read() (written, error) {
	text, err := os.ReadFile(d.stat)
	if err != nil {
		return written{}, fmt.Errorf("count what %s writes: %w", d.mount, err)
	}
	f := strings.Fields(string(text))
	if len(f) < 16 {
		return written{}, fmt.Errorf("count what %s writes: %s has no count of flushes: it needs Linux 5.5", d.mount, d.stat)
	}
	sectors, err := strconv.ParseInt(f[6], 10, 64)
	if err != nil {
		return written{}, err
	}
	flushes, err := strconv.ParseInt(f[15], 10, 64)
	return written{sectors * 512, flushes}, err // a sector is 512 bytes here, whatever the device's is
}

// sync has the file system write all that it still holds back.
func (d device) sync() error {
	f, err := os.Open(d.mount)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := unix.Syncfs(int(f.Fd())); err != nil {
		return fmt.Errorf("sync %s: %w", d.mount, err)
	}
	return nil
}

// begin returns the counters with nothing held back.
func (d device) begin() (written, error) {
	if err := d.sync(); err != nil {
		return written{}, err
	}
	return d.read()
}

// end returns what was written since. What the file system holds back counts;
// the flush that making it write that costs does not.
func (d device) end(since written) (written, error) {
	flushes, err := d.read()
	if err != nil {
		return written{}, err
	}
	bytes, err := d.begin()
	return written{bytes.bytes - since.bytes, flushes.flushes - since.flushes}, err
}

// devices are those below the mounts that were given, or else the test skips.
func devices(t *testing.T, n int) []device {
	t.Helper()
	if *mounts == "" {
		t.Skip("a measurement; scripts/compare-storage.sh runs it")
	}
	names := strings.Split(*mounts, ",")
	if len(names) < n {
		t.Fatalf("-mounts: %d are needed", n)
	}
	var all []device
	for _, name := range names[:n] {
		d, err := newDevice(name)
		if err != nil {
			t.Fatal(err)
		}
		all = append(all, d)
	}
	return all
}
