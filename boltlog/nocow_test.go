package boltlog

import (
	"os"
	"os/exec"
	"path/filepath"
	"testing"

	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/raft"
)

// TestFullBtrfs: where the file system writes elsewhere what is written again, a
// full disk has room for votes all the same, and for what fits into the file.
func TestFullBtrfs(t *testing.T) {
	dir := btrfs(t)
	opt := Options{ClusterName: "home", Preallocate: 2 << 20}
	l, _, err := Open(filepath.Join(dir, "data"), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	fillUp(t, filepath.Join(dir, "other"))
	state := raft.HardState{Term: 1}
	for i := range raft.Index(100) { // more than the ring holds
		state.Term++
		save(t, l, raft.Save{State: state, Entries: commands(state.Term, i+1, i+1)})
	}
	mustClose(t, l)
	l, got, err := Open(filepath.Join(dir, "data"), opt)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = l.Close() }()
	if got.Stored.State != state || len(got.Stored.Entries) != 100 {
		t.Errorf("%+v and %d entries", got.Stored.State, len(got.Stored.Entries))
	}
}

// btrfs mounts an empty one until the test ends.
func btrfs(t *testing.T) string {
	t.Helper()
	need.Root(t)
	need.Command(t, "mkfs.btrfs", "btrfs-progs")
	image, dir := filepath.Join(t.TempDir(), "image"), t.TempDir()
	if err := os.WriteFile(image, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Truncate(image, 128<<20); err != nil {
		t.Fatal(err)
	}
	if out, err := exec.Command("mkfs.btrfs", "-q", image).CombinedOutput(); err != nil {
		t.Fatalf("mkfs.btrfs: %v\n%s", err, out)
	}
	if out, err := exec.Command("mount", "-o", "loop", image, dir).CombinedOutput(); err != nil {
		need.Skip(t, "btrfs cannot be mounted: %v: %s", err, out)
	}
	t.Cleanup(func() {
		if out, err := exec.Command("umount", dir).CombinedOutput(); err != nil {
			t.Errorf("umount: %v\n%s", err, out)
		}
	})
	return dir
}

// fillUp writes a file until there is no room for another block.
func fillUp(t *testing.T, path string) {
	t.Helper()
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for b := make([]byte, 1<<20); len(b) >= pageSize; {
		_, err := f.Write(b)
		if err == nil && len(b) < 1<<20 {
			err = f.Sync() // where blocks are only found then
		}
		if err != nil && !noSpace(err) {
			t.Fatal(err)
		}
		if err != nil {
			b = b[:len(b)/2]
		}
	}
}
