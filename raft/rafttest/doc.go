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
// checked after every event (invariants*.go, clustertime.go). A campaign drives a
// Cluster through a random mixture of faults (faults.go, fulldisk.go), and ordered stories of
// them that chance alone seldom tells (hunt.go); then demands that it recovers and
// rests (campaign.go); then tries it with lasting faults, one after the other
// (trial.go). In some runs the App is the key/value state with idempotency keys
// and TTLs, and what its clients saw is judged (app.go, clerk.go).
//
// Scripts in raft/testdata play a Cluster step by step (script*.go):
//
//	go test ./raft/rafttest -run Scripts [-update]
//
// Other campaigns are foundings (founding_campaign.go) and recoveries from a lost
// majority (rescue_campaign.go): two clusters in one world, each with its invariants.
//
// Bugs in planted/ are what all of this must catch (planted*_test.go):
//
//	go test ./raft/rafttest -run Planted -v [-bug NAME]
//
// It is for tests only.
package rafttest
