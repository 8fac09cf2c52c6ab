package server

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/kv/kvtest"
	"github.com/edgeraft/edgeraft/raft"
)

// Clients put, get and compare-and-set a few keys on all devices while devices
// are cut off, restarted and slow to save. What they saw must be what one
// single copy could have shown (linearizability), reads on followers included.

// clerk is a client of one device after the other.
type clerk struct {
	id      int
	w       *world
	stores  map[*device]*kv.Store
	history *kvtest.History
	rng     *rand.Rand
	known   map[string]uint64 // the index it saw last of each key
}

func (c *clerk) step(i int) {
	d := c.w.devices[c.rng.Intn(len(c.w.devices))]
	in := kvtest.Input{Kind: kvtest.Kind(c.rng.Intn(int(kvtest.Kinds))), Key: fmt.Sprint("key", c.rng.Intn(3)), Value: fmt.Sprintf("%d.%d", c.id, i)}
	in.Index = c.known[in.Key]
	call := c.history.Call()
	out, err := c.do(d, in)
	switch {
	case errors.Is(err, raft.ErrOutcomeUnknown):
		out.Unknown = true
	case err != nil:
		return // surely without effect: it tells nothing
	}
	c.history.Return(c.id, call, in, out)
	if out.Index > 0 {
		c.known[in.Key] = out.Index
	}
}

func (c *clerk) do(d *device, in kvtest.Input) (kvtest.Output, error) {
	c.w.bootMu.RLock()
	server, store := d.Server, c.stores[d]
	c.w.bootMu.RUnlock()
	if in.Kind == kvtest.Get {
		err := server.Barrier(timeout(c.w.t, 3*time.Second))
		v, index, _ := store.Get(in.Key)
		return kvtest.Output{Value: string(v), Index: uint64(index)}, err
	}
	command, err := in.Command()
	if err != nil {
		return kvtest.Output{}, err
	}
	applied, err := server.Propose(timeout(c.w.t, 3*time.Second), command)
	if err != nil {
		return kvtest.Output{}, err
	}
	return in.Output(applied.Index, applied.Result)
}

func TestLinearizable(t *testing.T) {
	for seed := range int64(12) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { linearizable(t, seed) })
		})
	}
}

func linearizable(t *testing.T, seed int64) {
	rng := rand.New(rand.NewSource(seed))
	stores := map[*device]*kv.Store{}
	w := start(t, 3)
	w.snapshotBytes, w.trailBytes = 4<<10, 1<<10
	w.newApp = func(d *device) App {
		stores[d] = kv.New(kv.Options{})
		return stores[d]
	}
	for _, d := range w.devices {
		w.halt(d)
	}
	for _, d := range w.devices {
		w.boot(d, nil)
	}
	history := &kvtest.History{}
	var clerks sync.WaitGroup
	for i := range 5 {
		c := &clerk{id: i, w: w, stores: stores, history: history, rng: rand.New(rand.NewSource(seed*100 + int64(i))), known: map[string]uint64{}}
		clerks.Go(func() {
			for k := range 120 {
				c.step(k)
				<-time.After(time.Duration(c.rng.Intn(200)) * time.Millisecond)
			}
		})
	}
	done := make(chan struct{})
	go func() { clerks.Wait(); close(done) }()
	w.disturb(rng, done)
	if err := history.Check(); err != nil {
		t.Errorf("seed %d: %v", seed, err)
	}
	if n := history.Len(); n < 100 {
		t.Errorf("seed %d: only %d operations took effect", seed, n)
	}
	w.haltAll()
}

// disturb does harm until done, then undoes it.
func (w *world) disturb(rng *rand.Rand, done chan struct{}) {
	for {
		d := w.devices[rng.Intn(len(w.devices))]
		switch rng.Intn(5) {
		case 0, 1:
			w.lan.setCut(d.id, true)
		case 2:
			w.lan.setCut(d.id, false)
		case 3:
			d.card.set(time.Duration(rng.Intn(3000))*time.Millisecond, nil)
		case 4:
			w.halt(d)
			w.bootMu.Lock()
			w.boot(d, nil)
			w.bootMu.Unlock()
		}
		select {
		case <-done:
			for _, d := range w.devices {
				w.lan.setCut(d.id, false)
				d.card.set(time.Millisecond, nil)
			}
			return
		case <-time.After(time.Duration(rng.Intn(2000)) * time.Millisecond):
		}
		if rng.Intn(3) == 0 {
			for _, d := range w.devices {
				w.lan.setCut(d.id, false)
				d.card.set(time.Millisecond, nil)
			}
		}
	}
}
