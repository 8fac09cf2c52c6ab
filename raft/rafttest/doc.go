// Package rafttest is a virtual cluster for testing package raft: real Cores on
// a virtual network, virtual disks and virtual time, in one goroutine. One seed
// decides everything that happens, so a failure is a number that can be
// replayed:
//
//	go test ./raft/rafttest -run Sim -seed 17 -events 500
//	go test ./raft/rafttest -run Sim -seeds 100000
//
// Cluster is the machine (cluster.go, node.go, network.go, disk.go, clock.go),
// with clients on it (client.go) and an App whose state is a digest of all it
// applied, which is what its snapshots hold (snapshot.go). What must hold is
// checked after every event (invariants.go). Campaign drives a Cluster through a
// random mixture of faults and then demands that it recovers (campaign.go,
// faults.go).
//
// It is for tests only.
package rafttest
