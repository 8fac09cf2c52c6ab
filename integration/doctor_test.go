package integration

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
	"github.com/edgeraft/edgeraft/internal/need"
)

// report is what doctor found.
type report struct {
	Well     bool
	Findings []struct{ Group, Check, Level, Text, Remedy, Command string }
	exit     int
	took     time.Duration
}

// doctor runs where the device is, in its network, perhaps by another command.
func (a *agent) doctor(by ...string) report {
	a.t.Helper()
	argv := slices.Concat([]string{"ip", "netns", "exec", a.net.Namespace(a.i)}, by, program, []string{"doctor", "--json"})
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Env = append(slices.DeleteFunc(os.Environ(), func(v string) bool { return strings.HasPrefix(v, "EDGERAFT_") }), a.env...)
	began := time.Now()
	out, err := cmd.Output()
	r := report{exit: exitCodeOf(err), took: time.Since(began)}
	if e := json.Unmarshal(out, &r); e != nil {
		a.t.Errorf("doctor on %s: %v: %q (%v)", a.name(), e, out, err)
	}
	return r
}

func (r report) String() string {
	var b strings.Builder
	for _, f := range r.Findings {
		fmt.Fprintf(&b, "\n%-7s %s: %s -> %s $ %s", f.Level, f.Check, f.Text, f.Remedy, f.Command)
	}
	return b.String()
}

// lacks is nil where a check says something with these words at this level.
func (r report) lacks(check, level, words string) error {
	for _, f := range r.Findings {
		if f.Check == check && f.Level == level && strings.Contains(f.Text+" -> "+f.Remedy+" $ "+f.Command, words) {
			return nil
		}
	}
	return fmt.Errorf("no %s of %q with %q among:%s", level, check, words, r)
}

func (r report) must(t *testing.T, check, level, words string) {
	t.Helper()
	if err := r.lacks(check, level, words); err != nil {
		t.Error(err)
	}
}

// complaints are the checks that are warned of, or worse, but for what is true of the
// machine of the test: that nothing keeps its clock in step.
func (r report) complaints() (out []string) {
	for _, f := range r.Findings {
		if (f.Level == "warning" || f.Level == "error") && f.Check != "clock" {
			out = append(out, f.Check)
		}
	}
	return out
}

// doctors examines all devices at once.
func (c *cluster) doctors() []report {
	c.t.Helper()
	out := make([]report, len(c.agents))
	var wg sync.WaitGroup
	for i, a := range c.agents {
		wg.Go(func() { out[i] = a.doctor() })
	}
	wg.Wait()
	return out
}

// nft gives device i a table of its own, with these lines in it; none for none.
func nft(t testing.TB, net *lab.Network, i int, lines ...string) {
	t.Helper()
	lab.NeedCommand(t, "nft", "nftables")
	script := "add table inet filter\ndelete table inet filter\n"
	if len(lines) > 0 {
		script += "table inet filter {\n" + strings.Join(lines, "\n") + "\n}\n"
	}
	cmd := exec.Command("ip", "netns", "exec", net.Namespace(i), "nft", "-f", "-")
	cmd.Stdin = strings.NewReader(script)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("nft: %v: %s", err, out)
	}
}

// A cluster that is well has nothing to complain of; each thing that is then broken
// in its network is named, where it is.
func TestDoctorOfCluster(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	c.form()

	var all []report
	lab.Eventually(t, "all is well", 60*time.Second*slowness, func() error {
		all = c.doctors()
		for i, r := range all {
			if bad := r.complaints(); len(bad) > 0 || r.exit != 0 || !r.Well {
				return fmt.Errorf("%s: %v, exit code %d:%s", c.agents[i].name(), bad, r.exit, r)
			}
			for j, other := range c.agents {
				if j == i {
					continue
				}
				if err := errors.Join(r.lacks("multicast", "ok", other.name()), r.lacks("way", "ok", other.name())); err != nil {
					return err
				}
			}
		}
		return nil
	})
	all[0].must(t, "multicast", "ok", "this device itself")
	all[0].must(t, "way", "ok", "pings of 1200 bytes pass")
	all[0].must(t, "UDP port", "ok", "is the agent's")
	all[0].must(t, "firewall", "ok", "7521 or 5353")
	for _, check := range []string{"key file", "data_dir", "socket", "agent", "card speed", "space"} {
		all[0].must(t, check, "ok", "")
	}
	if st, err := c.agents[1].status(); err != nil || len(st.Warnings) > 0 {
		t.Errorf("after doctors: %+v, %v", st.Warnings, err)
	}

	nft(t, net, 1, "chain input { type filter hook input priority 0; policy accept; udp dport 5353 drop; }")
	lab.Eventually(t, "multicast to device 1 is blocked", 30*time.Second*slowness, func() error {
		all = c.doctors()
		return errors.Join(all[0].lacks("multicast", "warning", "does not hear even itself"),
			all[0].lacks("firewall", "warning", "keep out UDP port 5353"), all[0].lacks("firewall", "ok", "keeps out UDP port 7521"),
			all[1].lacks("multicast", "warning", "is not heard, though in the same subnet; device-3, this device itself answered"))
	})
	nft(t, net, 1)

	net.Multicast(false)
	net.Narrow(2)
	nft(t, net, 3, "chain input { type filter hook input priority 0; policy drop; ct state established accept; iifname lo accept; tcp dport 22 accept; meta l4proto { icmp, icmpv6 } accept; }")
	lab.Eventually(t, "the switch keeps multicast, and long packets to device 2; device 3 lets nothing in", 30*time.Second*slowness, func() error {
		all = c.doctors()
		return errors.Join(all[0].lacks("multicast", "warning", "IGMP snooping"), all[0].lacks("way", "warning", "answers a short ping, but none of 1200 bytes"),
			all[2].lacks("firewall", "warning", "keep out UDP port 7521"), all[2].lacks("firewall", "warning", "keep out UDP port 5353"),
			all[2].lacks("firewall", "warning", "its policy is drop"))
	})
}

// Each interface is asked by itself: what passes on one says nothing of another.
func TestDoctorOfInterfaces(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 1)
	net.Second()
	a := newAgent(t, net, 1)
	// Nobody answers yet, but this device hears its own question.
	a.doctor().must(t, "multicast", "ok", "eth0: nobody of this cluster answered")
	a.start()
	a.must("init")
	nft(t, net, 1, "chain input { type filter hook input priority 0; policy accept; iifname eth1 udp dport 5353 drop; }")
	lab.Eventually(t, "only eth1 is blocked", 30*time.Second*slowness, func() error {
		r := a.doctor()
		return errors.Join(r.lacks("multicast", "ok", "eth0: this device itself answered"), r.lacks("multicast", "warning", "eth1: this device does not hear even itself"),
			r.lacks("firewall", "note", "UDP port 5353"))
	})
	nft(t, net, 1)
	net.Renumber(1) // no address but the link-local one
	net.Link(1, "eth1", false)
	lab.Eventually(t, "eth1 is down, and eth0 has no DHCP", 30*time.Second*slowness, func() error {
		r := a.doctor()
		return errors.Join(r.lacks("multicast", "note", "eth0: it has only link-local addresses"), r.lacks("multicast", "ok", "not used: eth1 (it is down)"))
	})
}

// Each thing that is wrong with the files of a device, its ports and its disk is named.
func TestDoctorOfDevice(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	metrics := "EDGERAFT_METRICS_LISTEN=127.0.0.1:7522"
	one, other := newAgent(t, net, 1, metrics), newAgent(t, net, 1, metrics, "EDGERAFT_DISCOVERY=off")
	one.start()
	one.must("init")
	r := other.doctor()
	for _, check := range []string{"UDP port", "metrics port"} {
		r.must(t, check, "error", fmt.Sprintf("(process %d)", one.proc.PID()))
	}
	r.must(t, "agent", "error", "No agent is running")
	if r.exit != 1 || r.Well {
		t.Errorf("exit code %d", r.exit)
	}
	one.proc.Kill()
	if err := os.Chmod(filepath.Join(one.dir, "cluster.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	if err := os.Chown(filepath.Join(one.dir, "data", "log.db"), 12345, 0); err != nil {
		t.Fatal(err)
	}
	one.env = append(one.env, "EDGERAFT_UDP_INTERFACES=wlan9", "EDGERAFT_UDP_LISTEN=10.99.0.1:7521")
	r = one.doctor()
	r.must(t, "key file", "error", "chmod go=")
	r.must(t, "data_dir", "warning", "log.db (12345)")
	r.must(t, "socket", "note", "left behind")
	r.must(t, "multicast", "error", "wlan9 (there is none of this name)")
	r.must(t, "UDP port", "error", "10.99.0.1:7521 is no address of this device")
	r.must(t, "metrics port", "ok", "free")

	two := newAgent(t, net, 2, "EDGERAFT_DISCOVERY=off")
	two.smallDisk(20 << 20)
	empty := two.fillDisk()
	r = two.doctor()
	r.must(t, "file system", "error", "tmpfs")
	r.must(t, "space", "error", "has 0 MiB left")
	r.must(t, "card speed", "error", "no room")
	empty()
	dir := filepath.Join(two.dir, "data")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	r = two.doctor()
	r.must(t, "file system", "error", "read-only")
	r.must(t, "card speed", "note", "cannot be written")

	lab.NeedCommand(t, "mkfs.ext4", "e2fsprogs")
	three := newAgent(t, net, 3, "EDGERAFT_DISCOVERY=off")
	three.ext4Disk("-Ofast_commit", "nobarrier,data=writeback")
	r = three.doctor()
	r.must(t, "file system", "ok", "ext4")
	r.must(t, "ext4", "error", "nobarrier")
	r.must(t, "ext4", "warning", "data=writeback")
	r.must(t, "ext4", "warning", "tune2fs -O ^fast_commit /dev/loop")
}

// ext4Disk puts a small ext4 below an agent's data.
func (a *agent) ext4Disk(feature, options string) {
	a.t.Helper()
	image, dir := filepath.Join(a.dir, "image"), filepath.Join(a.dir, "data")
	f, err := os.Create(image)
	if err == nil {
		err = errors.Join(f.Truncate(64<<20), f.Close(), os.Mkdir(dir, 0o700))
	}
	if err != nil {
		a.t.Fatal(err)
	}
	for _, argv := range [][]string{{"mkfs.ext4", "-q", feature, image}, {"mount", "-o", "loop," + options, image, dir}} {
		if out, err := exec.Command(argv[0], argv[1:]...).CombinedOutput(); err != nil {
			if argv[0] == "mount" {
				need.Skip(a.t, "%v: %s", err, out)
			}
			a.t.Fatalf("%v: %v: %s", argv, err, out)
		}
	}
	a.t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			a.t.Error(err)
		}
	})
}

// Who may not use the socket is told why, and what to do.
func TestDoctorOfOtherUser(t *testing.T) {
	t.Parallel()
	lab.NeedCommand(t, "setpriv", "util-linux")
	const gid, nobody = 54321, 65534
	net := lab.New(t, 1)
	a := newAgent(t, net, 1, "EDGERAFT_DISCOVERY=off")
	a.start()
	a.must("init")
	// The command ip puts what is there over /etc (ip-netns(8)).
	etc := filepath.Join("/etc/netns", net.Namespace(1))
	if err := os.MkdirAll(etc, 0o755); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(etc) })
	listed := func(members string) {
		t.Helper()
		text := fmt.Sprintf("root:x:0:\nedgeraft:x:%d:%s\n", gid, members)
		if err := os.WriteFile(filepath.Join(etc, "group"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	passwd := fmt.Sprintf("root:x:0:0::/:/bin/sh\npi:x:%d:%d::/:/bin/sh\n", nobody, nobody)
	if err := os.WriteFile(filepath.Join(etc, "passwd"), []byte(passwd), 0o644); err != nil {
		t.Fatal(err)
	}
	for _, dir := range []string{a.dir, filepath.Dir(a.dir), filepath.Dir(program[len(program)-1])} {
		if err := os.Chmod(dir, 0o755); err != nil {
			t.Fatal(err)
		}
	}
	if err := errors.Join(os.Chmod(filepath.Join(a.dir, "edgeraft.toml"), 0o644), os.Chown(filepath.Join(a.dir, "s"), 0, gid)); err != nil {
		t.Fatal(err)
	}
	as := func(groups string) report {
		return a.doctor("setpriv", fmt.Sprint("--reuid=", nobody), fmt.Sprint("--regid=", nobody), groups)
	}
	listed("")
	r := as("--clear-groups")
	r.must(t, "socket", "error", "usermod -aG edgeraft pi")
	r.must(t, "key file", "ok", "belongs to root")
	r.must(t, "firewall", "note", "sudo edgeraft doctor")
	r.must(t, "card speed", "note", "may not write")
	listed("mary,pi")
	as("--clear-groups").must(t, "socket", "error", "newgrp edgeraft")
	as(fmt.Sprint("--groups=", gid)).must(t, "socket", "ok", "pi may use it")
}

// A slow disk is told from a stuck one, and a stuck one does not hold up the examination.
func TestDoctorOfSlowDisk(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 2)
	stuck := 12 * time.Second * slowness
	reports := make([]report, 2)
	var wg sync.WaitGroup
	for i, delay := range []time.Duration{280 * time.Millisecond, stuck} {
		a := newAgent(t, net, i+1, "EDGERAFT_DISCOVERY=off")
		a.fuseDisk().Slow(func() time.Duration { return delay })
		wg.Go(func() { reports[i] = a.doctor() })
	}
	wg.Wait()
	reports[0].must(t, "card speed", "warning", "commit_window")
	reports[1].must(t, "card speed", "error", "the disk is stuck")
	if took := reports[1].took; took >= stuck {
		t.Errorf("it took %v, as long as the disk was stuck", took)
	}
}

// What is wrong with a broker is named, and the agent at it is not disturbed.
func TestDoctorOfBroker(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 2)
	b := newBroker(t, net, 2, true)
	b.start()
	a := newAgent(t, net, 1, b.settings(`mqtt`)...)
	lab.Eventually(t, "the broker is well", 30*time.Second*slowness, func() error {
		return a.doctor().lacks("broker", "ok", "subscribing and publishing are allowed")
	})
	a.start()
	a.must("init")
	lab.Eventually(t, "the agent is at the broker", 30*time.Second*slowness, func() error {
		if st, err := a.status(); err != nil || st.MQTT == nil || !st.MQTT.Connected {
			return fmt.Errorf("%+v, %w", st.MQTT, err)
		}
		return nil
	})
	before, err := a.status()
	if err != nil {
		t.Fatal(err)
	}
	r := a.doctor()
	r.must(t, "broker", "ok", "subscribing and publishing are allowed")
	if bad := r.complaints(); len(bad) > 0 {
		t.Errorf("a device that is well: %v:%s", bad, r)
	}
	after, err := a.status()
	if err != nil || after.MQTT.ForMS < before.MQTT.ForMS || len(after.Warnings) > 0 || fmt.Sprint(after.Traffic.Dropped) != fmt.Sprint(before.Traffic.Dropped) {
		t.Errorf("the agent was disturbed: %+v, %+v, before %+v, %v", after.MQTT, after.Traffic, before.Traffic, err)
	}
	a.proc.Kill()

	with := func(settings ...string) report {
		x := *a
		x.env = append(slices.Clone(a.env), settings...)
		return x.doctor()
	}
	b.write("wrong", "guess\n")
	stranger := newBroker(t, net, 2, true) // with an authority of its own
	for name, c := range map[string]struct{ setting, words string }{
		"password":  {"EDGERAFT_MQTT_PASSWORD_FILE=" + b.path("wrong"), "mosquitto_passwd"},
		"authority": {"EDGERAFT_MQTT_CA_FILE=" + stranger.path("ca.pem"), "mqtt.ca_file"},
		"no TLS":    {"EDGERAFT_MQTT_BROKERS=mqtt://10.77.0.2:8883", "with it for mqtts://"},
		"name":      {"EDGERAFT_MQTT_BROKERS=mqtts://[fd77::2]:8883", "subjectAltName"},
		"port":      {"EDGERAFT_MQTT_BROKERS=mqtts://10.77.0.2:8884", "sudo ss -lntp 'sport = :8884'"},
		"a file":    {"EDGERAFT_MQTT_PASSWORD_FILE=" + b.path("none"), "no such file"},
		"unknown":   {"EDGERAFT_MQTT_BROKERS=mqtts://broker.invalid", "getent hosts broker.invalid"},
	} {
		t.Run(name, func(t *testing.T) { with(c.setting).must(t, "broker", "error", c.words) })
	}
	b.proc.Kill()
	with().must(t, "broker", "error", "start the broker")
	acl := aclOfDocs(t)
	b.write("acl", strings.Replace(acl, "topic readwrite edgeraft/default/all", "topic write edgeraft/default/all", 1))
	b.start()
	lab.Eventually(t, "what is sent to all cannot be read", 20*time.Second*slowness, func() error {
		return with().lacks("broker", "error", "to receive what is published to edgeraft/default/all")
	})
	b.proc.Kill()
	b.write("acl", strings.Replace(acl, "pattern write edgeraft/default/p/%c", "", 1))
	b.start()
	lab.Eventually(t, "presence cannot be told", 20*time.Second*slowness, func() error {
		return with().lacks("broker", "error", "to publish to edgeraft/default/p/doctor-")
	})
}
