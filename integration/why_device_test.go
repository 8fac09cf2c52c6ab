package integration

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"go.etcd.io/bbolt"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// oneDevice: what keeps an agent from running, or a user from it.
func oneDevice(t *testing.T) []whyFault {
	a := newAgent(t, lab.New(t, 1), 1)
	config, key, database := filepath.Join(a.dir, "edgeraft.toml"), filepath.Join(a.dir, "cluster.key"), filepath.Join(a.dir, "data", "log.db")
	socket, good := filepath.Join(a.dir, "s"), readFile(t, config)
	restart := func(string) {
		a.proc.Kill()
		a.start()
	}
	var whole []byte
	return []whyFault{
		{"the agent was never started", nil, a, "agent_not_running", []string{"there is no socket " + socket}, "edgeraft run", nil, nil},
		{"it has no key yet", a.start, a, "no_key", []string{"has no cluster key yet"}, "edgeraft init", typed(a, ""), nil},
		{"it is stopped", func() { a.proc.Pause() }, a, "agent_silent", []string{"does not answer"}, "sudo systemctl restart edgeraft", restart, nil},
		{"the user may not use it", nil, a, "socket_denied", []string{socket + " may not be used by this user"}, "sudo usermod -aG edgeraft $USER",
			inGroup(t, a), a.asNobody(t, 65534)},
		{"it was killed, and its configuration misspelt", func() {
			a.proc.Kill()
			writeFile(t, config, append([]byte("nmae = \"x\"\n"), good...))
			chmod(t, key, 0o644) // and a second fault, which it would meet later
		}, a, "config_wrong", []string{config + " line 1: nmae"}, "sudo nano " + config, nil, nil},
		{"then the key is one that all may read", func() { writeFile(t, config, good) }, a, "key_unusable", []string{"others may read or write " + key},
			"sudo chmod 600 " + key, func(next string) { typed(a, "")(next); a.start() }, nil},
		{"it was killed", func() { a.proc.Kill() }, a, "agent_not_running", []string{"it left its socket " + socket + " behind, so it was killed or crashed"},
			"edgeraft run", restart, nil},
		{"the cluster's name was changed", func() {
			a.proc.Terminate(30 * time.Second * slowness)
			a.env = append(a.env, "EDGERAFT_CLUSTER=other")
		}, a, "storage_other", []string{database[:len(database)-7], `the cluster default`}, "sudo nano " + config,
			func(string) { a.env = a.env[:len(a.env)-1]; a.start() }, nil},
		{"the database is of a newer format", func() {
			a.proc.Terminate(30 * time.Second * slowness)
			whole = readFile(t, database)
			formatOfTheFuture(t, database)
		}, a, "storage_newer", []string{"was written by a newer version"}, "sudo apt install edgeraft",
			func(string) { writeFile(t, database, whole); a.start() }, nil}, // as if it were that version
	}
}

// asNobody is the command line in the hands of a user who is nobody, but for a
// group. What that user must read anyway is made readable.
func (a *agent) asNobody(t *testing.T, group uint32) func(stdin string, args ...string) (string, error) {
	t.Helper()
	for _, dir := range []string{filepath.Dir(a.dir), a.dir} {
		chmod(t, dir, 0o755)
	}
	chmod(t, filepath.Join(a.dir, "edgeraft.toml"), 0o644)
	binary := filepath.Join(a.dir, "edgeraft")
	if _, err := os.Stat(binary); err != nil {
		// Not written by this process: what it forks meanwhile would hold the file open.
		if out, err := exec.Command("install", "-m", "755", program[len(program)-1], binary).CombinedOutput(); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
	}
	return func(_ string, args ...string) (string, error) {
		argv := append(append(program[:len(program)-1:len(program)-1], binary), args...)
		cmd := exec.Command(argv[0], argv[1:]...)
		cmd.Env = append(cmd.Env, a.env...)
		cmd.SysProcAttr = &syscall.SysProcAttr{Credential: &syscall.Credential{Uid: 65534, Gid: group}}
		var stdout, stderr bytes.Buffer
		cmd.Stdout, cmd.Stderr = &stdout, &stderr
		err := cmd.Run()
		return stdout.String() + stderr.String(), err
	}
}

// inGroup sees that the same user, once in the socket's group, may ask.
func inGroup(t *testing.T, a *agent) func(string) {
	return func(string) {
		info, err := os.Stat(filepath.Join(a.dir, "s"))
		if err != nil {
			t.Fatal(err)
		}
		if out, err := a.asNobody(t, info.Sys().(*syscall.Stat_t).Gid)("", "why"); err != nil || !strings.HasPrefix(out, "healthy: ") {
			t.Errorf("in the group of the socket: %s, %v", out, err)
		}
	}
}

// formatOfTheFuture makes a database say that it has a format beyond all known.
func formatOfTheFuture(t *testing.T, path string) {
	t.Helper()
	db, err := bbolt.Open(path, 0o600, &bbolt.Options{Timeout: 10 * time.Second, NoFreelistSync: true, PageSize: 4096})
	if err != nil {
		t.Fatal(err)
	}
	err = db.Update(func(tx *bbolt.Tx) error { return tx.Bucket([]byte("state")).Put([]byte("format"), []byte{0x7f, 0x80}) })
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	if err != nil {
		t.Fatal(err)
	}
}

// noRoomToStart: the agent cannot make its database.
func noRoomToStart(t *testing.T) []whyFault {
	net := lab.New(t, 1)
	a := newAgent(t, net, 1)
	a.smallDisk(20 << 20)
	empty := a.fillDisk()
	p := net.Start(1, lab.Command{Name: "an agent without room", Args: append(program, "run"), Env: a.env})
	if err := p.Wait(20 * time.Second * slowness); err == nil {
		t.Error("it started without room")
	}
	data := filepath.Join(a.dir, "data")
	return []whyFault{
		{"the disk is full before the first start", nil, a, "disk_full", []string{"does not run", "the file system of " + data + " is full"}, "df -h " + data,
			func(next string) { typed(a, "")(next); empty(); a.start(); a.must("init") }, nil},
	}
}

// storageOfAMember: three devices, and a copy of one.
func storageOfAMember(t *testing.T) []whyFault {
	net := lab.New(t, 4)
	one, two, three, copied := newAgent(t, net, 1), newAgent(t, net, 2), newAgent(t, net, 3), newAgent(t, net, 4)
	formOf(t, one, two, three)
	database := func(a *agent) string { return filepath.Join(a.dir, "data", "log.db") }
	back := func(a *agent) func(string) {
		return func(string) {
			a.start()
			awaitVoters(t, one, two, three)
		}
	}
	return []whyFault{
		{"the database is damaged", func() {
			three.proc.Kill()
			writeFile(t, database(three), readFile(t, database(three))[:4096])
		}, three, "storage_damaged", []string{filepath.Join(three.dir, "data") + " is damaged"}, "sudo systemctl restart edgeraft", back(three), nil},
		{"the database is gone", func() {
			two.proc.Kill()
			if err := os.Remove(database(two)); err != nil {
				t.Fatal(err)
			}
		}, two, "storage_lost", []string{filepath.Join(two.dir, "data") + " is gone, though this device had one"}, "sudo systemctl restart edgeraft", back(two), nil},
		{"the device is a copy of another", func() {
			one.proc.Kill()
			for _, name := range []string{"data", "cluster.key"} {
				if out, err := exec.Command("cp", "-a", filepath.Join(one.dir, name), copied.dir).CombinedOutput(); err != nil {
					t.Fatalf("%v: %s", err, out)
				}
			}
			one.start()
			awaitVoters(t, one, two, three)
			copied.proc = net.Start(copied.i, lab.Command{Name: "the copy", Args: append(program, "run"), Env: copied.env})
			if err := copied.proc.Wait(30 * time.Second * slowness); err == nil {
				t.Error("the copy ended as if all were well")
			}
		}, copied, "copied_device", []string{filepath.Join(copied.dir, "data") + " was found to be a copy of another device's"}, "sudo edgeraft join --as-new",
			func(next string) { typed(copied, "", "--yes")(next); copied.start() }, nil},
	}
}

func readFile(t *testing.T, path string) []byte {
	t.Helper()
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func chmod(t *testing.T, path string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(path, mode); err != nil {
		t.Fatal(err)
	}
}
