//go:build planted

package rafttest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// caught says how the simulator found a bug.
type caught struct {
	first     uint64 // seed, 0 for none
	seeds, of int    // in how many it was found
	by        map[string]int
}

// run is what runs a seed of the kind that must catch a bug.
func (b bug) run() func(seed uint64, trace int) Result {
	switch {
	case b.foundings:
		return runFounding
	case b.rescues:
		return runRescue
	}
	return run
}

// catch runs seeds with a bug switched on: until it is found, and then as many
// as make a share.
func catch(b bug) caught {
	raft.Planted = b.name
	defer func() { raft.Planted = "" }()
	c, run := caught{by: map[string]int{}}, b.run()
	for seed := uint64(1); seed <= b.seeds && c.first == 0 || seed <= *perBug; seed++ {
		c.of++
		if v := run(seed, 0).Violation; v != nil {
			c.seeds++
			c.by[v.Invariant]++
			if c.first == 0 {
				c.first = seed
			}
		}
	}
	return c
}

// invariants names those that found a bug, the most frequent first.
func (c caught) invariants() string {
	var names []string
	for name := range c.by {
		names = append(names, name)
	}
	slices.SortFunc(names, func(a, b string) int {
		if c.by[a] != c.by[b] {
			return c.by[b] - c.by[a]
		}
		return strings.Compare(a, b)
	})
	return strings.Join(names, ", ")
}

// TestCatch is the work of TestPlanted. It runs in a build of its own.
func TestCatch(t *testing.T) {
	if *oneSeed != 0 {
		raft.Planted = *oneBug
		run := run
		if bugs := readBugs(t); slices.ContainsFunc(bugs, func(b bug) bool { return b.name == *oneBug }) {
			run = bugs[slices.IndexFunc(bugs, func(b bug) bool { return b.name == *oneBug })].run()
		}
		t.Logf("bug %q, seed %d: %v", *oneBug, *oneSeed, run(*oneSeed, *traced).Violation)
		return
	}
	for _, kind := range []bug{{}, {foundings: true}, {rescues: true}} {
		if kind.seeds = 30; catch(kind).seeds > 0 {
			c := catch(kind)
			t.Fatalf("seed %d fails without any bug switched on: %s", c.first, c.invariants())
		}
	}
	var firsts []int
	table := fmt.Sprintf("%-34s %10s %6s  %s\n", "bug", "seeds", "first", "caught by")
	for _, b := range readBugs(t) {
		if *oneBug != "" && *oneBug != b.name {
			continue
		}
		if b.scene != "" {
			continue // TestPlanted's
		}
		fmt.Println("trying", b.name) // should the bug make the core loop, this says which
		c := catch(b)
		table += fmt.Sprintf("%-34s %4d of %3d %6d  %s\n", b.name, c.seeds, c.of, c.first, c.invariants())
		if c.first == 0 {
			t.Errorf("the bug %s is not caught within %d seeds", b.name, b.seeds)
			continue
		}
		firsts = append(firsts, int(c.first))
	}
	slices.Sort(firsts)
	if len(firsts) > 0 {
		table += fmt.Sprintf("%d bugs caught; seeds needed: median %d, most %d", len(firsts), firsts[len(firsts)/2], firsts[len(firsts)-1])
	}
	t.Log("\n" + table)
}
