package doctor

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"net/netip"
	"os"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/discovery"
	"github.com/edgeraft/edgeraft/internal/card"
	"github.com/edgeraft/edgeraft/mqttcomms"
	"github.com/edgeraft/edgeraft/raft"
)

// want is what a judgement must say: its level, and words of it.
type want struct {
	level Level
	words string
}

// holds checks a finding; one that is no better than a warning must say what to do.
func (w want) holds(t *testing.T, name string, f Finding) {
	t.Helper()
	all := f.Text + " -> " + f.Remedy + " $ " + f.Command
	if f.Level != w.level || !strings.Contains(all, w.words) || f.Group == "" || f.Check == "" {
		t.Errorf("%s: %+v; want %s with %q", name, f, w.level, w.words)
	}
	if (f.Level == Warning || f.Level == Error) && f.Remedy == "" && f.Command == "" {
		t.Errorf("%s: no remedy: %+v", name, f)
	}
}

func TestJudgeFileSystem(t *testing.T) {
	on := func(kind string) disk { return disk{at: "/d", mount: mount{kind: kind, point: "/"}} }
	ro := on("ext4")
	ro.readOnly = true
	volatile, fine := on("overlay"), on("overlay")
	volatile.upper, fine.upper = "tmpfs", "ext4"
	for name, c := range map[string]struct {
		d disk
		want
	}{
		"ext4":        {on("ext4"), want{OK, "ext4"}},
		"memory":      {on("tmpfs"), want{Error, "in memory"}},
		"network":     {on("nfs4"), want{Error, "own disk"}},
		"sshfs":       {on("fuse.sshfs"), want{Error, "own disk"}},
		"FAT":         {on("vfat"), want{Error, "ext4"}},
		"JFFS2":       {on("jffs2"), want{Error, "map"}},
		"btrfs":       {on("btrfs"), want{Warning, "ten times"}},
		"F2FS":        {on("f2fs"), want{Note, "not tested"}},
		"another":     {on("bcachefs"), want{OK, "bcachefs"}},
		"read-only":   {ro, want{Error, "read-only"}},
		"overlay":     {on("overlay"), want{Warning, "could not be seen"}},
		"overlayroot": {volatile, want{Error, "in memory"}},
		"container":   {fine, want{OK, "ext4"}},
		"unseen":      {disk{at: "/d"}, want{Note, "not known"}},
		"absent":      {disk{at: "/d", err: unix.EIO}, want{Error, "input/output"}},
	} {
		c.holds(t, name, judgeFileSystem(c.d))
	}
}

func TestJudgeJournal(t *testing.T) {
	for name, c := range map[string]struct {
		options, journal []string
		want
	}{
		"usual":        {[]string{"rw", "noatime"}, []string{"barrier", "data=ordered"}, want{OK, "no option"}},
		"nobarrier":    {[]string{"rw", "nobarrier"}, nil, want{Error, "remount,barrier"}},
		"barrier=0":    {[]string{"barrier=0"}, nil, want{Error, "nobarrier"}},
		"writeback":    {nil, []string{"data=writeback"}, want{Warning, "data=writeback"}},
		"fast_commit":  {nil, []string{"fc_debug_force"}, want{Warning, "tune2fs -O ^fast_commit /dev/x"}},
		"fast_commit2": {[]string{"fast_commit"}, nil, want{Warning, "fast_commit"}},
	} {
		fs := judgeJournal(disk{mount: mount{kind: "ext4", point: "/", source: "/dev/x", options: c.options}, journal: c.journal})
		if len(fs) != 1 {
			t.Errorf("%s: %+v", name, fs)
			continue
		}
		c.holds(t, name, fs[0])
	}
	if fs := judgeJournal(disk{mount: mount{kind: "xfs", options: []string{"nobarrier"}}}); len(fs) != 0 {
		t.Errorf("of XFS: %+v", fs)
	}
}

func TestJudgeSpace(t *testing.T) {
	s := Subject{Preallocated: 16 << 20, MaxFile: 256 << 20, LogBytes: 64 << 20}
	for name, c := range map[string]struct {
		free, database uint64
		inodes, left   uint64
		state          uint64
		worst          Level
	}{
		"room":               {200 << 20, 0, 0, 0, 0, OK},
		"exactly":            {96 << 20, 0, 0, 0, 0, OK},
		"tight":              {96<<20 - 1, 0, 0, 0, 0, Warning},
		"has grown":          {16 << 20, 80 << 20, 0, 0, 0, OK},
		"large state":        {150 << 20, 0, 0, 0, 40 << 20, Warning},
		"less than one file": {16<<20 - 1, 80 << 20, 0, 0, 0, Error},
		"inodes":             {200 << 20, 0, 1000, 1000, 0, OK},
		"few inodes":         {200 << 20, 0, 1000, fewInodes - 1, 0, Warning},
		"no inodes":          {200 << 20, 0, 1000, 0, 0, Error},
	} {
		s.Status = &api.Status{State: api.State{Bytes: c.state}}
		fs := judgeSpace(disk{at: "/d", free: c.free, database: c.database, inodes: c.inodes, freeInodes: c.left}, s)
		if Worst(fs) != c.worst {
			t.Errorf("%s: %+v, want %s", name, fs, c.worst)
		}
	}
}

func TestJudgeCard(t *testing.T) {
	for used, c := range map[int]struct {
		spare string
		want  Level
	}{10: {card.SpareNormal, OK}, 20: {card.SpareWarning, Warning}, 30: {card.SpareUrgent, Error}, 90: {card.SpareNormal, Error}} {
		if fs := judgeCard(disk{card: card.Card{Device: "mmcblk0", LifeUsed: used, Spare: c.spare}}); len(fs) != 1 || fs[0].Level != c.want {
			t.Errorf("%d %%: %+v, want %s", used, fs, c.want)
		}
	}
	if fs := judgeCard(disk{}); len(fs) != 0 {
		t.Errorf("of a card that says nothing: %+v", fs)
	}
}

func TestJudgeSpeed(t *testing.T) {
	times := func(each time.Duration, worst ...time.Duration) []time.Duration {
		out := append([]time.Duration{}, worst...)
		for len(out) < SpeedWrites {
			out = append(out, each)
		}
		return out
	}
	ms := time.Millisecond
	for name, c := range map[string]struct {
		s sample
		want
	}{
		"quick":            {sample{took: times(5*ms, 90*ms)}, want{OK, "half within 5ms, all but one within 5ms, the slowest 90ms"}},
		"slow":             {sample{took: times(60 * ms)}, want{Note, "slow"}},
		"very slow":        {sample{took: times(300 * ms)}, want{Warning, "commit_window"}},
		"one pause":        {sample{took: times(5*ms, 4*time.Second)}, want{Note, "pause"}},
		"pauses":           {sample{took: times(5*ms, 2*time.Second, 2*time.Second)}, want{Warning, "fstrim"}},
		"hangs":            {sample{took: times(5 * ms)[:3], pending: 7 * time.Second}, want{Note, "the slowest 7s"}},
		"stuck":            {sample{pending: 8 * time.Second}, want{Error, "stuck"}},
		"of another":       {sample{err: fs.ErrPermission}, want{Note, "sudo edgeraft doctor"}},
		"full":             {sample{err: unix.ENOSPC}, want{Error, "no room"}},
		"damaged":          {sample{err: unix.EIO}, want{Error, "replace"}},
		"cannot be writen": {sample{err: unix.EROFS}, want{Note, "not measured"}},
	} {
		c.holds(t, name, judgeSpeed("/d", c.s))
	}
}

func TestMeasureLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	s := measure(t.Context(), dir, nil)
	if len(s.took) != SpeedWrites || s.err != nil || s.pending != 0 {
		t.Errorf("%d writes, %v pending, %v", len(s.took), s.pending, s.err)
	}
	write(dir, func() bool { return false }, func(x step) { t.Errorf("a write after the end: %+v", x) })
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestJudgeKey(t *testing.T) {
	n := names{0: "root", 7: "edgeraft", 8: "pi"}
	dir := entry{path: "/var/lib/edgeraft", uid: 7}
	for name, c := range map[string]struct {
		key      entry
		unusable error
		want
	}{
		"well":       {entry{path: "/k", mode: 0o600, uid: 7}, nil, want{OK, "0600"}},
		"absent":     {entry{path: "/k", err: fs.ErrNotExist}, nil, want{Note, "init"}},
		"hidden":     {entry{path: "/k", err: fs.ErrPermission}, nil, want{Note, "sudo"}},
		"for all":    {entry{path: "/k", mode: 0o644, uid: 7}, nil, want{Error, "chmod go= /k"}},
		"for group":  {entry{path: "/k", mode: 0o640, uid: 7}, nil, want{Error, "chmod"}},
		"of root":    {entry{path: "/k", mode: 0o600, uid: 0}, nil, want{Error, "chown edgeraft /k"}},
		"of pi":      {entry{path: "/k", mode: 0o600, uid: 8}, nil, want{Error, "belongs to pi"}},
		"unreadable": {entry{path: "/k", err: unix.EIO}, nil, want{Error, ""}},
		"nonsense":   {entry{path: "/k", mode: 0o600, uid: 7}, errors.New("it is no key"), want{Error, "it is no key"}},
	} {
		f := judgeKey(c.key, dir, c.unusable, n)
		if name == "unreadable" {
			f.Remedy = "the error says it"
		}
		c.holds(t, name, f)
	}
	dir.uid = 0 // then the agent is root, and reads all
	want{OK, "pi"}.holds(t, "root's agent", judgeKey(entry{path: "/k", mode: 0o600, uid: 8}, dir, nil, n))
}

func TestJudgeDataDir(t *testing.T) {
	n := names{0: "root", 7: "edgeraft"}
	stray := []entry{{path: "/d/log.db", uid: 0}}
	for name, c := range map[string]struct {
		dir    entry
		strays []entry
		want
	}{
		"well":     {entry{path: "/d", mode: fs.ModeDir | 0o700, uid: 7}, nil, want{OK, "edgeraft"}},
		"absent":   {entry{path: "/d", err: fs.ErrNotExist}, nil, want{Note, "makes it"}},
		"hidden":   {entry{path: "/d", err: fs.ErrPermission}, nil, want{Note, "sudo"}},
		"a file":   {entry{path: "/d", mode: 0o600}, nil, want{Error, "no directory"}},
		"for all":  {entry{path: "/d", mode: fs.ModeDir | 0o755, uid: 7}, nil, want{Error, "chmod o="}},
		"closed":   {entry{path: "/d", mode: fs.ModeDir | 0o500, uid: 7}, nil, want{Error, "chmod 700"}},
		"by root":  {entry{path: "/d", mode: fs.ModeDir | 0o700, uid: 7}, stray, want{Error, "chown -R edgeraft: /d"}},
		"to root":  {entry{path: "/d", mode: fs.ModeDir | 0o700, uid: 0}, []entry{{path: "/d/x", uid: 7}}, want{Warning, "x (edgeraft)"}},
		"no group": {entry{path: "/d", mode: fs.ModeDir | 0o750, uid: 7}, nil, want{OK, "0750"}},
	} {
		c.holds(t, name, judgeDataDir(c.dir, c.strays, n))
	}
}

func TestJudgeSocket(t *testing.T) {
	socket := entry{path: "/s", mode: fs.ModeSocket | 0o660, gid: 5}
	pi := membership{user: "pi", exists: true, gid: 5}
	listed, member := pi, pi
	listed.listed, member.listed, member.effective = true, true, true
	open, other := socket, socket
	open.mode, other.gid = fs.ModeSocket|0o666, 6
	for name, c := range map[string]struct {
		e      entry
		usable bool
		m      membership
		listen bool
		want
	}{
		"well":            {socket, true, member, true, want{OK, "pi may use it"}},
		"no member":       {socket, false, pi, true, want{Error, "usermod -aG edgeraft pi"}},
		"not yet":         {socket, false, listed, true, want{Error, "newgrp edgeraft"}},
		"another's agent": {other, false, member, true, want{Error, "another user's"}},
		"for all":         {open, true, member, true, want{Error, "chmod o= /s"}},
		"left":            {socket, true, member, false, want{Note, "left behind"}},
		"a file":          {entry{path: "/s", mode: 0o600}, true, member, false, want{Error, "no socket"}},
		"none":            {entry{path: "/s", err: fs.ErrNotExist}, false, member, false, want{Note, "no agent runs"}},
		"none, outsider":  {entry{path: "/s", err: fs.ErrNotExist}, false, pi, false, want{Note, "usermod"}},
		"closed":          {entry{path: "/s", err: fs.ErrPermission}, false, member, true, want{Error, "sudo"}},
	} {
		c.holds(t, name, judgeSocket(c.e, c.usable, c.m, c.listen))
	}
}

func TestJudgePort(t *testing.T) {
	udp := port{"UDP port", "udp.listen", "udp", ":7521", true}
	running := Subject{Listens: true, Status: &api.Status{Node: api.Node{PID: 10, State: "member"}}}
	waiting := Subject{Listens: true, Status: &api.Status{Node: api.Node{PID: 10, State: "waiting_for_key"}}}
	at := func(pid int, name string) []holder { return []holder{{pid: pid, program: name, uid: 3}} }
	for name, c := range map[string]struct {
		held []holder
		s    Subject
		err  error
		want
	}{
		"the agent's":    {at(10, "edgeraft"), running, nil, want{OK, "agent's"}},
		"in a container": {at(4711, "edgeraft"), running, nil, want{OK, "agent's"}},
		"another's":      {at(11, "socat"), running, nil, want{Error, "socat (process 11)"}},
		"hidden":         {at(0, ""), running, nil, want{OK, "most likely"}},
		"taken":          {at(11, "socat"), Subject{}, nil, want{Error, "ss -lnpu 'sport = :7521'"}},
		"taken, hidden":  {at(0, ""), Subject{}, nil, want{Error, "user 3"}},
		"silent":         {at(11, "edgeraft"), Subject{Listens: true}, nil, want{Note, "not known"}},
		"free":           {nil, Subject{}, nil, want{OK, "free"}},
		"no address":     {nil, Subject{}, unix.EADDRNOTAVAIL, want{Error, "no address of this device"}},
		"not allowed":    {nil, Subject{}, unix.EACCES, want{Note, "sudo"}},
		"in use":         {nil, Subject{}, unix.EADDRINUSE, want{Error, "another port"}},
		"no key":         {nil, waiting, nil, want{OK, "when there is a key"}},
		"elsewhere":      {nil, running, nil, want{Warning, "restart"}},
	} {
		c.holds(t, name, judgePort(udp, c.held, c.s, c.err))
	}
	if fs := judgeResponder(at(1, "avahi-daemon")); len(fs) != 1 || fs[0].Level != OK {
		t.Errorf("avahi: %+v", fs)
	}
}

func TestConflicts(t *testing.T) {
	all := parseSockets(procUDP, false)
	for listen, n := range map[string]int{":7521": 2, "10.0.0.1:7521": 1, "127.0.0.1:7521": 2, "[::1]:5353": 1, ":9": 0, ":0": 0, "nonsense": 0} {
		if got := conflicts(all, listen); len(got) != n {
			t.Errorf("%s: %v, want %d", listen, got, n)
		}
	}
	if len(all) != 3 || all[1].inode != "4243" || all[1].uid != 33 {
		t.Errorf("%+v", all)
	}
	if tcp := parseSockets(strings.ReplaceAll(procUDP, " 07 ", " 0A "), true); len(tcp) != 3 {
		t.Errorf("listening: %v", tcp)
	}
	if tcp := parseSockets(procUDP, true); len(tcp) != 0 {
		t.Errorf("not listening: %v", tcp)
	}
}

const procUDP = `   sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode ref pointer drops
 3108: 00000000:1D61 00000000:0000 07 00000000:00000000 00:00000000 00000000     0        0 4242 2 0000000000000000 0
 3109: 0100007F:1D61 00000000:0000 07 00000000:00000000 00:00000000 00000000    33        0 4243 2 0000000000000000 0
  940: 00000000000000000000000000000000:14E9 00000000000000000000000000000000:0000 07 00000000:00000000 00:00000000 00000000   110        0 4244 2 0000000000000000 0
 torn line
`

func TestJudgeMulticast(t *testing.T) {
	const id = "aaaaaaaaaaaaaaaa"
	now, long := int64(1000), int64(3_600_000)
	status := func(state string, contact *int64) *api.Status {
		return &api.Status{Node: api.Node{State: state}, Members: []api.Member{{Self: true}, {ID: id, Name: "kitchen", Address: "10.0.0.2:7521", LastContactMS: contact}}}
	}
	there, gone := status("member", &now), status("member", &long)
	eth := func(change func(*discovery.Hearing)) discovery.Hearing {
		h := discovery.Hearing{Interface: "eth0", MTU: 1500, Prefixes: []netip.Prefix{netip.MustParsePrefix("10.0.0.1/24")}, Echo: true, Self: true,
			Peers: []discovery.Peer{{ID: raft.NodeID(id)}}, Hosts: 1}
		change(&h)
		return h
	}
	for name, c := range map[string]struct {
		h  discovery.Hearing
		st *api.Status
		want
	}{
		"well":            {eth(func(h *discovery.Hearing) {}), there, want{OK, "kitchen, this device itself answered"}},
		"not even itself": {eth(func(h *discovery.Hearing) { h.Echo, h.Self, h.Peers, h.Hosts = false, false, nil, 0 }), there, want{Warning, "firewall on it"}},
		"only itself":     {eth(func(h *discovery.Hearing) { h.Peers, h.Hosts = nil, 0 }), there, want{Warning, "IGMP snooping"}},
		"only others":     {eth(func(h *discovery.Hearing) { h.Peers = nil }), there, want{Warning, "kitchen (10.0.0.2) is not heard"}},
		"member gone":     {eth(func(h *discovery.Hearing) { h.Peers, h.Hosts = nil, 0 }), gone, want{OK, "this device itself"}},
		"other subnet": {eth(func(h *discovery.Hearing) {
			h.Peers, h.Prefixes = nil, []netip.Prefix{netip.MustParsePrefix("10.9.0.1/24")}
		}), there, want{OK, "itself"}},
		"agent is silent": {eth(func(h *discovery.Hearing) { h.Self = false }), there, want{Warning, "does not answer"}},
		"no agent":        {eth(func(h *discovery.Hearing) { h.Self, h.Peers, h.Hosts = false, nil, 3 }), nil, want{OK, "others speak mDNS"}},
		"no key":          {eth(func(h *discovery.Hearing) { h.Self = false }), status("waiting_for_key", nil), want{OK, ""}},
		"link-local": {eth(func(h *discovery.Hearing) {
			h.Prefixes = []netip.Prefix{netip.MustParsePrefix("169.254.1.1/16"), netip.MustParsePrefix("fe80::1/64")}
		}), there, want{Note, "DHCP"}},
		"no IPv4":   {eth(func(h *discovery.Hearing) { h.Prefixes = []netip.Prefix{netip.MustParsePrefix("fd00::1/64")} }), there, want{Note, "no IPv4"}},
		"small MTU": {eth(func(h *discovery.Hearing) { h.MTU = 900 }), there, want{Warning, "MTU is 900"}},
		"no socket": {eth(func(h *discovery.Hearing) { h.Err = errors.New("address in use") }), there, want{Warning, "address in use"}},
	} {
		fs := judgeMulticast([]discovery.Hearing{c.h}, c.st)
		if len(fs) != 1 {
			t.Errorf("%s: %+v", name, fs)
			continue
		}
		c.holds(t, name, fs[0])
	}
	wlan := discovery.Hearing{Interface: "wlan0", Unfit: "it is down"}
	if fs := judgeMulticast([]discovery.Hearing{eth(func(*discovery.Hearing) {}), wlan}, there); len(fs) != 2 || Worst(fs) != OK || !strings.Contains(fs[1].Text, "wlan0 (it is down)") {
		t.Errorf("one that is not used: %+v", fs)
	}
	for _, hs := range [][]discovery.Hearing{{wlan}, nil} {
		want{Error, "no interface"}.holds(t, fmt.Sprint(hs), judgeMulticast(hs, there)[0])
	}
}

func TestJudgeReach(t *testing.T) {
	addr := netip.MustParseAddrPort("10.0.0.2:7521")
	both := pings{short: true, long: true}
	heard := target{name: "kitchen", addr: addr, running: true, heard: true, ago: time.Second, roundTrip: 2 * time.Millisecond}
	with := func(change func(*target)) target {
		x := heard
		change(&x)
		return x
	}
	before := target{name: "kitchen", addr: addr}
	for name, c := range map[string]struct {
		x target
		p pings
		want
	}{
		"well":            {heard, both, want{OK, "round trip 2ms); pings of 1200 bytes pass"}},
		"no pings":        {heard, pings{}, want{OK, "heard by UDP 1s ago"}},
		"MTU":             {heard, pings{short: true}, want{Warning, "ping -c 3 -M do -s 1200 10.0.0.2"}},
		"long ago":        {with(func(x *target) { x.ago = time.Hour }), both, want{Warning, "firewall in between"}},
		"broken":          {with(func(x *target) { x.broken = true }), pings{}, want{Warning, "is it off"}},
		"never":           {with(func(x *target) { x.heard = false }), both, want{Warning, "not heard by UDP since"}},
		"never, nowhere":  {target{name: "kitchen", running: true}, pings{}, want{Warning, "address is not known"}},
		"just started":    {with(func(x *target) { x.heard, x.fresh = false, true }), both, want{Note, "just started"}},
		"by the broker":   {with(func(x *target) { x.broken, x.otherwise = true, true }), both, want{Note, "through the broker"}},
		"by the broker 2": {with(func(x *target) { x.ago, x.otherwise = time.Hour, true }), both, want{Note, "through the broker"}},
		"by both":         {with(func(x *target) { x.otherwise = true }), both, want{OK, "pings"}},
		"cannot ping":     {with(func(x *target) { x.heard = false }), pings{err: unix.EPERM}, want{Warning, "sudo"}},
		"before":          {before, both, want{OK, "only a running agent"}},
		"before, gone":    {before, pings{}, want{Note, "no ping"}},
		"before, blinded": {before, pings{err: unix.EPERM}, want{Note, "sudo"}},
	} {
		c.holds(t, name, judgeReach(c.x, c.p))
	}
}

func TestIsReply(t *testing.T) {
	token := []byte("0123456789abcdef")
	reply := func(kind byte) []byte { return append([]byte{kind, 0, 0, 0, 0, 0, 0, 0}, token...) }
	for name, c := range map[string]struct {
		packet []byte
		is4    bool
		want   bool
	}{
		"reply":          {reply(echoReply), true, true},
		"behind IP":      {append(make([]byte, 20), reply(echoReply)...), true, true},
		"the request":    {reply(echoRequest), true, false},
		"reply, IPv6":    {reply(echoReply6), false, true},
		"request, IPv6":  {reply(echoRequest6), false, false},
		"of another":     {append(make([]byte, 8), "another token..."...), true, false},
		"torn":           {token, true, false},
		"nothing at all": {nil, true, false},
	} {
		if got := isReply(c.packet, token, c.is4); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
	// RFC 1071 has this example.
	if got := checksum([]byte{0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7}); got != ^uint16(0xddf2) {
		t.Errorf("checksum %x", got)
	}
}

func TestJudgeBroker(t *testing.T) {
	const url = "mqtts://broker:8883"
	now := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	cause := errors.New("the cause")
	for fault, w := range map[mqttcomms.Fault]want{
		mqttcomms.FaultFiles: {Error, "the cause"}, mqttcomms.FaultDenied: {Note, "sudo"}, mqttcomms.FaultName: {Error, "getent hosts broker"},
		mqttcomms.FaultRefused: {Error, "sport = :8883"}, mqttcomms.FaultUnreachable: {Error, "ping -c 3 broker"}, mqttcomms.FaultAuthority: {Error, "mqtt.ca_file"},
		mqttcomms.FaultExpired: {Error, "certificate"}, mqttcomms.FaultNotYet: {Error, "clock"}, mqttcomms.FaultHost: {Error, "subjectAltName"},
		mqttcomms.FaultNoTLS: {Error, "TLS"}, mqttcomms.FaultTLS: {Error, "mqtt.cert_file"}, mqttcomms.FaultEnded: {Error, "port"},
		mqttcomms.FaultLogin: {Error, "mqtt.password_file"}, mqttcomms.FaultClientID: {Note, "client ID"}, mqttcomms.FaultProtocol: {Error, "MQTT 5"},
		mqttcomms.FaultConnect: {Error, "log"}, "unheard of": {Error, "the cause"},
	} {
		x := mqttcomms.Examination{Broker: url, Fault: fault, Err: cause}
		fs := judgeBroker(x, Subject{}, now)
		if fault == "unheard of" {
			fs[0].Remedy = "none is known"
		}
		if len(fs) != 1 || strings.Contains(fs[0].Command, "HOST") {
			t.Errorf("%s: %+v", fault, fs)
			continue
		}
		w.holds(t, string(fault), fs[0])
	}
	denied := mqttcomms.Examination{Broker: url, Fault: mqttcomms.FaultRights, Refused: []string{"to publish to t"}, Silent: []string{"u"}}
	want{Error, "to publish to t; nor to receive what is published to u"}.holds(t, "rights", judgeBroker(denied, Subject{}, now)[0])
	connected := Subject{Status: &api.Status{MQTT: &api.MQTT{Connected: true, Broker: url}}}
	want{Warning, "the agent is connected"}.holds(t, "rights of the agent", judgeBroker(denied, connected, now)[0])
	well := mqttcomms.Examination{Broker: url, Took: time.Millisecond, Expires: now.Add(soon)}
	if fs := judgeBroker(well, Subject{}, now); len(fs) != 1 || fs[0].Level != OK {
		t.Errorf("well: %+v", fs)
	}
	well.Expires = now.Add(soon - time.Second)
	if fs := judgeBroker(well, Subject{}, now); len(fs) != 2 || fs[1].Level != Warning {
		t.Errorf("expires soon: %+v", fs)
	}
}

func TestJudgeClock(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	later := built.AddDate(0, 1, 0)
	for name, c := range map[string]struct {
		c clockFacts
		want
	}{
		"well":              {clockFacts{now: later, rtc: true, synced: true, known: true}, want{OK, "NTP"}},
		"no RTC":            {clockFacts{now: later, synced: true, known: true}, want{OK, "until NTP"}},
		"1970":              {clockFacts{now: time.Unix(0, 0), known: true, synced: true}, want{Warning, "1970-01-01"}},
		"1970, TLS":         {clockFacts{now: time.Unix(0, 0), tls: true}, want{Error, "certificates"}},
		"no NTP":            {clockFacts{now: later, rtc: true, known: true}, want{Note, "set-ntp"}},
		"neither":           {clockFacts{now: later, known: true}, want{Note, "no RTC"}},
		"neither, with TLS": {clockFacts{now: later, known: true, tls: true}, want{Warning, "certificates"}},
		"who knows":         {clockFacts{now: later}, want{OK, "not known"}},
	} {
		c.c.built = built
		c.holds(t, name, judgeClock(c.c))
	}
}

func TestJudgePlatform(t *testing.T) {
	well := platform{bits: 64, page: 4096, kernel: "6.1.0-rpi", logBytes: 64 << 20, maxFile: 256 << 20}
	with := func(change func(*platform)) platform {
		p := well
		change(&p)
		return p
	}
	for name, c := range map[string]struct {
		p platform
		want
	}{
		"well":        {well, want{OK, "6.1.0-rpi"}},
		"32 bits":     {with(func(p *platform) { p.bits = 32 }), want{OK, "32 bits"}},
		"32, much":    {with(func(p *platform) { p.bits, p.logBytes = 32, 200<<20 }), want{Warning, "limits.log_bytes"}},
		"64, much":    {with(func(p *platform) { p.logBytes = 200 << 20 }), want{OK, ""}},
		"nearly full": {with(func(p *platform) { p.database = 220 << 20 }), want{Warning, "220 of the 256"}},
		"old":         {with(func(p *platform) { p.kernel = "4.14.98-v7+" }), want{Note, "older"}},
		"not so old":  {with(func(p *platform) { p.kernel = "5.4.0" }), want{OK, ""}},
	} {
		c.holds(t, name, judgePlatform(c.p)[0])
	}
}

func TestJudgeMemory(t *testing.T) {
	for name, c := range map[string]struct {
		m memory
		want
	}{
		"well":       {memory{total: 512 << 20, available: 300 << 20, group: 256 << 20, goal: 192 << 20, need: 100 << 20}, want{OK, "allows 256"}},
		"no group":   {memory{total: 512 << 20, available: 300 << 20, need: 100 << 20}, want{OK, "has 512"}},
		"killed":     {memory{total: 512 << 20, group: 64 << 20, need: 100 << 20}, want{Warning, "systemctl edit"}},
		"goal":       {memory{total: 512 << 20, group: 256 << 20, goal: 256 << 20, need: 100 << 20}, want{Warning, "GOMEMLIMIT"}},
		"too little": {memory{total: 128 << 20, need: 100 << 20}, want{Warning, "log_bytes"}},
		"used up":    {memory{total: 512 << 20, available: 50 << 20, need: 100 << 20}, want{Note, "free now"}},
	} {
		c.holds(t, name, judgeMemory(c.m))
	}
	for text, n := range map[string]uint64{"192MiB": 192 << 20, "1GiB": 1 << 30, "100": 100, "100B": 100, "off": 0, "": 0} {
		if got := bytesOf(text); got != n {
			t.Errorf("%q: %d, want %d", text, got, n)
		}
	}
}

func TestJudgePower(t *testing.T) {
	for text, level := range map[string]Level{"0": OK, "0x0": OK, "1": Error, "50005": Error, "50000": Warning, "4": Warning, "8": Warning, "80000": Note, "huh": Note} {
		if f := judgePower(text); f.Level != level {
			t.Errorf("%s: %+v, want %s", text, f, level)
		}
	}
}

// A section that hangs is told of, and holds up nobody.
func TestGatherBounds(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	hang := make(chan struct{})
	defer close(hang)
	fs := gather(ctx, []section{
		{groupMachine, "m", func(context.Context) []Finding { cancel(); return []Finding{found(groupMachine, "m", OK, "well")} }, Note, ""},
		{groupStorage, "s", func(context.Context) []Finding { <-hang; return nil }, Error, "it hangs"},
	})
	if len(fs) == 0 || fs[0].Check != "s" || fs[0].Level != Error || fs[0].Text != "it hangs" {
		t.Errorf("%+v", fs)
	}
}
