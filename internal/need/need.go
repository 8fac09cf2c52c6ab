// Package need is how a test says that it cannot run here: loudly, and where
// everything must be tested as a failure.
package need

import (
	"os"
	"os/exec"
	"testing"
)

// noSkip is the environment variable that turns a skip for want of tools, rights
// or something in the kernel into a failure.
const noSkip = "EDGERAFT_TEST_NO_SKIP"

// Skip ends the test, which cannot run here, as why says: skipped, or failed with
// EDGERAFT_TEST_NO_SKIP=1.
func Skip(t testing.TB, why string, args ...any) {
	t.Helper()
	if os.Getenv(noSkip) == "1" {
		t.Fatalf(noSkip+"=1 forbids to skip, but "+why, args...)
	}
	t.Skipf("NOT TESTED: "+why, args...)
}

// Root skips the test where it does not run as root.
func Root(t testing.TB) {
	t.Helper()
	if os.Geteuid() != 0 {
		Skip(t, "it needs root")
	}
}

// Command skips the test where a command of a Debian package is not installed.
func Command(t testing.TB, command, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		Skip(t, "the command %s (package %s) is not installed; scripts/test-deps.sh installs it", command, pkg)
	}
}
