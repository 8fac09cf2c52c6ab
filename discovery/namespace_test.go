package discovery

import (
	"bytes"
	"net"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/need"
)

// inside is set in the environment of a test that runs in its own network.
const inside = "EDGERAFT_TEST_DISCOVERY_NAMESPACE"

// inNamespace makes the calling test run in a network namespace of its own,
// where it may do what it likes with the interfaces, and where nobody else's
// mDNS is heard. It returns true inside; outside it runs the test again there,
// takes over the verdict and returns false. It needs no root where the kernel
// lets users have namespaces.
func inNamespace(t *testing.T) bool {
	t.Helper()
	if os.Getenv(inside) != "" {
		return true
	}
	t.Parallel()
	if _, err := exec.LookPath("ip"); err != nil {
		need.Skip(t, "the command ip (package iproute2) is not installed")
	}
	cmd := exec.Command(os.Args[0], "-test.run=^"+t.Name()+"$", "-test.v", "-test.timeout=2m")
	cmd.Env = append(os.Environ(), inside+"=1")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	if os.Getuid() != 0 {
		cmd.SysProcAttr.Cloneflags |= syscall.CLONE_NEWUSER
		cmd.SysProcAttr.UidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getuid(), Size: 1}}
		cmd.SysProcAttr.GidMappings = []syscall.SysProcIDMap{{ContainerID: 0, HostID: os.Getgid(), Size: 1}}
	}
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	if err := cmd.Start(); err != nil {
		need.Skip(t, "no network namespace: "+err.Error())
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("in the namespace: %v\n%s", err, out.String())
	}
	return false
}

// ip runs the command ip; each argument may hold several words.
func ip(t *testing.T, args ...string) {
	t.Helper()
	words := strings.Fields(strings.Join(args, " "))
	if out, err := exec.Command("ip", words...).CombinedOutput(); err != nil {
		t.Fatalf("ip %s: %v\n%s", strings.Join(words, " "), err, out)
	}
}

// addLAN makes an interface that looks like the network of a building. Nobody
// listens at its other end, but multicast comes back to the same host.
func addLAN(t *testing.T, addr string) {
	t.Helper()
	ip(t, "link add eth0 type veth peer name veth0")
	// No address of its own making, a second after the others.
	ip(t, "link set eth0 addrgenmode none")
	ip(t, "link set veth0 up")
	ip(t, "addr add dev eth0", addr)
	ip(t, "link set eth0 up")
	// The kernel finds the carrier a little later, which is a change.
	eventually(t, "eth0 is running", 10*time.Second, func() bool {
		i, err := net.InterfaceByName("eth0")
		return err == nil && i.Flags&net.FlagRunning != 0
	})
}

// eventually polls until ok, or fails the test after the time given.
func eventually(t *testing.T, what string, within time.Duration, ok func() bool) {
	t.Helper()
	deadline := time.NewTimer(within)
	defer deadline.Stop()
	tick := time.NewTicker(20 * time.Millisecond)
	defer tick.Stop()
	for !ok() {
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s", within, what)
		}
	}
}
