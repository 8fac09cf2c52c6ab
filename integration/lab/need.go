package lab

import (
	"testing"

	"github.com/edgeraft/edgeraft/internal/need"
)

// NeedNetwork skips the test, loudly, where New would not work.
func NeedNetwork(t testing.TB) {
	t.Helper()
	need.Root(t)
	NeedCommand(t, "ip", "iproute2")
}

// NeedCommand skips the test, loudly, where a command of a package is absent.
func NeedCommand(t testing.TB, command, pkg string) {
	t.Helper()
	need.Command(t, command, pkg)
}
