// Package raft is the Raft consensus algorithm as a function: no goroutine,
// clock, lock, logger or I/O. The same inputs give the same outputs, byte for
// byte, so that a failure is a seed that can be replayed.
//
// Time enters as Core.Tick, the world as Core.Step, chance as Config.Random.
// Everything a Core wants done comes out of Core.Ready. The caller (package
// raft/server, or a simulator) saves, sends, applies and tells, and reports
// finished saves with Core.Saved. Saves run beside everything else: messages
// that promise durability (votes, append answers) are withheld inside the core
// until the save that covers them is reported, so a caller cannot get the
// order wrong; all others leave at once (thesis §10.2.1).
//
// Section numbers are those of D. Ongaro, "Consensus: Bridging Theory and
// Practice", Stanford 2014 ("the thesis"). One rule of the thesis is one file:
// election.go, append.go, progress.go, commit.go, membership.go, read.go,
// transfer.go, snapshot.go; proposal.go holds the forwarding of proposals, role.go the roles and all
// transitions between them.
//
// A Core is not safe for concurrent use.
package raft
