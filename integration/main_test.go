package integration

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"
)

// From the environment of the test.
const (
	envBinary = "EDGERAFT_TEST_BINARY" // the program to test; else it is built
	envRunner = "EDGERAFT_TEST_RUNNER" // runs it, for binaries of another machine
	envRole   = "EDGERAFT_TEST_ROLE"   // what this binary does instead of testing
)

var (
	// program is the program under test and what runs it.
	program []string
	// slowness multiplies every deadline: emulation takes many times longer.
	slowness time.Duration = 1
)

func TestMain(m *testing.M) {
	if os.Getenv(envRole) == roleDiscover {
		discover(os.Args[1:])
		return
	}
	os.Exit(testAll(m))
}

func testAll(m *testing.M) int {
	if runner := os.Getenv(envRunner); runner != "" {
		program, slowness = append(program, runner), 5
	}
	binary := os.Getenv(envBinary)
	if binary == "" {
		dir, err := os.MkdirTemp("", "edgeraft-integration-")
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
		defer os.RemoveAll(dir)
		binary = filepath.Join(dir, "edgeraft")
		if err := buildProgram(binary, ""); err != nil {
			fmt.Fprintln(os.Stderr, err)
			return 1
		}
	}
	program = append(program, binary)
	return m.Run()
}

func emulated() bool { return os.Getenv(envRunner) != "" }

// buildProgram builds the program under test.
func buildProgram(binary, ldflags string) error {
	build := exec.Command("go", "build", "-trimpath", "-ldflags", ldflags, "-o", binary, "github.com/edgeraft/edgeraft/cmd/edgeraft")
	build.Env = append(os.Environ(), "CGO_ENABLED=0")
	if out, err := build.CombinedOutput(); err != nil {
		return fmt.Errorf("build the program under test: %w\n%s", err, out)
	}
	return nil
}
