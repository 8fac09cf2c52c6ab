package rafttest

import (
	"testing"
)

// TestFounding runs many seeds of foundings (RunFounding).
//
//	go test ./raft/rafttest -run 'Founding$' -seed 17
//	go test ./raft/rafttest -run 'Founding$' -seeds 100000
func TestFounding(t *testing.T) {
	if *oneSeed != 0 {
		res := runFounding(*oneSeed, *traced)
		t.Logf("%+v", res)
		if res.Violation != nil {
			t.Fatal(res.Violation)
		}
		return
	}
	seeds := *seedCount
	if seeds == defaultSeeds {
		seeds = defaultFoundings
	}
	var total Result
	failures := 0
	for res := range runSeeds(seeds, RunFounding) {
		total.add(res)
		if res.Violation == nil || failures >= 3 && !*all {
			continue
		}
		failures++
		t.Error(res.Violation)
	}
	t.Logf("%d foundings: %d events, %d faults, %d entries committed; slowest recovery %d ticks",
		seeds, total.Events, total.Faults, total.Committed, total.Recovery)
}

// TestFoundingCrash crashes each device at each step of a founding, before and
// after what that step brings.
func TestFoundingCrash(t *testing.T) {
	for _, expect := range []int{2, 3} {
		steps := 0
		for step := 1; ; step++ {
			c := &campaign{rng: NewRand(1), profile: profile{blank: expect, most: 5}}
			c.Cluster = New(Options{Seed: 1, Blank: expect, Expect: expect})
			c.planAdmission()
			if c.RunUntil(foundingTicks, func() bool { return c.Leader() != nil }); c.Events() < step {
				break
			}
			steps = step
			for i := range expect {
				crashAt(t, expect, step, i)
			}
		}
		if steps < 20 {
			t.Errorf("a founding of %d devices has %d steps", expect, steps)
		}
		t.Logf("%d devices: a crash of each at each of %d steps", expect, steps)
	}
}

func crashAt(t *testing.T, expect, step, who int) {
	t.Helper()
	c := &campaign{rng: NewRand(1), profile: profile{blank: expect, most: 5}}
	c.Cluster = New(Options{Seed: 1, Blank: expect, Expect: expect, Trace: *traced})
	c.planAdmission()
	c.RunUntil(foundingTicks, func() bool { return c.Events() >= step })
	c.Nodes[who].Crash()
	c.After(step%7, c.Nodes[who].Start)
	c.RunFor(8)
	c.recover()
	c.beOne()
	c.converge()
	if v := c.Failed(); v != nil {
		t.Fatalf("n%d crashes at step %d: %v", who, step, v)
	}
}
