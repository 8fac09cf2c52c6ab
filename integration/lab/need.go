package lab

import (
	"os"
	"os/exec"
	"testing"
)

// noSkip is the environment variable that turns a skip for want of tools or
// rights into a failure, for machines on which everything must be tested.
const noSkip = "EDGERAFT_TEST_NO_SKIP"

// NeedNetwork skips the test, loudly, where New would not work.
func NeedNetwork(t testing.TB) {
	t.Helper()
	if os.Getuid() != 0 {
		cannotRun(t, "network namespaces need root")
	}
	NeedCommand(t, "ip", "iproute2")
}

// NeedCommand skips the test, loudly, where a command of a package is absent.
func NeedCommand(t testing.TB, command, pkg string) {
	t.Helper()
	if _, err := exec.LookPath(command); err != nil {
		cannotRun(t, "the command "+command+" (package "+pkg+") is not installed; scripts/test-deps.sh installs it")
	}
}

func cannotRun(t testing.TB, why string) {
	t.Helper()
	if os.Getenv(noSkip) == "1" {
		t.Fatalf("%s=1 forbids to skip, but %s", noSkip, why)
	}
	t.Skipf("NOT TESTED: %s", why)
}
