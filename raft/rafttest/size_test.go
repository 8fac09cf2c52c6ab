//go:build !race

package rafttest

const (
	defaultSeeds  = 300
	seedsPerScene = 20

	defaultFoundings = 2000
	defaultRescues   = 150
)
