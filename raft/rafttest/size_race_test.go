//go:build race

package rafttest

// Everything runs in one goroutine, so the race detector finds nothing here
// and makes it ten times as slow.
const (
	defaultSeeds  = 40
	seedsPerScene = 4

	defaultFoundings = 100
	defaultRescues   = 40
)
