package rafttest

import "testing"

// TestRescue runs many seeds of recoveries from a lost majority (RunRescue).
//
//	go test ./raft/rafttest -run 'Rescue$' -seed 17
//	go test ./raft/rafttest -run 'Rescue$' -seeds 100000
func TestRescue(t *testing.T) {
	if *oneSeed != 0 {
		res := runRescue(*oneSeed, *traced)
		t.Logf("%+v", res)
		if res.Violation != nil {
			t.Fatal(res.Violation)
		}
		return
	}
	seeds := *seedCount
	if seeds == defaultSeeds {
		seeds = defaultRescues
	}
	var total Result
	failures := 0
	for res := range runSeeds(seeds, RunRescue) {
		total.add(res)
		if res.Violation == nil || failures >= 3 && !*all {
			continue
		}
		failures++
		t.Error(res.Violation)
	}
	t.Logf("%d seeds, %d recoveries, in %d of which a majority of the old members came back (%d told at once, so that it committed nothing): %d events, %d faults; of the entries committed before, %d kept and %d lost, as was announced; %d changes repeated and recognised; %d snapshots taken and %d restored; slowest convergence %d ticks",
		seeds, total.Rescues, total.Quorate, total.Fenced, total.Events, total.Faults, total.Kept, total.Lost, total.Repeated, total.Snapshots, total.Restores, total.Recovery)
	if seeds >= 100 && (total.Rescues < int(seeds)*8/10 || total.Lost < int(seeds) || total.Kept < int(seeds) || total.Fenced < int(seeds)/10 || total.Repeated < int(seeds)) {
		t.Error("so little was done that nothing is proven")
	}
}
