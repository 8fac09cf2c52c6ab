package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// exitCodeOf is how a command of the command line ended.
func exitCodeOf(err error) int {
	var exit *exec.ExitError
	switch {
	case err == nil:
		return 0
	case errors.As(err, &exit):
		return exit.ExitCode()
	}
	return -1
}

// fillState puts n values of 60,000 bytes, several at a time.
func fillState(t *testing.T, a *agent, n int) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 2*time.Minute*slowness)
	defer cancel()
	random := rand.NewChaCha8([32]byte{7})
	value := make([]byte, 60_000)
	random.Read(value)
	slots := make(chan struct{}, 8)
	var all sync.WaitGroup
	for i := range n {
		slots <- struct{}{}
		all.Go(func() {
			defer func() { <-slots }()
			own := append(fmt.Appendf(nil, "%04d", i), value...)
			for {
				_, err := a.client.Put(ctx, fmt.Sprintf("big/%04d", i), own, client.PutOptions{})
				if err == nil {
					return
				}
				if ctx.Err() != nil {
					t.Errorf("put %d: %v", i, err)
					return
				}
			}
		})
	}
	all.Wait()
}

// stateOf is every key of a device with its index and a look at its value, at one
// applied index or later.
func stateOf(a *agent) (string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second*slowness)
	defer cancel()
	var out strings.Builder
	for after := ""; ; {
		page, err := a.client.List(ctx, "", client.ListOptions{After: after})
		if err != nil {
			return "", err
		}
		for _, kv := range page.Items {
			data, err := kv.Data()
			if err != nil {
				return "", err
			}
			fmt.Fprintf(&out, "%s@%d %d bytes %x\n", kv.Key, kv.Index, len(data), data[:min(len(data), 8)])
		}
		if after = page.Next; after == "" {
			return out.String(), nil
		}
	}
}

// A state of the size that is allowed is saved, comes back on all devices at one
// index, and moves into another cluster; what is damaged changes nothing.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 4)
	c := &cluster{t: t, net: net, agents: []*agent{newAgent(t, net, 1), newAgent(t, net, 2), newAgent(t, net, 3)}}
	c.form()
	one, two, three := c.agents[0], c.agents[1], c.agents[2]
	const values = 275 // of 60 KB: nearly 16 MiB
	fillState(t, one, values)
	one.must("put", "--ttl", "2h", "mortal", "soon")
	one.must("put", "--idempotency-key", "order-4711", "paid", "5")
	file := filepath.Join(t.TempDir(), "state.backup")
	began := time.Now()
	t.Log(two.must("backup", file))
	info, err := os.Stat(file)
	if err != nil || info.Size() < 16_000_000 || info.Mode().Perm() != 0o600 {
		t.Fatalf("%v, %v", info, err)
	}
	t.Logf("saved %d bytes in %v", info.Size(), time.Since(began))
	if _, err := two.cli("", "backup", file); exitCodeOf(err) != 1 || !strings.Contains(err.Error(), "--overwrite") {
		t.Errorf("a second backup into the same file: %v", err)
	}
	two.must("backup", "--overwrite", file)
	if left, _ := filepath.Glob(filepath.Join(filepath.Dir(file), ".*")); len(left) > 0 {
		t.Errorf("left behind: %v", left)
	}
	three.must("put", "big/0003", "changed")
	three.must("delete", "big/0004")
	three.must("put", "new", "later")
	checkRefusals(t, three, file)

	began = time.Now()
	var restored api.Restored
	if err := json.Unmarshal([]byte(three.must("restore", "--yes", "--json", file)), &restored); err != nil || restored.Keys != values+2 {
		t.Fatalf("%+v, %v", restored, err)
	}
	t.Logf("restored in %v", time.Since(began))
	want, err := stateOf(three)
	if err != nil || strings.Count(want, "\n") != values+2 || strings.Contains(want, "new@") || strings.Count(want, fmt.Sprintf("@%d ", restored.Index)) != values+2 {
		t.Fatalf("%d keys are not all of index %d: %.300s, %v", strings.Count(want, "\n"), restored.Index, want, err)
	}
	for _, a := range c.agents {
		if got, err := stateOf(a); err != nil || got != want {
			t.Errorf("%s has another state than device-3: %v", a.name(), err)
		}
	}
	if out := one.must("put", "--idempotency-key", "order-4711", "paid", "5"); out == "" {
		t.Error("no answer")
	}
	if got, err := stateOf(one); err != nil || got != want {
		t.Errorf("a repeated change was made once more: %v", err)
	}
	one.proc.Terminate(30 * time.Second * slowness)
	one.start() // from its own card
	if got, err := stateOf(one); err != nil || got != want {
		t.Errorf("after a restart device-1 has another state: %v", err)
	}
	restoreElsewhere(t, newAgent(t, net, 4), file, values+2)
}

// checkRefusals tries files that are not what was written.
func checkRefusals(t *testing.T, a *agent, file string) {
	t.Helper()
	before, err := stateOf(a)
	if err != nil {
		t.Fatal(err)
	}
	good, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	flipped := bytes.Clone(good)
	flipped[len(good)-40] ^= 4
	for name, data := range map[string][]byte{
		"cut": good[:len(good)-1], "flipped": flipped, "other": []byte("#!/bin/sh\n"), "empty": nil,
		"two in one": append(bytes.Clone(good), good...), "a newer format": bytes.Replace(good, []byte("backup 1\n"), []byte("backup 2\n"), 1),
	} {
		bad := filepath.Join(t.TempDir(), name)
		if err := os.WriteFile(bad, data, 0o600); err != nil {
			t.Fatal(err)
		}
		if _, err := a.cli("", "restore", "--yes", bad); exitCodeOf(err) != 1 {
			t.Errorf("%s: %v", name, err)
		}
		if _, err := a.cli("", "restore", "--check", bad); exitCodeOf(err) != 1 {
			t.Errorf("%s: check says %v", name, err)
		}
	}
	// Past the command line's own check too.
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute*slowness)
	defer cancel()
	for name, data := range map[string][]byte{
		"flipped": flipped, "two in one": append(bytes.Clone(good), good...), "a newer format": bytes.Replace(good, []byte("backup 1\n"), []byte("backup 2\n"), 1),
	} {
		var answer *client.Error
		if _, err := a.client.Restore(ctx, bytes.NewReader(data), int64(len(data))); !errors.As(err, &answer) || answer.Status != 400 {
			t.Errorf("the agent took one that is %s: %v", name, err)
		}
	}
	if _, err := a.cli("", "restore", file); exitCodeOf(err) != 2 {
		t.Errorf("without a terminal and --yes: %v", err)
	}
	a.must("restore", "--check", file)
	if after, err := stateOf(a); err != nil || after != before {
		t.Errorf("something changed: %v", err)
	}
}

// restoreElsewhere founds another cluster on a device and restores into that.
func restoreElsewhere(t *testing.T, a *agent, file string, keys int) {
	t.Helper()
	a.env = append(a.env, "EDGERAFT_CLUSTER=elsewhere")
	a.start()
	if _, err := a.cli("", "restore", file); exitCodeOf(err) != 1 || !strings.Contains(err.Error(), "edgeraft init") {
		t.Errorf("without a cluster: %v", err)
	}
	a.must("init")
	a.must("restore", file) // there is nothing to be lost, so it does not ask
	if got, err := stateOf(a); err != nil || strings.Count(got, "\n") != keys {
		t.Errorf("%d keys in the new cluster, %v", strings.Count(got, "\n"), err)
	}
	a.must("put", "--idempotency-key", "order-4711", "paid", "5")
	var paid struct{ Index uint64 }
	if err := json.Unmarshal([]byte(a.must("get", "--json", "paid")), &paid); err != nil {
		t.Fatal(err)
	}
	st, err := a.status()
	if err != nil || paid.Index >= st.Node.Applied {
		t.Errorf("what was paid in the other cluster was paid again: at %d of %d, %v", paid.Index, st.Node.Applied, err)
	}
}
