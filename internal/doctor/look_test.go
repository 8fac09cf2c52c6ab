package doctor

import (
	"errors"
	"io/fs"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// tree makes a directory that stands for the root, with files of these texts; one
// that begins with "-> " is a link.
func tree(t *testing.T, files map[string]string) host {
	t.Helper()
	root := t.TempDir()
	for name, text := range files {
		path := filepath.Join(root, name)
		err := os.MkdirAll(filepath.Dir(path), 0o755)
		if to, link := strings.CutPrefix(text, "-> "); link {
			err = errors.Join(err, os.Symlink(to, path))
		} else {
			err = errors.Join(err, os.WriteFile(path, []byte(text), 0o644))
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	return host{root: root, uid: 1000}
}

const mountinfo = `22 1 179:2 / / rw,noatime shared:1 - ext4 /dev/mmcblk0p2 rw,commit=60
30 22 0:25 / /var/lib/docker/overlay rw - overlay overlay rw,lowerdir=/l,upperdir=/run/up,workdir=/w
31 22 0:26 / /run rw,nosuid shared:2 - tmpfs tmpfs rw,size=100k
32 22 8:1 / /mnt/my\040disk rw - ext4 /dev/sda1 rw,nobarrier
33 22 8:2 / /mnt/my\040disk rw - xfs /dev/sda2 rw
34 22 0:27 / /run/up-there rw - ext4 x rw
torn line
`

func TestMountOf(t *testing.T) {
	for path, want := range map[string]string{
		"/var/lib/edgeraft": "ext4", "/": "ext4", "/run": "tmpfs", "/run/x/y": "tmpfs", "/runner": "ext4",
		"/mnt/my disk/data": "xfs", "/var/lib/docker/overlay/x": "overlay", "/run/up": "tmpfs",
	} {
		m, ok := mountOf(mountinfo, path)
		if !ok || m.kind != want {
			t.Errorf("%s: %+v, %v; want %s", path, m, ok, want)
		}
	}
	if m, _ := mountOf("1 2 8:1 / /mnt rw - xfs x rw\n1 2 8:2 / / rw - ext4 x rw\n", "/mnt/x"); m.kind != "xfs" {
		t.Errorf("in another order: %+v", m)
	}
	m, _ := mountOf(mountinfo, "/var/lib/docker/overlay")
	if up, ok := m.option("upperdir"); !ok || up != "/run/up" {
		t.Errorf("%+v", m)
	}
	if _, ok := mountOf("", "/"); ok {
		t.Error("a mount of nothing")
	}
}

// What the kernel says of the disk below a real directory, in files that are not real.
func TestStorage(t *testing.T) {
	dir := t.TempDir()
	real, err := filepath.EvalSymlinks(dir)
	if err != nil {
		t.Fatal(err)
	}
	info := func(kind, options string) string {
		return "22 1 179:2 / / rw - xfs x rw\n23 22 179:2 / " + real + " rw - " + kind + " /dev/mmcblk0p2 " + options + "\n"
	}
	s := Subject{DataDir: filepath.Join(dir, "not/yet"), Preallocated: 1, MaxFile: 1 << 20}
	h := tree(t, map[string]string{
		"proc/self/mountinfo":             info("ext4", "rw"),
		"sys/dev/block/179:2":             "-> ../../devices/mmcblk0/mmcblk0p2",
		"proc/fs/ext4/mmcblk0p2/options":  "rw\nbarrier\nfc_debug_force\ndata=writeback\n",
		"sys/devices/mmcblk0/mmcblk0p2/x": "",
	})
	got := h.storage(s)
	if len(got) < 4 || got[0].Level != OK || !strings.Contains(got[1].Text, "writeback") || !strings.Contains(got[2].Text, "fast_commit") || got[3].Check != "space" {
		t.Errorf("%+v", got)
	}
	upper := t.TempDir()
	for kind, want := range map[string]Level{"tmpfs": Error, "ext4": OK} {
		h := tree(t, map[string]string{"proc/self/mountinfo": info("overlay", "rw,upperdir="+upper) + "24 22 0:9 / " + upper + " rw - " + kind + " x rw\n"})
		if err := os.MkdirAll(h.path(upper), 0o755); err != nil {
			t.Fatal(err)
		}
		if f := h.storage(s)[0]; f.Level != want {
			t.Errorf("an overlay over %s: %+v", kind, f)
		}
	}
}

func TestFiles(t *testing.T) {
	dir := t.TempDir()
	sock := filepath.Join(dir, "s")
	l, err := net.Listen("unix", sock)
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	for path, mode := range map[string]fs.FileMode{"key": 0o600, "log.db.damaged": 0o600, "s": fs.ModeSocket | 0o660} {
		if mode.IsRegular() {
			if err := os.WriteFile(filepath.Join(dir, path), nil, mode); err != nil {
				t.Fatal(err)
			}
		}
		if err := os.Chmod(filepath.Join(dir, path), mode); err != nil {
			t.Fatal(err)
		}
	}
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	me := strconv.Itoa(os.Getuid())
	h := tree(t, map[string]string{
		"etc/passwd": "broken\nme:x:" + me + ":77:::\nagain:x:" + me + ":1:::\n", "etc/group": "edgeraft:x:77:\nother:x:1:me\n",
	})
	h.uid = os.Getuid()
	got := h.files(Subject{KeyFile: filepath.Join(dir, "key"), DataDir: dir, Socket: sock, Listens: true, Leftovers: []string{"log.db.damaged", "log.db.left"}})
	if len(got) != 4 || Worst(got) != Note || got[3].Check != "leftovers" || !strings.Contains(got[0].Text, "belongs to me") {
		t.Errorf("%+v", got)
	}
	h.uid = 1
	if m := h.membership(h.names()); !m.exists || m.listed {
		t.Errorf("user 1 has no name: %+v", m)
	}
	h.uid = os.Getuid()
	if m := h.membership(h.names()); !m.listed || m.user != "me" || m.gid != 77 {
		t.Errorf("a member by the group it has first: %+v", m)
	}
}

// The process that has a port is named, and one that has not is not.
func TestHolders(t *testing.T) {
	c, err := net.ListenPacket("udp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	h := thisHost()
	held := conflicts(h.holdersOf("udp"), c.LocalAddr().String())
	h.name(held)
	if len(held) != 1 || held[0].pid != os.Getpid() || held[0].program == "" {
		t.Errorf("%v", held)
	}
	s := Subject{UDP: c.LocalAddr().String(), Listens: true, Status: &api.Status{Node: api.Node{PID: os.Getpid()}}}
	if fs := h.ports(s); len(fs) != 1 || fs[0].Level != OK {
		t.Errorf("%+v", fs)
	}
	if fs := h.ports(Subject{UDP: ":0", Metrics: "", Listens: true, Status: s.Status}); len(fs) != 0 {
		t.Errorf("of any port: %+v", fs)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	if fs := h.ports(Subject{Metrics: l.Addr().String()}); len(fs) != 1 || fs[0].Level != Error || !strings.Contains(fs[0].Text, strconv.Itoa(os.Getpid())) {
		t.Errorf("%+v", fs)
	}
}

func TestMachine(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	s := Subject{Built: built, LogBytes: 64 << 20, MaxFile: 256 << 20, DataDir: "/none", Status: &api.Status{Node: api.Node{PID: 7}}}
	files := map[string]string{
		"proc/sys/kernel/osrelease": "6.1.0\n", "proc/meminfo": "MemTotal: 524288 kB\nMemFree: 1 kB\nMemAvailable: 409600 kB\n",
		"proc/7/cgroup": "0::/system.slice/edgeraft.service\n", "proc/7/environ": "A=B\x00GOMEMLIMIT=192MiB\x00",
		"sys/fs/cgroup/system.slice/edgeraft.service/memory.max":   "268435456\n",
		"sys/class/rtc/rtc0/name":                                  "x",
		"sys/devices/platform/soc/soc:firmware/get_throttled":      "50005\n",
		"sys/fs/cgroup/memory/old/memory.limit_in_bytes":           "67108864\n",
		"sys/fs/cgroup/memory/unlimited/memory.limit_in_bytes":     "9223372036854771712\n",
		"sys/fs/cgroup/system.slice/other.service/memory.max.torn": "max",
	}
	byCheck := func(h host, now time.Time) map[string]Finding {
		m := map[string]Finding{}
		for _, f := range h.machine(s, now) {
			m[f.Check] = f
		}
		return m
	}
	m := byCheck(tree(t, files), built.AddDate(0, 1, 0))
	want{OK, "allows 256, the device has 512"}.holds(t, "memory", m["memory"])
	want{Error, "voltage"}.holds(t, "power", m["power"])
	want{OK, "6.1.0"}.holds(t, "platform", m["platform"])
	if strings.Contains(m["clock"].Text, "no RTC") {
		t.Errorf("clock: %+v", m["clock"])
	}
	delete(files, "sys/class/rtc/rtc0/name")
	delete(files, "sys/devices/platform/soc/soc:firmware/get_throttled")
	files["proc/7/cgroup"] = "9:memory:/old\n8:pids:/x\n"
	m = byCheck(tree(t, files), built.AddDate(0, 1, 0))
	want{Warning, "allows 64"}.holds(t, "memory of the old kind", m["memory"])
	if _, ok := m["power"]; ok || !strings.Contains(m["clock"].Text, "no RTC") {
		t.Errorf("%+v", m)
	}
	files["proc/7/cgroup"] = "9:memory:/unlimited\n"
	m = byCheck(tree(t, files), time.Unix(0, 0))
	want{OK, "the device has 512"}.holds(t, "memory without a limit", m["memory"])
	want{Warning, "1970"}.holds(t, "clock", m["clock"])
}

func TestFront(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"ufw": {"etc/ufw/ufw.conf": "# x\nENABLED=yes\n"}, "firewalld": {"run/firewalld.pid": "1", "etc/ufw/ufw.conf": "ENABLED=no\n"}, "": {"etc/ufw/ufw.conf": "#ENABLED=yes"},
	} {
		if got := tree(t, files).front(); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}

// Where no agent runs, the addresses that one kept are where others may be.
func TestTargetsKept(t *testing.T) {
	h := tree(t, map[string]string{"data/addresses": `{"version":1,"devices":[{"id":"aaaaaaaaaaaaaaaa","addresses":["10.0.0.2:7521"]}]}`})
	if got := h.targetsOf(Subject{Addresses: "/data/addresses"}); len(got) != 1 || got[0].running || got[0].addr.String() != "10.0.0.2:7521" {
		t.Errorf("%+v", got)
	}
	if got := h.targetsOf(Subject{Addresses: "/data/none"}); len(got) != 0 {
		t.Errorf("%+v", got)
	}
}
