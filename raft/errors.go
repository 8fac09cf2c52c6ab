package raft

import "errors"

// Errors with which a proposal, a read or a change ends. All but
// ErrOutcomeUnknown mean that it surely had, and will have, no effect.
var (
	// ErrNoLeader: no leader was known, or none with a quorum, until the
	// caller's patience ended.
	ErrNoLeader = errors.New("no leader is known")
	// ErrNotLeader: only the leader can do this; ask it instead.
	ErrNotLeader = errors.New("this device is not the leader")
	// ErrNoSuccessor: there is no such voter, or it has not been heard lately.
	ErrNoSuccessor = errors.New("no voter that is heard could take over")
	// ErrNotFounded: the device belongs to no cluster yet.
	ErrNotFounded = errors.New("this device belongs to no cluster yet")
	// ErrAlreadyFounded: the device belongs to a cluster already.
	ErrAlreadyFounded = errors.New("this device belongs to a cluster already")
	// ErrFounding: the device founds its cluster together with others.
	ErrFounding = errors.New("this device founds its cluster together with others")
	// ErrBusy: a limit on work in flight is reached; try again later.
	ErrBusy = errors.New("too many proposals are in flight")
	// ErrLogFull: the log has reached its limit in bytes.
	ErrLogFull = errors.New("the log is full")
	// ErrDiskFull: the disk has no room for more of the log.
	ErrDiskFull = errors.New("the disk is full")
	// ErrLevel: a member runs a version that does not know the command.
	ErrLevel = errors.New("a member runs a version that does not know this")
	// ErrTooLarge: the command is larger than the limit.
	ErrTooLarge = errors.New("the command is too large")
	// ErrOutcomeUnknown: the proposal was handed on and may yet be committed.
	ErrOutcomeUnknown = errors.New("the outcome is not known yet")
	// ErrStopped: the agent is stopping, or its storage failed.
	ErrStopped = errors.New("the agent is stopping")
	// ErrChangePending: an earlier membership change is not committed yet, or
	// the leader has not committed an entry of its own term yet (the rule of
	// raft-dev 2015, "bug in single-server membership changes").
	ErrChangePending = errors.New("an earlier membership change is not finished")
	// ErrBehind: the learner that is to get a vote lacks too much of the log.
	ErrBehind = errors.New("the learner is not caught up")
	// ErrBadChange: the change makes no sense for the configuration in force.
	ErrBadChange = errors.New("the membership change does not fit the configuration")
)
