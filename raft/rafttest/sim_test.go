package rafttest

import (
	"flag"
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
	for seed := *firstSeed; seed < *firstSeed+*seedCount; seed++ {
		events := *traced
		if *all {
			events = 0
		}
		res := Run(seed, events)
		total.Events += res.Events
		total.Faults += res.Faults
		total.Committed += res.Committed
		total.Acked += res.Acked
		total.Reads += res.Reads
		total.Snapshots += res.Snapshots
		total.Restores += res.Restores
		total.Operations += res.Operations
		total.Repeated += res.Repeated
		total.Refused += res.Refused
		total.Expired += res.Expired
		total.Recovery = max(total.Recovery, res.Recovery)
		if res.Violation != nil {
			t.Error(res.Violation)
			if failures++; failures >= 3 && !*all {
				t.Fatalf("giving up at seed %d", seed)
			}
		}
	}
	t.Logf("%d seeds: %d events, %d faults, %d entries committed, %d proposals acknowledged, %d reads answered, %d snapshots taken and %d restored; slowest recovery %d ticks",
		*seedCount, total.Events, total.Faults, total.Committed, total.Acked, total.Reads, total.Snapshots, total.Restores, total.Recovery)
	t.Logf("of the key/value state: %d operations judged, %d keys recognised, %d refused, %d keys expired", total.Operations, total.Repeated, total.Refused, total.Expired)
	if *seedCount >= 100 && (total.Acked < int(*seedCount) || total.Reads < int(*seedCount)) {
		t.Error("so little was done that nothing is proven")
	}
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
