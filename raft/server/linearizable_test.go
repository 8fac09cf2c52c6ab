package server

import (
	"errors"
	"fmt"
	"math/rand"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/anishathalye/porcupine"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// Clients put, get and compare-and-set a few keys on all devices while devices
// are cut off, restarted and slow to save. What they saw must be what one
// single copy could have shown (linearizability), reads on followers included.

type opKind int

const (
	opGet opKind = iota
	opPut
	opSwap // compare-and-set
)

type opInput struct {
	kind  opKind
	key   string
	value string
	index uint64 // opSwap: at which the key must have changed last
}

type opOutput struct {
	value   string // opGet
	index   uint64 // where the key changed: last (opGet, a failed opSwap), or by this
	held    bool   // opSwap took effect
	unknown bool   // it may or may not have taken effect, any time from the call on
}

// register is the state of one key. An index that nobody was told is 0 with
// told false.
type register struct {
	value string
	index uint64
	told  bool
}

func (r register) is(index uint64) bool { return !r.told || r.index == index }

var registers = porcupine.Model{
	Partition: func(history []porcupine.Operation) [][]porcupine.Operation {
		byKey := map[string][]porcupine.Operation{}
		for _, op := range history {
			k := op.Input.(opInput).key
			byKey[k] = append(byKey[k], op)
		}
		var out [][]porcupine.Operation
		for _, ops := range byKey {
			out = append(out, ops)
		}
		return out
	},
	Init: func() any { return register{told: true} },
	Step: func(state, input, output any) (bool, any) {
		r, in, out := state.(register), input.(opInput), output.(opOutput)
		switch in.kind {
		case opGet:
			return r.value == out.value && r.is(out.index), register{r.value, out.index, true}
		case opPut:
			return out.unknown || !r.told || out.index > r.index, register{in.value, out.index, !out.unknown}
		}
		switch {
		case out.unknown && r.is(in.index):
			return true, register{value: in.value}
		case out.unknown:
			return true, r // it failed, if at all
		case out.held:
			return r.is(in.index), register{in.value, out.index, true}
		}
		return (!r.told || r.index != in.index) && r.is(out.index), register{r.value, out.index, true}
	},
	DescribeOperation: func(input, output any) string { return fmt.Sprintf("%+v -> %+v", input, output) },
}

// recorder is the history of all clients. Its clock counts calls and returns,
// which orders them also within one instant of virtual time.
type recorder struct {
	clock atomic.Int64
	mu    sync.Mutex
	ops   []porcupine.Operation
}

func (r *recorder) run(client int, in opInput, do func() (opOutput, error)) opOutput {
	call := r.clock.Add(1)
	out, err := do()
	back := r.clock.Add(1)
	switch {
	case errors.Is(err, raft.ErrOutcomeUnknown) && in.kind != opGet:
		out.unknown, back = true, 1<<62
	case err != nil:
		return out // surely without effect: it tells nothing
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.ops = append(r.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back})
	return out
}

// clerk is a client of one device after the other.
type clerk struct {
	id      int
	w       *world
	stores  map[*device]*kv.Store
	history *recorder
	rng     *rand.Rand
	known   map[string]uint64 // the index it saw last of each key
}

func (c *clerk) step(i int) {
	d := c.w.devices[c.rng.Intn(len(c.w.devices))]
	in := opInput{kind: opKind(c.rng.Intn(3)), key: fmt.Sprint("key", c.rng.Intn(3)), value: fmt.Sprintf("%d.%d", c.id, i)}
	in.index = c.known[in.key]
	out := c.history.run(c.id, in, func() (opOutput, error) {
		if in.kind == opGet {
			return c.get(d, in.key)
		}
		return c.change(d, in)
	})
	if out.index > 0 {
		c.known[in.key] = out.index
	}
}

func (c *clerk) get(d *device, key string) (opOutput, error) {
	c.w.bootMu.RLock()
	server, store := d.Server, c.stores[d]
	c.w.bootMu.RUnlock()
	if err := server.Barrier(timeout(c.w.t, 3*time.Second)); err != nil {
		return opOutput{}, err
	}
	v, index, _ := store.Get(key)
	return opOutput{value: string(v), index: uint64(index)}, nil
}

func (c *clerk) change(d *device, in opInput) (opOutput, error) {
	c.w.bootMu.RLock()
	server := d.Server
	c.w.bootMu.RUnlock()
	var condition *uint64
	if in.kind == opSwap {
		condition = &in.index
	}
	command, err := kv.Put(in.key, []byte(in.value), condition)
	if err != nil {
		return opOutput{}, err
	}
	applied, err := server.Propose(timeout(c.w.t, 3*time.Second), command)
	if err != nil {
		return opOutput{}, err
	}
	result, err := kv.ParseResult(applied.Result)
	if result.Outcome == kv.CompareFailed {
		return opOutput{index: result.Index}, err
	}
	return opOutput{index: uint64(applied.Index), held: true}, err
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
	history := &recorder{}
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
	if result := porcupine.CheckOperations(registers, history.ops); !result {
		t.Errorf("seed %d: the %d operations are not linearizable", seed, len(history.ops))
	}
	if n := len(history.ops); n < 100 {
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
