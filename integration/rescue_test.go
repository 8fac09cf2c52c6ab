package integration

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// twins has a client write two keys in one transaction, again and again, on whoever
// takes it.
func twins(ctx context.Context, agents []*agent) {
	for n := 0; ctx.Err() == nil; n++ {
		value := fmt.Sprint(n)
		one, cancel := context.WithTimeout(ctx, 2*time.Second*slowness)
		_, _ = agents[n%len(agents)].client.Txn(one, api.Txn{Then: []api.Operation{
			{Op: "put", Key: "left", Bytes: api.BytesOf([]byte(value))}, {Op: "put", Key: "right", Bytes: api.BytesOf([]byte(value))},
		}})
		cancel()
	}
}

// stateIn reads a backup as a device would restore it.
func stateIn(file string) (*kv.Store, uint64, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, 0, err
	}
	defer f.Close()
	r, err := backup.NewReader(f)
	if err != nil {
		return nil, 0, err
	}
	data, err := io.ReadAll(r)
	if err != nil {
		return nil, 0, err
	}
	store := kv.New(kv.Options{})
	return store, r.Header.Index, restore.New(once.New(store)).Restore(data)
}

// A backup that is taken under load while the leader is killed is whole and of one
// index, or it is none: the command says so, and nothing is under its name.
func TestBackupWhileTheLeaderDies(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net, agents: []*agent{newAgent(t, net, 1), newAgent(t, net, 2), newAgent(t, net, 3)}}
	c.form()
	fillState(t, c.agents[0], 30)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var load sync.WaitGroup
	load.Go(func() { twins(ctx, c.agents) })
	whole, broken, last := 0, 0, uint64(0)
	for round := range 3 {
		leader := c.awaitLeader(c.agents)
		killed := make(chan struct{})
		time.AfterFunc(time.Duration(20+40*round)*time.Millisecond, func() { leader.proc.Kill(); close(killed) })
		for i := range 6 { // on the leader too, until it is gone
			a := c.agents[i%3]
			file := filepath.Join(t.TempDir(), "state.backup")
			_, err := a.cli("", "backup", "--timeout", "10s", file)
			if err != nil {
				broken++
				if names, _ := filepath.Glob(filepath.Join(filepath.Dir(file), "*")); len(names) > 0 {
					t.Errorf("a backup failed (%v), and left %v", err, names)
				}
				continue
			}
			whole++
			store, index, err := stateIn(file)
			if err != nil {
				t.Fatalf("a backup that was said to be whole: %v", err)
			}
			left, leftAt, _ := store.Get("left")
			right, rightAt, _ := store.Get("right")
			if string(left) != string(right) || leftAt != rightAt || uint64(leftAt) > index || index < last {
				t.Errorf("a backup at index %d, after one at %d, is of no one moment: %q at %d, %q at %d", index, last, left, leftAt, right, rightAt)
			}
			last = index
		}
		<-killed
		leader.start()
	}
	stop()
	load.Wait()
	t.Logf("%d backups whole, %d failed", whole, broken)
	if whole < 6 {
		t.Errorf("only %d of %d backups were taken", whole, whole+broken)
	}
}

// A device dies in the middle of a restore into its new cluster: the state is as it
// was, or all of the backup.
func TestARestoreIsKilled(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 4)
	source := newAgent(t, net, 4)
	source.start()
	source.must("init")
	const values = 100 // of 60 KB
	fillState(t, source, values)
	file := filepath.Join(t.TempDir(), "state.backup")
	source.must("backup", file)
	source.proc.Kill()
	brokenOff := 0
	for i := range 3 {
		a := newAgent(t, net, i+1)
		a.env = append(a.env, fmt.Sprint("EDGERAFT_CLUSTER=apart-", i))
		a.start()
		a.must("init")
		ended := make(chan error, 1)
		go func() {
			_, err := a.cli("", "restore", file)
			ended <- err
		}()
		lab.Eventually(t, "the restore is under way", 30*time.Second*slowness, func() error {
			if st, err := a.status(); err != nil || st.Node.Last < uint64(20+60*i) {
				return fmt.Errorf("at %d: %w", st.Node.Last, err)
			}
			return nil
		})
		a.proc.Kill()
		said := <-ended
		a.start()
		awaitVoters(t, a)
		state, err := stateOf(a)
		if keys := strings.Count(state, "\n"); err != nil || keys != 0 && keys != values || said == nil && keys != values {
			t.Errorf("killed while its log had about %d entries: %d keys of %d, %v; the command said %v", 20+60*i, keys, values, err, said)
		}
		if said != nil {
			brokenOff++
		}
		if said != nil && exitCodeOf(said) != 3 {
			t.Errorf("the agent went away, and the command said %v", said)
		}
		a.proc.Kill()
	}
	if brokenOff == 0 {
		t.Error("no restore was broken off")
	}
}

// Two survivors are recovered at the same moment, each cut off from the other: two
// clusters come of it, which never mix and both say so; and one command makes them
// one.
func TestTwoSurvivorsRecoveredAtOnce(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	var agents []*agent
	for i := range 3 {
		agents = append(agents, newAgent(t, net, i+1))
	}
	formOf(t, agents...)
	agents[0].must("put", "kept", "v")
	old := clusterIDOf(t, agents[0])
	for _, a := range agents {
		a.proc.Kill()
	}
	var both sync.WaitGroup
	errs := make([]error, 2)
	for i := range errs {
		both.Go(func() { _, errs[i] = agents[i].cli("", "recover", "--yes", "--cluster-id", old) })
	}
	both.Wait()
	if err := errors.Join(errs...); err != nil {
		t.Fatal(err)
	}
	for _, a := range agents[:2] {
		a.start()
	}
	awaitVoters(t, agents[0])
	awaitVoters(t, agents[1])
	one, two := clusterIDOf(t, agents[0]), clusterIDOf(t, agents[1])
	if one == two || one == old || two == old {
		t.Fatalf("the clusters are %s and %s, and were %s", one, two, old)
	}
	agents[0].must("put", "whose", "one")
	agents[1].must("put", "whose", "two")
	for _, a := range agents[:2] {
		if w := awaitWarning(t, a, "foreign_cluster"); !strings.Contains(w.Message, "second cluster") {
			t.Errorf("%s: %+v", a.name(), w)
		}
	}
	agents[1].must("join", "--as-new", "--yes")
	awaitVoters(t, agents[:2]...)
	if got := agents[1].must("get", "whose"); got != "one" || clusterIDOf(t, agents[1]) != one {
		t.Errorf("whose is %q", got)
	}
}
