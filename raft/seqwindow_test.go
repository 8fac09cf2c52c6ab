package raft

import (
	"math"
	"math/rand/v2"
	"testing"
)

// TestSeqWindowTakesOnce compares the window with a set that forgets nothing:
// nothing is new twice, and within the window nothing new is refused.
func TestSeqWindowTakesOnce(t *testing.T) {
	for seed := range uint64(50) {
		rng := rand.New(rand.NewPCG(seed, 0))
		w := newSeqWindow(1, 128)
		taken := map[uint64]bool{}
		base := []uint64{1, 1 << 32, math.MaxUint64 - 3000}[seed%3]
		highest := uint64(0)
		for range 2000 {
			n := base + rng.Uint64N(200)
			if rng.IntN(100) == 0 {
				base += rng.Uint64N(300)
				base = min(base, math.MaxUint64-200)
			}
			inWindow := n > highest || highest-n < 128
			is, state := w.take(n), taken[n]
			if is && state {
				t.Fatalf("seed %d: %d is new twice", seed, n)
			}
			if !is && !state && inWindow {
				t.Fatalf("seed %d: %d is refused, though it is new and %d is the highest", seed, n, highest)
			}
			taken[n] = taken[n] || is
			if inWindow {
				highest = max(highest, n)
			}
		}
	}
}

// TestSeqWindowAtTheEndOfNumbers: the greatest number there is ends no loop
// late, and older ones stay taken.
func TestSeqWindowAtTheEndOfNumbers(t *testing.T) {
	w := newSeqWindow(1, 128)
	if !w.take(5) || !w.take(math.MaxUint64) || w.take(math.MaxUint64) || w.take(5) || w.take(0) {
		t.Error("wrong answer")
	}
	if !w.take(math.MaxUint64-127) || w.take(math.MaxUint64-128) {
		t.Error("wrong answer at the edge of the window")
	}
}
