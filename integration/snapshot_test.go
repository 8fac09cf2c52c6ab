package integration

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// With a small log, snapshots take its place: it never fills up, a device that
// was off gets a snapshot, and so does one that joins; all survive restarts.
func TestSnapshots(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 4)
	c := &cluster{t: t, net: net}
	for i := range 4 {
		c.agents = append(c.agents, newAgent(t, net, i+1, "EDGERAFT_LIMITS_LOG_BYTES=1048576"))
	}
	newcomer := c.agents[3]
	c.agents = c.agents[:3]
	c.form()
	off := c.others(c.awaitLeader(c.agents))[0]
	off.proc.Kill()
	rest := c.others(off)

	// About four times what the log may hold.
	const rounds, keys = 200, 50
	value := []byte(strings.Repeat("v", 16<<10))
	ctx := t.Context()
	for i := range rounds {
		key := fmt.Sprintf("key/%d", i%keys)
		if _, err := rest[i%2].client.Put(ctx, key, append(fmt.Appendf(nil, "%d ", i), value...), client.PutOptions{}); err != nil {
			t.Fatalf("put %d: %v", i, err)
		}
	}
	off.start()
	key, err := rest[0].cli("", "init") // it is founded: this only must not work
	if err == nil {
		t.Errorf("a second init printed %q", key)
	}
	joinAs(t, rest[0], newcomer)
	newcomer.start()
	c.agents = append(c.agents, newcomer)
	c.expectKeys(rounds, keys)

	for _, a := range c.agents {
		a.proc.Kill()
	}
	for _, a := range c.agents {
		a.start()
	}
	c.expectKeys(rounds, keys)
	for _, a := range c.agents {
		st, err := a.status()
		if err != nil {
			t.Fatal(err)
		}
		if st.Storage.LogBytes > 1<<20 || st.Storage.Snapshot == 0 {
			t.Errorf("%s has a log of %d bytes and its snapshot at %d", a.name(), st.Storage.LogBytes, st.Storage.Snapshot)
		}
	}
}

// joinAs gives a device the key of another.
func joinAs(t *testing.T, from, to *agent) {
	t.Helper()
	if _, err := to.cli("", "join", "--file", from.dir+"/cluster.key"); err != nil {
		t.Fatal(err)
	}
}

// expectKeys waits until every device's own state holds the last value of each
// key.
func (c *cluster) expectKeys(rounds, keys int) {
	c.t.Helper()
	for _, a := range c.agents {
		lab.Eventually(c.t, a.name()+" holds all keys", 60*time.Second*slowness, func() error {
			for i := rounds - keys; i < rounds; i++ {
				got, err := a.client.Get(c.t.Context(), fmt.Sprintf("key/%d", i%keys), client.GetOptions{Stale: true})
				if err != nil {
					return err
				}
				if want := fmt.Sprintf("%d v", i); !strings.HasPrefix(string(got.Value), want) {
					return fmt.Errorf("key/%d is %.10q, want %q and so on", i%keys, got.Value, want)
				}
			}
			return nil
		})
	}
}
