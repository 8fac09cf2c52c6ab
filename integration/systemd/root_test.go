package systemd

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// suite is the oldest Debian that must do, and packages what its root file
// system holds besides the essential ones. rootVersion changes when one built
// before would not do.
const (
	suite       = "bookworm"
	packages    = "systemd,systemd-sysv,dbus,iproute2,procps"
	rootVersion = "1"
)

// needSystemd skips the test, loudly, where containers cannot be run.
func needSystemd(t testing.TB) {
	t.Helper()
	lab.NeedNetwork(t)
	lab.NeedCommand(t, "systemd-nspawn", "systemd-container")
	lab.NeedCommand(t, "mmdebstrap", "mmdebstrap")
	lab.NeedCommand(t, "dpkg-deb", "dpkg")
}

// debianRoot returns a Debian root file system, which it makes once and keeps.
// It is never written to. Tests that need it at the same time wait for each
// other.
func debianRoot(t testing.TB) string {
	t.Helper()
	cache, err := os.UserCacheDir()
	if err != nil {
		cache = "/var/cache"
	}
	dir := filepath.Join(cache, "edgeraft-test")
	if err := os.MkdirAll(dir, 0o755); err != nil {
		t.Fatal(err)
	}
	lock, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer lock.Close()
	if err := syscall.Flock(int(lock.Fd()), syscall.LOCK_EX); err != nil {
		t.Fatal(err)
	}
	root := filepath.Join(dir, suite+"-"+rootVersion)
	if _, err := os.Stat(root); err == nil {
		return root
	}
	making := root + ".making"
	if err := os.RemoveAll(making); err != nil { // of one that was killed
		t.Fatal(err)
	}
	t.Logf("making a root file system of Debian %s, once, in %s", suite, root)
	args := append([]string{"--mode=root", "--variant=minbase", "--include=" + packages, suite, making}, mirror()...)
	if out, err := exec.Command("mmdebstrap", args...).CombinedOutput(); err != nil {
		t.Fatalf("mmdebstrap: %v\n%s", err, out)
	}
	if err := os.Rename(making, root); err != nil {
		t.Fatal(err)
	}
	return root
}

// mirror is where this machine gets its own Debian packages from; nothing, for
// mmdebstrap's default, where that is not known.
func mirror() []string {
	out, err := exec.Command("apt-get", "indextargets", "--format", "$(REPO_URI) $(ORIGIN) $(COMPONENT)", "Created-By: Packages").Output()
	if err != nil {
		return nil
	}
	for line := range strings.Lines(string(out)) {
		if f := strings.Fields(line); len(f) == 3 && f[1] == "Debian" && f[2] == "main" && !strings.Contains(f[0], "security") {
			return f[:1]
		}
	}
	return nil
}

// buildPackage makes the package of this machine's architecture in the version
// given and returns its file.
func buildPackage(t testing.TB, version string) string {
	t.Helper()
	arch, err := exec.Command("dpkg", "--print-architecture").Output()
	if err != nil {
		t.Fatal(err)
	}
	name := strings.TrimSpace(string(arch))
	cmd := exec.Command("../../scripts/package.sh", name)
	dist := t.TempDir()
	cmd.Env = append(os.Environ(), "VERSION="+version, "DIST="+dist)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("package.sh: %v\n%s", err, out)
	}
	return filepath.Join(dist, fmt.Sprintf("edgeraft_%s-1_%s.deb", version, name))
}
