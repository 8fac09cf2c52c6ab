package integration

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// avahi is a bus and an avahi-daemon of a device's own: it sees a /run of its
// own, and all its processes end with it.
const avahi = `set -e
mount -t tmpfs none /run
mkdir -p /run/dbus /run/avahi-daemon
chown avahi /run/avahi-daemon
cat > /run/avahi.conf <<X
[server]
host-name=avahi-host
allow-interfaces=eth0
[publish]
publish-workstation=yes
[rlimits]
X
dbus-daemon --system --nofork --nopidfile &
until [ -S /run/dbus/system_bus_socket ]; do sleep 0.05; done
exec avahi-daemon -f /run/avahi.conf --no-chroot --no-rlimits --no-drop-root`

// Where avahi answers mDNS for a host, devices on it are found all the same, and
// find others; avahi itself sees them.
func TestBesideAvahi(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	lab.NeedCommand(t, "avahi-daemon", "avahi-daemon")
	lab.NeedCommand(t, "dbus-daemon", "dbus")
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	for i := 1; i <= 2; i++ { // two of the three hosts have one
		// A process namespace of its own: the bus ends with the daemon.
		daemon := net.Start(i, lab.Command{Name: "avahi",
			Args: []string{"unshare", "--mount", "--pid", "--fork", "--kill-child", "sh", "-c", avahi}})
		lab.Eventually(t, "avahi runs", 20*time.Second, func() error {
			if !strings.Contains(daemon.Log(), "Server startup complete") {
				return errors.New(daemon.Log())
			}
			return nil
		})
	}
	c.form()
	c.load = startLoad(t, c.agents)
	c.found("beside avahi")
	c.agents[0].doctor().must(t, "mDNS port", "ok", "avahi-daemon runs, too")
	for _, a := range c.agents {
		a.proc.Kill()
		if err := os.Remove(filepath.Join(a.dir, "data", "addresses")); err != nil && !errors.Is(err, os.ErrNotExist) {
			t.Fatal(err)
		}
	}
	for _, a := range c.agents {
		a.start()
	}
	c.found("restarted beside avahi, with nothing kept")
	c.load.end()
}
