package integration

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// A key with a TTL expires on all devices at the same index and never too
// early: on an idle cluster, over the death of the leader, and of all.
func TestTTLs(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	c.form()
	leader := c.awaitLeader(c.agents)
	c.others(leader)[0].must("put", "stays", "yes")

	c.expires("an idle cluster", c.agents, 1500*time.Millisecond, func() {
		list := c.agents[0].must("list")
		if !strings.Contains(list, "\texpires in ") || !strings.Contains(list, "stays\tyes\n") && !strings.HasSuffix(list, "stays\tyes") {
			t.Errorf("list printed %q", list)
		}
	})
	c.expires("over kill -9 of the leader", c.others(leader), 4*time.Second*slowness, func() { leader.proc.Kill() })
	leader.start()
	c.awaitLeader(c.agents)
	c.expires("over kill -9 of all", c.agents, 3*time.Second*slowness, func() {
		for _, a := range c.agents {
			a.proc.Kill()
		}
		for _, a := range c.agents {
			a.start()
		}
	})
	a := c.agents[0]
	a.must("put", "--ttl", "1s", "kept", "by a put without a TTL")
	a.must("put", "kept", "by a put without a TTL")
	c.expires("beside one that lost its TTL", c.agents, 1500*time.Millisecond, func() {})
	for _, a := range c.agents {
		if got := a.must("list"); got != "kept\tby a put without a TTL\nstays\tyes" {
			t.Errorf("%s lists %q", a.name(), got)
		}
	}
	end, err := a.propose("end")
	if err != nil {
		t.Fatal(err)
	}
	first := a.history(end.Index)
	for _, b := range c.agents[1:] {
		if got := b.history(end.Index); strings.Join(got, "") != strings.Join(first, "") {
			t.Errorf("the histories of %s and %s differ:\n%s\n%s", a.name(), b.name(), first, got)
		}
	}
	if n := strings.Count(strings.Join(first, ""), `"kind":"expire"`); n != c.checks {
		t.Errorf("%d events of kind expire, want %d", n, c.checks)
	}
}

// expires puts a key that expires, does something, and waits for the expiry on
// some devices.
func (c *cluster) expires(when string, on []*agent, ttl time.Duration, do func()) {
	c.t.Helper()
	c.checks++
	key := fmt.Sprint("fleeting/", c.checks)
	asked := time.Now()
	index, err := on[0].client.Put(c.t.Context(), key, []byte("v"), client.PutOptions{TTL: ttl.String()})
	if err != nil {
		c.t.Fatal(err)
	}
	do()
	var mu sync.Mutex
	at := make(map[uint64][]string) // who saw it expire at which index
	var done sync.WaitGroup
	for _, a := range on {
		done.Go(func() {
			expired, err := a.awaitExpiry(key, index)
			took := time.Since(asked)
			mu.Lock()
			defer mu.Unlock()
			if err != nil {
				c.t.Errorf("%s: %s: %v", when, a.name(), err)
			} else if took <= ttl {
				c.t.Errorf("%s: on %s it expired after %v, its TTL is %v", when, a.name(), took, ttl)
			}
			at[expired] = append(at[expired], a.name())
		})
	}
	done.Wait()
	if len(at) != 1 {
		c.t.Errorf("%s: it expired at %v", when, at)
	}
	for _, a := range on {
		got, err := a.client.Get(c.t.Context(), key, client.GetOptions{})
		var answer *client.Error
		if !errors.As(err, &answer) || answer.Code != api.CodeNotFound {
			c.t.Errorf("%s: %s still has it: %+v, %v", when, a.name(), got, err)
		}
	}
	c.t.Logf("%s: a TTL of %v took %v", when, ttl, time.Since(asked).Round(10*time.Millisecond))
}

// awaitExpiry watches until a key expires, and returns at which index.
func (a *agent) awaitExpiry(key string, from uint64) (uint64, error) {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second*slowness)
	defer cancel()
	var at uint64
	found := errors.New("found")
	err := a.client.Watch(ctx, client.WatchOptions{From: from, Prefix: key}, func(e api.Event) error {
		if e.Kind != "expire" || e.Key != key {
			return nil
		}
		at = e.Index
		return found
	})
	if !errors.Is(err, found) {
		return 0, err
	}
	return at, nil
}
