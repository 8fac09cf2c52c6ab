package systemd

import (
	"context"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
)

// proposeEvery is how often each machine under load is asked.
const proposeEvery = 20 * time.Millisecond

// gauge proposes on machines and measures the longest time in which nothing was
// acknowledged on any of them.
type gauge struct {
	stop context.CancelFunc
	done sync.WaitGroup

	mu      sync.Mutex
	last    time.Time // when something was acknowledged last
	longest time.Duration
	acked   int
	errs    map[string]int
}

func startGauge(t testing.TB, on []*machine) *gauge {
	ctx, stop := context.WithCancel(context.Background())
	g := &gauge{stop: stop, errs: map[string]int{}}
	for _, m := range on {
		c := m.client()
		t.Cleanup(c.Close)
		g.done.Go(func() { g.run(ctx, c) })
	}
	t.Cleanup(func() { stop(); g.done.Wait() })
	return g
}

func (g *gauge) run(ctx context.Context, c *client.Client) {
	tick := time.NewTicker(proposeEvery)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
		one, cancel := context.WithTimeout(ctx, 15*time.Second)
		_, err := c.Propose(one, []byte("load"))
		cancel()
		if ctx.Err() == nil {
			g.note(err)
		}
	}
}

func (g *gauge) note(err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if err != nil {
		g.errs[err.Error()]++
		return
	}
	now := time.Now()
	if g.acked > 0 {
		g.longest = max(g.longest, now.Sub(g.last))
	}
	g.last = now
	g.acked++
}

func (g *gauge) ackedSoFar() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.acked
}

// end stops the load and returns the longest time without an acknowledgement,
// how many there were, and what went wrong how often.
func (g *gauge) end() (longest time.Duration, acked int, errs map[string]int) {
	g.stop()
	g.done.Wait()
	g.mu.Lock()
	defer g.mu.Unlock()
	return max(g.longest, time.Since(g.last)), g.acked, g.errs
}
