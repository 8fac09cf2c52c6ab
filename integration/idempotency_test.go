package integration

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// Changes with idempotency keys take effect once, whatever happens to the
// devices, the answers, and the proposers' patience.
func TestIdempotencyKeys(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	c.form()
	key := mustKey(t, c.agents[0])
	first := c.keyedPut(c.agents[0], key, "paid", "5")
	c.agents[1].must("put", "paid", "taken back")

	keyed := startKeyedLoad(t, c.agents)
	c.load = keyed.load
	c.awaitProgress(c.agents)
	leader := c.awaitLeader(c.agents)
	leader.proc.Kill()
	for _, a := range c.others(leader) {
		if again := c.keyedPut(a, key, "paid", "5"); again != first {
			t.Errorf("put at index %d, and after kill -9 of the leader on %s at %d", first, a.name(), again)
		}
	}
	leader.start()
	c.awaitProgress(c.agents)
	c.check("after kill -9 of the leader")

	for _, a := range c.agents {
		a.proc.Kill()
	}
	for _, a := range c.agents {
		a.start()
	}
	for _, a := range c.agents {
		if again := c.keyedPut(a, key, "paid", "5"); again != first {
			t.Errorf("put at index %d, and after kill -9 of all on %s at %d", first, a.name(), again)
		}
	}
	c.awaitProgress(c.agents)
	c.load.end()
	c.check("at the end")
	t.Logf("%d tries were given up before their answer", keyed.lost.Load())

	if got := c.agents[0].must("get", "paid"); got != "taken back" {
		t.Errorf("a repetition took effect: paid is %q", got)
	}
	out, err := c.agents[1].cli("", "put", "paid", "6", "--idempotency-key", key.Text)
	if err == nil || !strings.Contains(err.Error(), "(key_reused)") {
		t.Errorf("another change with the same key: %q, %v", out, err)
	}
	one, two := c.agents[1].must("propose", "by hand", "--idempotency-key", "k"), c.agents[2].must("propose", "by hand", "--idempotency-key", "k")
	if one != two {
		t.Errorf("one key by the command line on two devices: index %s and %s", one, two)
	}
}

func mustKey(t *testing.T, a *agent) client.Key {
	t.Helper()
	key, err := a.client.NewKey(t.Context())
	if err != nil || key.Since == 0 {
		t.Fatalf("a new key on %s: %+v, %v", a.name(), key, err)
	}
	return key
}

// keyedPut puts with a key until it is answered, and returns the index.
func (c *cluster) keyedPut(a *agent, key client.Key, name, value string) (index uint64) {
	c.t.Helper()
	ctx, cancel := context.WithTimeout(c.t.Context(), 60*time.Second*slowness)
	defer cancel()
	err := a.client.Retry(ctx, key, func(ctx context.Context, keyed *client.Client) (err error) {
		index, err = keyed.Put(ctx, name, []byte(value), client.PutOptions{})
		return err
	})
	if err != nil {
		c.t.Fatalf("put with a key on %s: %v", a.name(), err)
	}
	return index
}

// patience is how long a proposer of the keyed load waits for an answer before
// it tries on the next device: at first hardly long enough, so that many a
// change is made whose answer is lost.
func patience(try int) time.Duration {
	if try == 0 {
		return 2 * time.Millisecond * slowness
	}
	return 40 * time.Millisecond * slowness
}

// keyedLoad is a load whose proposers turn to the next device when an answer
// takes long, with the same key.
type keyedLoad struct {
	*load
	lost atomic.Int64 // tries that were given up before their answer
}

func startKeyedLoad(t testing.TB, agents []*agent) *keyedLoad {
	ctx, stop := context.WithCancel(context.Background())
	l := &keyedLoad{load: &load{stop: stop, acked: make(map[int]int)}}
	for i := range agents {
		l.done.Go(func() {
			tick := time.NewTicker(proposeEvery)
			defer tick.Stop()
			for seq := 1; ctx.Err() == nil; seq++ {
				p, on := l.propose(ctx, tick, agents[i:], agents[:i], fmt.Sprintf("keyed load %d %d", i, seq))
				l.mu.Lock()
				l.proposals = append(l.proposals, p)
				if p.outcome == acknowledged {
					l.acked[on]++
				}
				l.mu.Unlock()
			}
		})
	}
	t.Cleanup(l.end)
	return l
}

// propose proposes a command on one device after the other until it is
// acknowledged, on the device returned, or the load ends.
func (l *keyedLoad) propose(ctx context.Context, tick *time.Ticker, first, then []*agent, command string) (p proposal, on int) {
	agents := slices.Concat(first, then)
	p = proposal{command: command, asked: time.Now(), outcome: refused}
	key := client.Key{Text: command}
	for try := 0; ; try++ {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return p, 0
		}
		a := agents[try%len(agents)]
		if key.Since == 0 {
			fresh, err := a.client.NewKey(ctx)
			if err != nil {
				continue
			}
			key.Since = fresh.Since
		}
		once, cancel := context.WithTimeout(ctx, patience(try))
		applied, err := a.client.WithKey(key).Propose(once, []byte(command))
		cancel()
		if err == nil {
			p.got, p.outcome, p.index = time.Now(), acknowledged, applied.Index
			return p, a.i
		}
		if p.err = err; outcomeOf(err) == unknown {
			p.outcome = unknown
			l.lost.Add(1)
		}
	}
}
