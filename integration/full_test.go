package integration

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// smallDisk puts a file system of so many bytes below an agent's data.
func (a *agent) smallDisk(bytes int) {
	a.t.Helper()
	dir := filepath.Join(a.dir, "data")
	if err := os.Mkdir(dir, 0o700); err != nil {
		a.t.Fatal(err)
	}
	if err := syscall.Mount("edgeraft-test", dir, "tmpfs", 0, fmt.Sprintf("size=%d,mode=0700", bytes)); err != nil {
		a.t.Fatal(err)
	}
	a.t.Cleanup(func() {
		if a.proc != nil {
			a.proc.Kill()
		}
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			a.t.Error(err)
		}
	})
}

// fillDisk takes all that is left of an agent's file system, until the function it
// returns is called.
func (a *agent) fillDisk() (empty func()) {
	a.t.Helper()
	path := filepath.Join(a.dir, "data", "ballast")
	f, err := os.Create(path)
	if err != nil {
		a.t.Fatal(err)
	}
	defer f.Close()
	for size := 64 << 10; size >= 1; size /= 16 {
		for err = nil; err == nil; {
			_, err = f.Write(make([]byte, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			a.t.Fatal(err)
		}
	}
	return func() {
		if err := os.Remove(path); err != nil {
			a.t.Error(err)
		}
	}
}

// lacksWarning is nil where an agent's status has a warning, else what it has.
func (a *agent) lacksWarning(code string) error {
	st, err := a.status()
	if err != nil {
		return err
	}
	for _, w := range st.Warnings {
		if w.Code == code {
			return nil
		}
	}
	return fmt.Errorf("warnings %+v, disk %+v", st.Warnings, st.Storage.Disk)
}

// A full disk is a mode: while one device is full all writes go on, on every
// device; while all are full they are refused with 507, stale reads and elections
// go on, and when there is room so does all. Nothing acknowledged is lost.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		a := newAgent(t, net, i+1, "EDGERAFT_DISCOVERY=off", "EDGERAFT_LIMITS_LOG_BYTES=134217728",
			"EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521")
		a.smallDisk(48 << 20)
		c.agents = append(c.agents, a)
	}
	c.form()
	acked := 0
	put := func(a *agent) error {
		_, err := a.client.Put(t.Context(), fmt.Sprintf("key/%d", acked%50), []byte(strings.Repeat("x", 60_000)), client.PutOptions{})
		if err == nil {
			acked++
		}
		return err
	}
	first := c.awaitLeader(c.agents)
	room := map[*agent]func(){first: first.fillDisk()}
	for n := 0; first.lacksWarning("disk_full") != nil; n++ {
		if err := put(c.agents[n%3]); err != nil || n > 1000 {
			t.Fatalf("put %d, with room on two devices: %v", n, err)
		}
	}
	for n := range 30 { // on the full device too
		if err := put(c.agents[n%3]); err != nil {
			t.Fatalf("put %d, with one device full: %v", n, err)
		}
	}
	second := c.awaitLeader(c.agents)
	if second == first {
		t.Error("the full device leads")
	}
	lab.Eventually(t, "the leader tells of the full member", 10*time.Second, func() error { return second.lacksWarning("member_disk_full") })
	for _, a := range c.others(first) {
		room[a] = a.fillDisk()
	}
	var refused *client.Error
	for n := 0; ; n++ {
		err := put(c.agents[n%3])
		if errors.As(err, &refused) && refused.Status == http.StatusInsufficientStorage {
			break
		}
		if n > 1000 || err != nil && (refused == nil || refused.Code != api.CodeOutcomeUnknown) {
			t.Fatalf("put %d, with all devices full: %v", n, err)
		}
	}
	if refused.Code != api.CodeDiskFull {
		t.Errorf("refused with %+v", refused)
	}
	// Elections and restarts go on.
	leader := c.awaitLeader(c.agents)
	leader.proc.Kill()
	c.awaitLeader(c.others(leader))
	leader.start()
	c.awaitLeader(c.agents)
	if got := c.agents[0].must("get", "--stale", "key/1"); len(got) != 60_000 {
		t.Errorf("a read on full disks: %d bytes", len(got))
	}
	for _, empty := range room {
		empty()
	}
	lab.Eventually(t, "writes go on", 60*time.Second, func() error { return put(c.agents[0]) })
	for _, a := range c.agents {
		lab.Eventually(t, a.name()+" has room", 90*time.Second, func() error {
			st, err := a.status()
			if err == nil && (st.Storage.Disk.Mode != api.DiskOK || st.Node.Stable != st.Node.Last) {
				err = fmt.Errorf("disk %+v, %d of %d entries are stored", st.Storage.Disk, st.Node.Stable, st.Node.Last)
			}
			return err
		})
	}
}

// A device without room for its database says how much it takes, and leaves
// nothing behind; with room it starts.
func TestFirstStartOnAFullDisk(t *testing.T) {
	net := lab.New(t, 1)
	a := newAgent(t, net, 1)
	a.smallDisk(20 << 20)
	room := a.fillDisk()
	for range 2 {
		p := net.Start(1, lab.Command{Name: "an agent without room", Args: append(program, "run"), Env: a.env})
		if err := p.Wait(20 * time.Second * slowness); err == nil || !strings.Contains(p.Log(), "16 MiB") || !strings.Contains(p.Log(), "disk is full") {
			t.Errorf("it ended with %v: %s", err, p.Log())
		}
	}
	room()
	if names, err := os.ReadDir(filepath.Join(a.dir, "data")); err != nil || len(names) != 0 {
		t.Errorf("it left %v, %v", names, err)
	}
	a.start()
	a.must("init")
	room = a.fillDisk() // an existing database does not need any
	a.proc.Kill()
	a.start()
	a.must("put", "k", "v")
	room()
	// Nor can anything be written that is read-only; that is said at once.
	a.proc.Kill()
	dir := filepath.Join(a.dir, "data")
	if err := syscall.Mount("", dir, "", syscall.MS_REMOUNT|syscall.MS_RDONLY, ""); err != nil {
		t.Fatal(err)
	}
	p := net.Start(1, lab.Command{Name: "an agent on a read-only file system", Args: append(program, "run"), Env: a.env})
	if err := p.Wait(20 * time.Second * slowness); err == nil || !strings.Contains(p.Log(), "read-only") || !strings.Contains(p.Log(), "fsck") {
		t.Errorf("it ended with %v: %s", err, p.Log())
	}
}
