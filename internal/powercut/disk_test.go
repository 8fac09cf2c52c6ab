package powercut_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/internal/powercut"
)

// shell runs a script in a process of its own, which enters dir when it runs.
func shell(t *testing.T, dir, script string) string {
	t.Helper()
	cmd := exec.Command("sh", "-eu", "-c", "cd "+dir+"\n"+script)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", script, err, out)
	}
	return string(out)
}

// TestDiskRecords holds that a program sees an ordinary file system, and that
// all it did is in the recording, in order.
func TestDiskRecords(t *testing.T) {
	disk, dir := mount(t, newStory(smallRing).rec)
	disk.Mark(7)
	got := shell(t, dir, `
		mkdir d
		printf 0123456789 > d/a.new
		sync d/a.new
		mv d/a.new d/a
		sync d
		printf ab | dd of=d/a bs=1 seek=4 conv=notrunc 2>/dev/null
		truncate -s 8 d/a
		printf x > d/b
		printf y > d/b
		rm d/b
		cat d/a
		ls d`)
	unmount(t, disk)
	if want := "0123ab67a\n"; got != want {
		t.Errorf("the program saw %q, want %q", got, want)
	}
	var kinds []string
	for _, e := range disk.Recording().Events {
		kinds = append(kinds, e.Kind.String())
	}
	// Bytes, and the second x, are written over an existing file: > truncates it.
	want := "mark mkdir create write sync rename sync write truncate create write truncate write remove"
	if text := strings.ReplaceAll(strings.Join(kinds, " "), "write write", "write"); text != want {
		t.Errorf("recorded\n%s, want\n%s", text, want)
	}
}

// TestDiskGoesOn mounts what was left by a recording, and a state of it.
func TestDiskGoesOn(t *testing.T) {
	disk, dir := mount(t, newStory(smallRing).rec)
	shell(t, dir, "mkdir d; printf synced > d/a; sync d/a; sync d; sync .; printf ' or not' >> d/a")
	unmount(t, disk)
	rec := disk.Recording()

	disk, dir = mount(t, rec)
	if got := shell(t, dir, "cat d/a; sync d/a"); got != "synced or not" {
		t.Errorf("after a kill: %q", got)
	}
	unmount(t, disk)
	h := powercut.NewHistory(disk.Recording(), powercut.Faults{})
	if n := h.InFlight(h.Len() - 1); n != 0 {
		t.Errorf("%d changes are in flight after the sync of the second process", n)
	}

	h = powercut.NewHistory(rec, powercut.Faults{})
	disk, dir = mount(t, powercut.Recording{Base: h.State(h.Len()-1, powercut.Nothing, 1)})
	if got := shell(t, dir, "cat d/a"); got != "synced" {
		t.Errorf("after a cut: %q", got)
	}
	unmount(t, disk)
}

// TestDiskFails holds that a failing call fails for the program, once, and
// that only a sync that failed leaves a trace.
func TestDiskFails(t *testing.T) {
	disk, dir := mount(t, newStory(smallRing).rec)
	shell(t, dir, "printf old > a; sync a; sync .; printf new > a")
	fault, _, _ := once(disk, 1, syscall.EIO)
	disk.Fail(fault)
	if err := exec.Command("sync", filepath.Join(dir, "a")).Run(); err == nil {
		t.Error("the sync did not fail")
	}
	shell(t, dir, "sync a") // says that all is well, and it is not
	fault, _, _ = once(disk, 1, syscall.ENOSPC)
	disk.Fail(fault)
	before := disk.Len()
	if out, err := exec.Command("sh", "-c", "printf more >> "+filepath.Join(dir, "a")).CombinedOutput(); err == nil {
		t.Errorf("the write did not fail: %s", out)
	}
	if disk.Len() != before {
		t.Error("a write that failed is in the recording")
	}
	unmount(t, disk)
	h := powercut.NewHistory(disk.Recording(), powercut.Faults{})
	got, err := h.State(h.Len()-1, powercut.Nothing, 1).ReadFile("a")
	if err != nil || string(got) != "old" {
		t.Errorf("after a failed sync, and one that said it was well, there is %q, %v; want the old", got, err)
	}
}

// TestMaterialise holds that a state becomes the directory that it is.
func TestMaterialise(t *testing.T) {
	disk, dir := mount(t, newStory(smallRing).rec)
	want := shell(t, dir, "mkdir d; : > d/empty; printf text > d/a; truncate -s 20000 d/a; printf end >> d/a; cat d/a")
	unmount(t, disk)
	h := powercut.NewHistory(disk.Recording(), powercut.Faults{})
	to := filepath.Join(scratch(t), "there")
	if err := h.Cached(h.Len() - 1).Materialise(to); err != nil {
		t.Fatal(err)
	}
	got, err := os.ReadFile(filepath.Join(to, "d", "a"))
	if err != nil || string(got) != want || len(want) != 20003 {
		t.Errorf("%d bytes, want these %d: %v", len(got), len(want), err)
	}
	if info, err := os.Stat(filepath.Join(to, "d", "empty")); err != nil || info.Size() != 0 {
		t.Errorf("the empty file: %v, %v", info, err)
	}
}

// TestNotInTheProduct holds that no program of the product has this package, or
// FUSE, in it.
func TestNotInTheProduct(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", "../../cmd/...", "../../examples/...").Output()
	if err != nil {
		t.Fatal(err)
	}
	for name := range strings.Lines(string(out)) {
		if strings.Contains(name, "go-fuse") || strings.Contains(name, "internal/powercut") {
			t.Errorf("a program imports %s", name)
		}
	}
}
