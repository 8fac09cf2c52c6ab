package rafttest

import (
	"flag"
	"runtime"
	"sync"
	"sync/atomic"
	"testing"
)

var (
	oneSeed   = flag.Uint64("seed", 0, "run this seed only, and show its trace")
	seedCount = flag.Uint64("seeds", defaultSeeds, "how many seeds to run")
	firstSeed = flag.Uint64("first", 1, "the first seed to run")
	all       = flag.Bool("all", false, "go on after failures, and name them only")
	traced    = flag.Int("events", 120, "how many events to show on a failure")
)

// TestSim runs many seeds; each is a cluster under its own mixture of faults.
func TestSim(t *testing.T) {
	if *oneSeed != 0 {
		res := run(*oneSeed, *traced)
		t.Logf("%+v", res)
		if res.Violation != nil {
			t.Fatal(res.Violation)
		}
		return
	}
	var total Result
	failures := 0
	for res := range runSeeds(*seedCount, Run) {
		total.add(res)
		if res.Violation == nil || failures >= 3 && !*all {
			continue
		}
		failures++
		t.Error(res.Violation)
	}
	t.Logf("%d seeds: %d events, %d faults, %d entries committed, %d proposals acknowledged, %d reads answered, %d snapshots taken and %d restored; slowest recovery %d ticks",
		*seedCount, total.Events, total.Faults, total.Committed, total.Acked, total.Reads, total.Snapshots, total.Restores, total.Recovery)
	t.Logf("of the key/value state: %d operations judged, %d keys recognised, %d refused, %d keys expired", total.Operations, total.Repeated, total.Refused, total.Expired)
	if *seedCount >= 100 && (total.Acked < int(*seedCount) || total.Reads < int(*seedCount)) {
		t.Error("so little was done that nothing is proven")
	}
}

// runSeeds runs so many seeds, on as many cores as there are, until three of them
// failed, or all.
func runSeeds(seeds uint64, run func(seed uint64, events int) Result) <-chan Result {
	results := make(chan Result)
	var next, failures atomic.Uint64
	next.Store(*firstSeed)
	var workers sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		workers.Go(func() {
			for *all || failures.Load() < 3 {
				seed := next.Add(1) - 1
				if seed-*firstSeed >= seeds {
					return
				}
				events := *traced
				if *all {
					events = 0
				}
				res := run(seed, events)
				if res.Violation != nil {
					failures.Add(1)
				}
				results <- res
			}
		})
	}
	go func() {
		workers.Wait()
		close(results)
	}()
	return results
}

// add sums up what runs did.
func (r *Result) add(o Result) {
	r.Events += o.Events
	r.Faults += o.Faults
	r.Committed += o.Committed
	r.Acked += o.Acked
	r.Reads += o.Reads
	r.Snapshots += o.Snapshots
	r.Restores += o.Restores
	r.Operations += o.Operations
	r.Repeated += o.Repeated
	r.Refused += o.Refused
	r.Expired += o.Expired
	r.Rescues += o.Rescues
	r.Kept += o.Kept
	r.Lost += o.Lost
	r.Quorate += o.Quorate
	r.Fenced += o.Fenced
	r.Recovery = max(r.Recovery, o.Recovery)
}

// TestSimIsRepeatable holds the promise that a seed decides everything.
func TestSimIsRepeatable(t *testing.T) {
	for seed := uint64(1); seed <= 10; seed++ {
		a, b := run(seed, 0), run(seed, 10)
		if a.Events != b.Events || a.Committed != b.Committed || a.Acked != b.Acked || a.Reads != b.Reads {
			t.Errorf("seed %d: %+v and then %+v", seed, a, b)
		}
	}
}
