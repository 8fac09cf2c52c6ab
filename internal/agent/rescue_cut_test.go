package agent

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/app"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/internal/powercut"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// What `recover` and `join --as-new` do to a device, on a disk that loses power at
// every write and sync, is killed there, or fails. The program under test is this
// test's binary, since no process may use a disk of its own.
const (
	envRescue = "EDGERAFT_TEST_RESCUE"      // what to do
	envRoot   = "EDGERAFT_TEST_RESCUE_ROOT" // where the disk is
	envKey    = "EDGERAFT_TEST_RESCUE_KEY"  // the other key
)

func TestMain(m *testing.M) {
	if what := os.Getenv(envRescue); what != "" {
		var err error
		if keyNew, err = seal.ParseKey(os.Getenv(envKey)); err == nil {
			err = rescueAt(os.Getenv(envRoot), what)
		}
		if err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		os.Exit(0)
	}
	os.Exit(m.Run())
}

var (
	lostCluster    = raft.ClusterIDFrom([16]byte{1, 2, 3})
	keyOld, keyNew = seal.NewKey(), seal.NewKey()
)

func configAt(root string) config.Config {
	return config.Config{Name: "attic", Cluster: "home", DataDir: filepath.Join(root, "data"), KeyFile: filepath.Join(root, "etc", "key")}
}

// rescueAt does what the command line does where no agent runs.
func rescueAt(root, what string) error {
	cfg := configAt(root)
	switch what {
	case "recover":
		_, err := RecoverOffline(context.Background(), cfg, lostCluster.String())
		return err
	case "as new":
		return StartOverOffline(context.Background(), cfg, seal.Key{}, false)
	case "as new, with another key":
		return StartOverOffline(context.Background(), cfg, keyNew, true)
	}
	return fmt.Errorf("no operation %q", what)
}

// survivorAt makes a member of a lost cluster of three, with a snapshot behind it,
// and returns what it is.
func survivorAt(t *testing.T, root string) boltlog.Opened {
	t.Helper()
	cfg := configAt(root)
	for _, dir := range []string{cfg.DataDir, filepath.Dir(cfg.KeyFile)} {
		if err := os.MkdirAll(dir, 0o700); err != nil {
			t.Fatal(err)
		}
	}
	if err := seal.WriteKeyFile(cfg.KeyFile, keyOld, false); err != nil {
		t.Fatal(err)
	}
	opt := boltlog.Options{ClusterName: cfg.Cluster, RingSize: 8 * powercut.BlockSize, Preallocate: 320 << 10}
	l, first, err := boltlog.Open(cfg.DataDir, opt)
	if err != nil {
		t.Fatal(err)
	}
	conf := &raft.Configuration{Members: []raft.Member{
		{ID: first.Identity.ID, Name: "attic", Role: raft.Voter},
		{ID: raft.NodeIDFrom([10]byte{1}), Role: raft.Voter}, {ID: raft.NodeIDFrom([10]byte{2}), Role: raft.Voter},
	}}
	slices.SortFunc(conf.Members, func(a, b raft.Member) int { return strings.Compare(string(a.ID), string(b.ID)) })
	entries := []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryConfig, Config: conf}}
	for i := raft.Index(2); i < 30; i++ {
		entries = append(entries, raft.Entry{Index: i, Term: 5, Kind: raft.EntryCommand, Data: fmt.Appendf(nil, "command %d", i)})
	}
	save := raft.Save{Seq: 1, State: raft.HardState{Cluster: lostCluster, Term: 7, Vote: conf.Members[1].ID, Commit: 20}, Entries: entries, First: 1}
	if err := errors.Join(l.Save(save), l.Close()); err != nil {
		t.Fatal(err)
	}
	return openedAt(t, cfg.DataDir)
}

// openedAt is what an agent would start with.
func openedAt(t *testing.T, dir string) boltlog.Opened {
	t.Helper()
	opened, err := tryOpen(dir)
	if err != nil {
		t.Fatal(err)
	}
	return opened
}

func tryOpen(dir string) (boltlog.Opened, error) {
	l, opened, err := boltlog.Open(dir, boltlog.Options{ClusterName: "home"})
	if err != nil {
		return boltlog.Opened{}, err
	}
	return opened, l.Close()
}

// cutter tries one command.
type cutter struct {
	t    *testing.T
	what string
	was  boltlog.Opened
	base *powercut.Image
	seen map[uint64]bool // states that were looked at
	// How many states there were of each outcome.
	before, halfway, after int
}

func mountAt(t *testing.T, r powercut.Recording) (*powercut.Disk, string) {
	t.Helper()
	dir := shmDir(t)
	d, err := powercut.Mount(dir, r)
	if err == nil {
		return d, dir
	}
	need.Skip(t, "%v (the test needs /dev/fuse, and root or the command fusermount3; scripts/test-deps.sh installs it)", err)
	return nil, ""
}

// shmDir is a new directory, in memory where there is such a place.
func shmDir(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("/dev/shm", "edgeraft-rescue-")
	if err != nil {
		return t.TempDir()
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	return dir
}

// imageOf reads a directory tree into a disk at rest.
func imageOf(t *testing.T, root string) *powercut.Image {
	t.Helper()
	d, dir := mountAt(t, powercut.Recording{Base: powercut.NewImage()})
	if out, err := exec.Command("cp", "-r", root+"/.", dir).CombinedOutput(); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	if err := d.Unmount(); err != nil {
		t.Fatal(err)
	}
	r := d.Recording()
	return powercut.NewHistory(r, powercut.Faults{}).Cached(len(r.Events))
}

func newCutter(t *testing.T, what string) *cutter {
	root := shmDir(t)
	was := survivorAt(t, root)
	return &cutter{t: t, what: what, was: was, base: imageOf(t, root), seen: map[uint64]bool{}}
}

// run carries the command out on a disk that goes on from r, and fails its nth
// event if n is not 0.
func (c *cutter) run(r powercut.Recording, n int, errno syscall.Errno) (powercut.Recording, error) {
	c.t.Helper()
	d, dir := mountAt(c.t, r)
	at := 0
	d.Fail(func(powercut.Event) syscall.Errno {
		if at++; at == n {
			return errno
		}
		return 0
	})
	cmd := exec.Command(os.Args[0])
	cmd.Env = append(os.Environ(), envRescue+"="+c.what, envRoot+"="+dir, envKey+"="+keyNew.Text(), "GORACE=atexit_sleep_ms=0")
	out, err := cmd.CombinedOutput()
	if err != nil {
		err = fmt.Errorf("%s: %w: %s", c.what, err, out)
	}
	if err := d.Unmount(); err != nil {
		c.t.Fatal(err)
	}
	return d.Recording(), err
}

var everyWrite = flag.Bool("rescue-all", false, "cut a rescue at every write too, not only at some of those that fill new files with zeros (minutes)")

// worth reports whether a cut after pos events is: of many writes in a row some.
func worth(r powercut.Recording, pos, from, to int) bool {
	if pos%stride != 0 {
		return false
	}
	if *everyWrite || pos == from || pos == to || pos < 2 || pos == len(r.Events) {
		return true
	}
	inRow := r.Events[pos-2].Kind == powercut.Write && r.Events[pos-1].Kind == powercut.Write && r.Events[pos].Kind == powercut.Write
	return !inRow || pos%48 == 0
}

// cut cuts the power at positions of a recording, in the ways of the modes, and looks at
// what that leaves.
func (c *cutter) cut(origin string, r powercut.Recording, from, step int, seeds uint64) {
	c.t.Helper()
	h := powercut.NewHistory(r, powercut.Faults{})
	for pos := from; pos < h.Len(); pos += step {
		if !worth(r, pos, from, h.Len()-1) {
			continue
		}
		for _, mode := range powercut.Modes() {
			for seed := range seeds {
				im := h.State(pos, mode, seed)
				if sum := im.Sum(); c.seen[sum] {
					continue
				} else {
					c.seen[sum] = true
				}
				root := filepath.Join(shmDir(c.t), "root")
				if err := im.Materialise(root); err != nil {
					c.t.Fatal(err)
				}
				if err := c.look(root); err != nil {
					c.t.Errorf("%s: power cut after event %d of %d, %v, seed %d: %v", origin, pos, h.Len()-1, mode, seed, err)
				}
				if err := os.RemoveAll(filepath.Dir(root)); err != nil {
					c.t.Fatal(err)
				}
				if mode == powercut.Nothing || mode == powercut.Everything {
					break
				}
			}
		}
	}
}

// look sees what is there after a cut, gives the same command again, and sees that
// it is done then.
func (c *cutter) look(root string) error {
	cfg := configAt(root)
	opened, err := tryOpen(cfg.DataDir)
	lost := errors.Is(err, boltlog.ErrLostDatabase)
	key, keyErr := seal.ReadKeyFile(cfg.KeyFile)
	switch {
	case keyErr != nil:
		return keyErr
	case lost && c.what != "recover":
		c.halfway++
	case err != nil:
		return fmt.Errorf("the device does not start: %w", err)
	case c.done(opened, key):
		c.after++
	case opened.Identity.ID == c.was.Identity.ID && reflect.DeepEqual(opened.Stored, c.was.Stored):
		c.before++ // with the new key it is cut off from its cluster, and no member of another
	default:
		return fmt.Errorf("neither as before nor done: %+v, with the new key: %v", opened, key.Equal(keyNew))
	}
	if err := rescueAt(root, c.what); err != nil {
		return fmt.Errorf("the same command again: %w", err)
	}
	last, err := tryOpen(cfg.DataDir)
	if err != nil {
		return fmt.Errorf("after the same command again: %w", err)
	}
	if key, err = seal.ReadKeyFile(cfg.KeyFile); err != nil || !c.done(last, key) {
		return fmt.Errorf("after the same command again: %+v, key %v", last, err)
	}
	return c.kept(cfg.DataDir)
}

// done reports whether the command has done its work.
func (c *cutter) done(o boltlog.Opened, key seal.Key) bool {
	if c.what != "recover" {
		want := keyOld
		if c.what != "as new" {
			want = keyNew
		}
		return o.Identity.ID != c.was.Identity.ID && slices.Contains(o.Identity.Replaces, c.was.Identity.ID) &&
			o.Stored.State == raft.HardState{} && len(o.Stored.Entries) == 0 && key.Equal(want)
	}
	n := len(c.was.Stored.Entries)
	if o.Identity.ID != c.was.Identity.ID || len(o.Stored.Entries) != n+1 || !reflect.DeepEqual(o.Stored.Entries[:n], c.was.Stored.Entries) {
		return false
	}
	e, s := o.Stored.Entries[n], o.Stored.State
	return s.Cluster.Succeeds(lostCluster) && s.Vote == "" && s.Term == c.was.Stored.State.Term+1 && e.Term == s.Term && e.Kind == raft.EntryConfig &&
		len(e.Config.Members) == 1 && e.Config.IsVoter(o.Identity.ID)
}

// kept sees that what was before is kept, whole, under one of its names.
func (c *cutter) kept(dir string) error {
	name := boltlog.LeftName
	if c.what == "recover" {
		name = boltlog.KeptName
	}
	var bad []error
	for _, name := range []string{name, name + ".older"} {
		data, err := os.ReadFile(filepath.Join(dir, name))
		if err != nil {
			bad = append(bad, err)
			continue
		}
		to := filepath.Join(filepath.Dir(dir), "kept")
		if err := errors.Join(os.RemoveAll(to), os.Mkdir(to, 0o700), os.WriteFile(filepath.Join(to, "log.db"), data, 0o600)); err != nil {
			return err
		}
		was, err := tryOpen(to)
		if err == nil && was.Identity.ID == c.was.Identity.ID && reflect.DeepEqual(was.Stored, c.was.Stored) {
			return nil
		}
		bad = append(bad, fmt.Errorf("%s holds %+v, %w", name, was, err))
	}
	return fmt.Errorf("what was before is not kept: %w", errors.Join(bad...))
}

// TestOnlyWhatIsOnTheDiskCounts: another survivor has more than the disk holds.
func TestOnlyWhatIsOnTheDiskCounts(t *testing.T) {
	root := t.TempDir()
	was := survivorAt(t, root)
	cfg, has := configAt(root), was.Stored.Holding()
	more := raft.Holding{Index: has.Index + 1, Term: has.Term}
	if r, err := recoverFiles(t.Context(), cfg, lostCluster.String(), more); !errors.Is(err, app.ErrRefused) || r.ClusterID != "" {
		t.Errorf("%+v, %v", r, err)
	}
	if now := openedAt(t, cfg.DataDir); !reflect.DeepEqual(now.Stored, was.Stored) {
		t.Errorf("refused, and it is another: %+v", now.Stored)
	}
	if r, err := recoverFiles(t.Context(), cfg, lostCluster.String(), has); err != nil || r.Already || r.Was != lostCluster.String() {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := recoverFiles(t.Context(), cfg, lostCluster.String(), more); err != nil || !r.Already {
		t.Errorf("a second time: %+v, %v", r, err)
	}
}

var rescues = []string{"recover", "as new", "as new, with another key"}

// TestARescueIsCutOff: wherever the power goes, the device is as it was or the
// command is done, and the same command completes it.
func TestARescueIsCutOff(t *testing.T) {
	for _, what := range rescues {
		t.Run(what, func(t *testing.T) {
			c := newCutter(t, what)
			r, err := c.run(powercut.Recording{Base: c.base}, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			c.cut("the first time", r, 0, 1, 3)
			t.Logf("%d events; states: %d as before, %d halfway, %d done", len(r.Events), c.before, c.halfway, c.after)
			if stride == 1 && (c.before == 0 || c.after == 0) {
				t.Error("too few states of one kind to show anything")
			}
		})
	}
}

// TestARescueIsKilled: the process is killed, the command is given again, and the
// power goes then. What the first only got into the page cache must not be taken
// for durable.
func TestARescueIsKilled(t *testing.T) {
	for _, what := range rescues {
		t.Run(what, func(t *testing.T) {
			c := newCutter(t, what)
			r, err := c.run(powercut.Recording{Base: c.base}, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			rng := rand.New(rand.NewPCG(1, 2))
			for pos := 1; pos < len(r.Events); pos++ {
				e := r.Events[pos-1]
				if !worth(r, pos, 1, len(r.Events)) {
					continue
				}
				again, err := c.run(r.Cut(pos), 0, 0)
				if err != nil {
					t.Errorf("killed after event %d (%v): %v", pos, e.Kind, err)
					continue
				}
				end := len(again.Events)
				c.cut(fmt.Sprintf("killed after event %d (%v)", pos, e.Kind), again, end, 1, 2)
				c.cut(fmt.Sprintf("killed after event %d (%v)", pos, e.Kind), again, pos+rng.IntN(end-pos+1), 49, 1)
			}
			t.Logf("states: %d as before, %d halfway, %d done", c.before, c.halfway, c.after)
		})
	}
}

// TestARescueOnABadDisk: each call fails once, for want of room or for good.
func TestARescueOnABadDisk(t *testing.T) {
	for _, what := range rescues {
		t.Run(what, func(t *testing.T) {
			c := newCutter(t, what)
			whole, err := c.run(powercut.Recording{Base: c.base}, 0, 0)
			if err != nil {
				t.Fatal(err)
			}
			failed := 0
			for n := 1; n <= len(whole.Events); n++ {
				if !worth(whole, n, 1, len(whole.Events)) {
					continue
				}
				errno := []syscall.Errno{syscall.ENOSPC, syscall.EIO}[n%2]
				r, err := c.run(powercut.Recording{Base: c.base}, n, errno)
				if err != nil {
					failed++
				}
				h := powercut.NewHistory(r, powercut.Faults{})
				root := filepath.Join(shmDir(t), "root")
				if err := h.Cached(h.Len() - 1).Materialise(root); err != nil {
					t.Fatal(err)
				}
				if looks := c.look(root); looks != nil {
					t.Errorf("call %d fails with %v, and the command says %v: %v", n, errno, err, looks)
				}
			}
			if failed < 10/stride {
				t.Errorf("only %d failures were noticed", failed)
			}
			t.Logf("%d failures; states: %d as before, %d halfway, %d done", failed, c.before, c.halfway, c.after)
		})
	}
}
