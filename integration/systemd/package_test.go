package systemd

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// election is what the test sets timing.election to: so long that a pause
// without a leader, were there one, could not be taken for a hand-over.
const election = 5 * time.Second

// edited is the configuration that an administrator wrote.
const edited = "# kept by hand\n[timing]\nelection = \"5s\"\n"

// TestExposure holds that the sandbox stays as tight as it is.
func TestExposure(t *testing.T) {
	lab.NeedCommand(t, "systemd-analyze", "systemd")
	out, err := exec.Command("systemd-analyze", "security", "--offline=true", "--threshold=20", "--no-pager",
		"../../packaging/systemd/edgeraft.service").CombinedOutput()
	lines := strings.Split(strings.TrimSpace(string(out)), "\n")
	t.Log(lines[len(lines)-1])
	if err != nil {
		t.Errorf("the exposure is over 2.0: %v\n%s", err, out)
	}
}

// life is three machines on which the package is installed, used, upgraded,
// disturbed and removed.
type life struct {
	t        *testing.T
	machines []*machine
	old, new string // packages
}

func TestPackage(t *testing.T) {
	needSystemd(t)
	root := debianRoot(t)
	l := &life{t: t, old: buildPackage(t, "0.0.1"), new: buildPackage(t, "0.0.2")}
	net := lab.New(t, 3)
	for i := range 3 {
		l.machines = append(l.machines, boot(t, net, root, i+1))
	}
	for _, step := range []struct {
		name string
		do   func()
	}{
		{"install", l.install}, {"init and join", l.form}, {"who may use the socket", l.access}, {"doctor", l.examine},
		{"upgrade of the leader under load", l.upgrade}, {"reload", l.reload}, {"a configuration that cannot be used", l.misconfigure},
		{"kill -9", l.kill}, {"a process that hangs", l.hang}, {"reboot", l.reboot}, {"remove and purge", l.purge},
	} {
		began := time.Now()
		step.do()
		t.Logf("%s: %.1f s", step.name, time.Since(began).Seconds())
	}
}

// put copies a file of the test's machine into the container.
func (m *machine) put(file, path string) {
	m.t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		m.t.Fatal(err)
	}
	m.write(path, string(data))
}

// install is what `apt install` does, with nothing to be fetched.
func (l *life) install() {
	var all sync.WaitGroup
	for _, m := range l.machines {
		m.put(l.old, "/root/old.deb")
		m.put(l.new, "/root/new.deb")
		all.Go(func() {
			if _, err := m.try("dpkg", "--install", "/root/old.deb"); err != nil {
				l.t.Error(err)
			}
		})
	}
	all.Wait()
	for _, m := range l.machines {
		if got := m.must("systemctl", "is-enabled", "edgeraft") + " " + m.must("systemctl", "is-active", "edgeraft"); got != "enabled active" {
			l.t.Fatalf("after the installation the service is %s", got)
		}
		if text := m.property("StatusText"); !strings.Contains(text, "edgeraft init") {
			l.t.Errorf("systemctl status says %q, not what to do", text)
		}
		for path, want := range map[string]string{
			"/run/edgeraft/edgeraft.sock": "660 edgeraft edgeraft", "/run/edgeraft": "755 edgeraft edgeraft",
			"/var/lib/edgeraft": "700 edgeraft edgeraft", "/etc/edgeraft/edgeraft.toml": "644 root root",
		} {
			if got := m.must("stat", "--format", "%a %U %G", path); got != want {
				l.t.Errorf("%s has mode and owner %s, want %s", path, got, want)
			}
		}
		if user := m.must("ps", "-o", "user=", "-p", m.property("MainPID")); user != "edgeraft" {
			l.t.Errorf("the agent runs as %s", user)
		}
		m.write("/etc/edgeraft/edgeraft.toml", edited)
		m.must("systemctl", "restart", "edgeraft")
	}
}

// form founds the cluster on the first machine with one command, and brings in
// each other with one, the third before its agent runs.
func (l *life) form() {
	one, two, three := l.machines[0], l.machines[1], l.machines[2]
	var setup api.Setup
	if err := json.Unmarshal([]byte(one.must("edgeraft", "init", "--json")), &setup); err != nil || setup.Key == "" {
		l.t.Fatalf("init printed %+v: %v", setup, err)
	}
	two.must("edgeraft", "join", setup.Key)
	three.must("systemctl", "stop", "edgeraft")
	three.must("edgeraft", "join", setup.Key)
	three.must("systemctl", "start", "edgeraft")
	awaitMembers(l.t, 3, l.machines)
	for _, m := range l.machines {
		if got := m.must("stat", "--format", "%a %U", "/etc/edgeraft/cluster.key"); got != "600 edgeraft" {
			l.t.Errorf("the key on %s has mode and owner %s", m.name(), got)
		}
	}
	one.must("edgeraft", "put", "color", "green")
	if got := three.must("edgeraft", "get", "color"); got != "green" {
		l.t.Errorf("the value on another machine is %q", got)
	}
}

// access: a program in the group edgeraft may use the socket, others are told.
func (l *life) access() {
	m := l.machines[0]
	m.must("useradd", "--groups", "edgeraft", "pi")
	m.must("useradd", "guest")
	if got := m.must("runuser", "-u", "pi", "--", "edgeraft", "get", "color"); got != "green" {
		l.t.Errorf("a user of the group reads %q", got)
	}
	_, err := m.try("runuser", "-u", "guest", "--", "edgeraft", "get", "color")
	var exit *exec.ExitError
	if !errors.As(err, &exit) || exit.ExitCode() != 3 || !strings.Contains(err.Error(), "group") {
		l.t.Errorf("a user who is not in the group gets %v", err)
	}
}

// examine: a packaged device that is well has nothing wrong with it, but that the
// container's file system is an overlay, for root and for a user of the group; another
// is told how to become one.
func (l *life) examine() {
	var all sync.WaitGroup
	doctor := func(m *machine, as string, well bool, words ...string) {
		all.Go(func() {
			out, err := m.try("runuser", "-u", as, "--", "edgeraft", "doctor")
			warned := strings.Count(out, "  warning  ") - strings.Count(out, "lies on an overlay")
			missing := slices.DeleteFunc(words, func(w string) bool { return strings.Contains(out, w) })
			if well != (err == nil) || warned != 0 || len(missing) > 0 {
				l.t.Errorf("%s on %s, lacking %q: %v\n%s", as, m.name(), missing, err, out)
			}
		})
	}
	for _, m := range l.machines {
		doctor(m, "root", true, "root may use")
	}
	doctor(l.machines[0], "pi", true, "pi may use", "data_dir: /var/lib/edgeraft has mode 0700", "key file: /etc/edgeraft/cluster.key")
	doctor(l.machines[0], "guest", false, "usermod -aG edgeraft guest")
	all.Wait()
}

// upgrade upgrades the leader while the others work: they miss it no longer than
// the hand-over takes.
func (l *life) upgrade() {
	leads := leader(l.t, l.machines)
	before, err := leads.status()
	if err != nil {
		l.t.Fatal(err)
	}
	load := startGauge(l.t, without(l.machines, leads))
	l.awaitAcked(load, 50)
	leads.must("dpkg", "--install", "/root/new.deb")
	l.awaitAcked(load, 50)
	longest, acked, errs := load.end()
	after, err := leads.status()
	if err != nil {
		l.t.Fatal(err)
	}
	l.t.Logf("under load (%d proposals) the longest time without an acknowledgement was %v; errors: %v", acked, longest, errs)
	if longest >= election {
		l.t.Errorf("nothing was acknowledged for %v, as long as an election takes", longest)
	}
	if len(errs) > 0 {
		l.t.Errorf("proposals on the others failed: %v", errs)
	}
	if after.Version != "0.0.2" {
		l.t.Errorf("after the upgrade version %s runs", after.Version)
	}
	if after.Cluster.Leader == before.Node.ID || after.Node.ID != before.Node.ID {
		l.t.Errorf("the upgraded %s leads on, or has become another (%s)", before.Node.ID, after.Node.ID)
	}
	if got := leads.must("cat", "/etc/edgeraft/edgeraft.toml"); got+"\n" != edited {
		l.t.Errorf("the upgrade changed the configuration to %q", got)
	}
	for _, m := range without(l.machines, leads) {
		m.must("dpkg", "--install", "/root/new.deb")
	}
	awaitMembers(l.t, 3, l.machines)
}

func (l *life) awaitAcked(g *gauge, more int) {
	l.t.Helper()
	start := g.ackedSoFar()
	lab.Eventually(l.t, fmt.Sprintf("%d more proposals acknowledged", more), settleTime, func() error {
		if n := g.ackedSoFar() - start; n < more {
			return fmt.Errorf("%d so far", n)
		}
		return nil
	})
}

func (l *life) reload() {
	m := l.machines[0]
	pid := m.property("MainPID")
	m.write("/etc/edgeraft/edgeraft.toml", edited+"[log]\nlevel = \"debug\"\n")
	m.must("systemctl", "reload", "edgeraft")
	m.awaitJournal("the configuration was reloaded\" log.level=debug")
	if now := m.property("MainPID"); now != pid || m.property("NRestarts") != "0" {
		l.t.Errorf("a reload made process %s of %s", now, pid)
	}
	m.write("/etc/edgeraft/edgeraft.toml", edited)
	m.must("systemctl", "reload", "edgeraft")
	m.awaitJournal("the configuration was reloaded\" log.level=info")
}

// awaitJournal waits for a text in what the service logged since the boot.
func (m *machine) awaitJournal(text string) {
	m.t.Helper()
	lab.Eventually(m.t, "the journal says "+text, settleTime, func() error {
		out, err := m.try("journalctl", "--boot", "--unit", "edgeraft", "--output", "cat")
		if err == nil && !strings.Contains(out, text) {
			err = errors.New(out)
		}
		return err
	})
}

// misconfigure: the service fails once and says why, and is not started again
// and again.
func (l *life) misconfigure() {
	m := l.machines[1]
	m.write("/etc/edgeraft/edgeraft.toml", "colour = \"green\"\n")
	if _, err := m.try("systemctl", "restart", "edgeraft"); err == nil {
		l.t.Error("the service starts with an unknown setting")
	}
	if state, status := m.property("ActiveState"), m.property("ExecMainStatus"); state != "failed" || status != "78" {
		l.t.Errorf("the service is %s after exit code %s", state, status)
	}
	m.awaitJournal("colour")
	m.write("/etc/edgeraft/edgeraft.toml", edited)
	m.must("systemctl", "restart", "edgeraft")
	awaitMembers(l.t, 3, l.machines)
}

// awaitRestart waits until systemd has started the agent again, as another
// process than pid, and it serves.
func (m *machine) awaitRestart(pid string) {
	m.t.Helper()
	lab.Eventually(m.t, "the agent on "+m.name()+" was restarted", settleTime, func() error {
		if now := m.property("MainPID"); now == pid || now == "0" {
			return fmt.Errorf("its process is %s", now)
		}
		_, err := m.status()
		return err
	})
	if n, err := strconv.Atoi(m.property("NRestarts")); err != nil || n == 0 {
		m.t.Errorf("systemd counts %d restarts (%v)", n, err)
	}
}

func (l *life) kill() {
	m := leader(l.t, l.machines)
	pid := m.property("MainPID")
	m.must("kill", "-KILL", pid)
	m.awaitRestart(pid)
	awaitMembers(l.t, 3, l.machines)
}

// hang stops the process of an agent: it feeds the watchdog no more and is
// started again.
func (l *life) hang() {
	m := leader(l.t, l.machines)
	m.write("/etc/systemd/system/edgeraft.service.d/test.conf", "[Service]\nWatchdogSec=3s\nTimeoutAbortSec=1s\n")
	m.must("systemctl", "daemon-reload")
	m.must("systemctl", "restart", "edgeraft")
	awaitMembers(l.t, 3, l.machines)
	pid := m.property("MainPID")
	process, err := os.FindProcess(m.outside(pid))
	if err != nil {
		l.t.Fatal(err)
	}
	if err := process.Signal(syscall.SIGSTOP); err != nil {
		l.t.Fatal(err)
	}
	m.awaitRestart(pid)
	m.awaitJournal("Watchdog timeout (limit 3s)!")
	awaitMembers(l.t, 3, l.machines)
	if !strings.Contains(m.property("Result"), "success") {
		l.t.Errorf("the result is %s", m.property("Result"))
	}
	m.must("rm", "/etc/systemd/system/edgeraft.service.d/test.conf")
	m.must("systemctl", "daemon-reload")
}

// outside is a process of the container as the test sees it.
func (m *machine) outside(pid string) int {
	m.t.Helper()
	entries, err := os.ReadDir("/proc")
	if err != nil {
		m.t.Fatal(err)
	}
	namespace := func(of string) string { link, _ := os.Readlink("/proc/" + of + "/ns/pid"); return link }
	for _, e := range entries {
		if _, err := strconv.Atoi(e.Name()); err != nil || namespace(e.Name()) != namespace(strconv.Itoa(m.pid)) {
			continue
		}
		status, _ := os.ReadFile("/proc/" + e.Name() + "/status") // it may have ended
		for line := range strings.Lines(string(status)) {
			if f := strings.Fields(line); len(f) > 1 && f[0] == "NSpid:" && f[len(f)-1] == pid {
				n, _ := strconv.Atoi(e.Name()) // checked above
				return n
			}
		}
	}
	m.t.Fatalf("there is no process %s on %s", pid, m.name())
	return 0
}

// reboot restarts a whole machine, the leader: the agent comes up with it.
func (l *life) reboot() {
	m := leader(l.t, l.machines)
	was, err := m.status()
	if err != nil {
		l.t.Fatal(err)
	}
	m.powerOff()
	m.powerOn()
	awaitMembers(l.t, 3, l.machines)
	if now, err := m.status(); err != nil || now.Node.ID != was.Node.ID {
		l.t.Errorf("after the reboot %s is %s (%v)", was.Node.ID, now.Node.ID, err)
	}
	if got := m.must("edgeraft", "get", "color"); got != "green" {
		l.t.Errorf("after the reboot the value is %q", got)
	}
}

// purge removes the package, which keeps what the device knows, and purges it,
// which does not. The others go on.
func (l *life) purge() {
	m := leader(l.t, l.machines)
	was, err := m.status()
	if err != nil {
		l.t.Fatal(err)
	}
	load := startGauge(l.t, without(l.machines, m))
	l.awaitAcked(load, 20)
	m.must("dpkg", "--remove", "edgeraft")
	l.awaitAcked(load, 20)
	if longest, _, errs := load.end(); longest >= election || len(errs) > 0 {
		l.t.Errorf("the removal of the leader stopped the others for %v: %v", longest, errs)
	}
	for _, path := range []string{"/var/lib/edgeraft/log.db", "/etc/edgeraft/cluster.key", "/etc/edgeraft/edgeraft.toml"} {
		m.must("test", "-e", path)
	}
	if _, err := m.try("test", "-e", "/usr/bin/edgeraft"); err == nil {
		l.t.Error("the program is still there")
	}
	m.must("dpkg", "--install", "/root/new.deb") // it is who it was
	awaitMembers(l.t, 3, l.machines)
	if now, err := m.status(); err != nil || now.Node.ID != was.Node.ID {
		l.t.Errorf("installed again, %s is %s (%v)", was.Node.ID, now.Node.ID, err)
	}
	m.must("mount", "--bind", "/var/lib/edgeraft", "/var/lib/edgeraft") // as one who has the data on another disk
	m.must("dpkg", "--purge", "edgeraft")
	m.must("umount", "/var/lib/edgeraft")
	m.must("rmdir", "/var/lib/edgeraft") // it was emptied
	for _, path := range []string{"/var/lib/edgeraft", "/etc/edgeraft", "/run/edgeraft", "/etc/systemd/system/multi-user.target.wants/edgeraft.service"} {
		if _, err := m.try("test", "-e", path); err == nil {
			l.t.Errorf("after a purge there is still %s", path)
		}
	}
	if out, err := m.try("systemctl", "list-unit-files", "edgeraft.service", "--no-legend"); err == nil && out != "" {
		l.t.Errorf("after a purge systemd still knows %s", out)
	}
}
