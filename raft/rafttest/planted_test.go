package rafttest

import (
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

var (
	oneBug = flag.String("bug", "", "of the planted bugs, try this one only; with -seed, show what happens there")
	perBug = flag.Uint64("perbug", 10, "of how many seeds to say which share catches a planted bug")
)

// switchFile is the switch of the planted bugs in package raft. It exists in
// the overlay only.
const switchFile = `package raft

import "os"

// Planted is the bug that is switched on.
var Planted = os.Getenv("EDGERAFT_PLANTED")

func planted(name string) bool { return Planted == name }
`

// otherSwitchFile is the switch in any other package.
const otherSwitchFile = `package %s

import "github.com/edgeraft/edgeraft/raft"

func planted(name string) bool { return raft.Planted == name }
`

// overlay writes the patched sources, and the file that makes the go tool read
// them in the place of the real ones, whose name it returns.
func overlay(t *testing.T, bugs []bug) string {
	t.Helper()
	sources, err := patch(bugs)
	if err != nil {
		t.Fatal(err)
	}
	for file := range sources {
		dir := filepath.Dir(file)
		text := switchFile
		if dir != "raft" {
			text = fmt.Sprintf(otherSwitchFile, filepath.Base(dir))
		}
		sources[filepath.Join(dir, "planted.go")] = []byte(text)
	}
	dir := t.TempDir()
	replace := map[string]string{}
	for file, text := range sources {
		copied := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(copied, text, 0o600); err != nil {
			t.Fatal(err)
		}
		real, err := filepath.Abs(filepath.Join(root, file))
		if err != nil {
			t.Fatal(err)
		}
		replace[real] = copied
	}
	text, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(name, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return name
}

// TestPlanted demands that the simulator catches each bug of the table: it
// builds the core with all of them, behind switches that the real source does
// not have, and runs TestCatch of planted_catch_test.go with that.
func TestPlanted(t *testing.T) {
	if defaultSeeds < 300 {
		t.Skip("one goroutine, and many runs: nothing for the race detector")
	}
	bugs := readBugs(t)
	file := overlay(t, bugs)
	out, err := planted(file, "", ".", "TestCatch",
		"-bug", *oneBug, "-perbug", fmt.Sprint(*perBug), "-seed", fmt.Sprint(*oneSeed), "-events", fmt.Sprint(*traced))
	t.Logf("%s", out)
	if err != nil {
		t.Errorf("run the simulator on planted bugs: %v", err)
	}
	for _, b := range bugs {
		if b.scene == "" || *oneBug != "" && *oneBug != b.name {
			continue
		}
		scene := []string{filepath.Join(root, b.in), b.scene}
		if out, err := planted(file, "", scene[0], scene[1]); err != nil {
			t.Errorf("%s of %s fails without any bug switched on:\n%s", b.scene, b.in, out)
		}
		out, err := planted(file, b.name, scene[0], scene[1])
		if !strings.Contains(string(out), "--- FAIL: "+b.scene) {
			t.Errorf("the bug %s is not caught by %s of %s: %v\n%s", b.name, b.scene, b.in, err, out)
			continue
		}
		t.Logf("%s: caught by %s of %s", b.name, b.scene, b.in)
	}
}

// planted runs one test of a package in the build with the bugs, one of which
// is switched on.
func planted(overlay, bug, pkg, test string, args ...string) ([]byte, error) {
	args = append([]string{"test", "-count=1", "-v", "-tags", "planted", "-timeout", "60m", "-overlay", overlay, "-run", "^" + test + "$", pkg}, args...)
	cmd := exec.Command("go", args...)
	cmd.Env = append(os.Environ(), "EDGERAFT_PLANTED="+bug)
	return cmd.CombinedOutput()
}
