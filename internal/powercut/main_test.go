package powercut_test

import (
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/internal/powercut"
)

var (
	statesFlag = flag.Int("states", 400, "how many states after a power cut TestCampaign tries (the long campaign: 20000)")
	seedFlag   = flag.Uint64("seed", 1, "what all chance in the tests comes from")
)

// TestMain is also where the program under test begins.
func TestMain(m *testing.M) {
	if os.Getenv(childEnv) != "" {
		childMain()
		return
	}
	flag.Parse()
	if err := removeAbandoned(); err != nil {
		fmt.Fprintln(os.Stderr, "looking for abandoned mounts:", err)
	}
	os.Exit(m.Run())
}

// removeAbandoned takes away the mounts of tests that were killed. It does not
// look into them: what nobody serves may never answer.
func removeAbandoned() error {
	mounts, err := os.ReadFile("/proc/self/mounts")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		f := strings.Fields(line)
		if len(f) < 2 {
			continue
		}
		pid, ours := strings.CutPrefix(f[0], powercut.FSNamePrefix)
		if _, err := os.Stat("/proc/" + pid); !ours || !errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err := syscall.Unmount(f[1], syscall.MNT_FORCE|syscall.MNT_DETACH); err != nil {
			return fmt.Errorf("unmount %s: %w", f[1], err)
		}
	}
	return nil
}

// mount skips the test, loudly, where there is no FUSE.
func mount(t testing.TB, r powercut.Recording) (*powercut.Disk, string) {
	t.Helper()
	dir := scratch(t)
	d, err := powercut.Mount(dir, r)
	if err == nil {
		return d, dir
	}
	need.Skip(t, "%v (the tests need /dev/fuse, and root or the command fusermount3; scripts/test-deps.sh installs it)", err)
	return nil, ""
}

func unmount(t testing.TB, d *powercut.Disk) {
	t.Helper()
	if err := d.Unmount(); err != nil {
		t.Fatal(err)
	}
}

// scratch is a new directory in memory, if there is such a place.
func scratch(t testing.TB) string {
	t.Helper()
	const tmpfs, magic = "/dev/shm", 0x01021994
	var st syscall.Statfs_t
	if err := syscall.Statfs(tmpfs, &st); err != nil || int64(st.Type) != magic {
		return t.TempDir()
	}
	dir, err := os.MkdirTemp(tmpfs, "edgeraft-powercut-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() {
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	return dir
}

func newDriver(t testing.TB) *child {
	t.Helper()
	c, err := startChild()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.stop)
	return c
}
