package app

import (
	"context"
	"errors"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/raft"
)

// ErrBadKey: what was given to Join is not the text of a cluster key. A Node
// wraps it with what is wrong.
var ErrBadKey = errors.New("this is not a cluster key")

// ErrKeysInUse: the keys cannot be changed so at this moment, or not on this
// device. It is wrapped with the reason and what to do.
var ErrKeysInUse = errors.New("the cluster keys cannot be changed so")

// Applied is what became of a committed command.
type Applied struct {
	Index  raft.Index
	Term   raft.Term
	Result []byte // what the App's Apply returned
}

// Node is the agent as the socket sees it. All methods may be called at any
// time from any goroutine. Errors are those of package raft, wrapped with what
// was being done, or a context's error where the caller gave up first.
type Node interface {
	// Propose commits one command and returns what the App made of it. After
	// ErrOutcomeUnknown it may still take effect; after any other error it
	// surely did not and will not.
	Propose(ctx context.Context, command []byte) (Applied, error)
	// Barrier returns once this device's state holds everything that was
	// acknowledged anywhere before the call (thesis §6.4, ReadIndex).
	Barrier(ctx context.Context) error
	// Status tells all about the device and its cluster. It also answers
	// while there is no key, no cluster and no leader.
	Status(ctx context.Context) (api.Status, error)
	// ChangeMember adds, promotes, demotes or removes a member.
	ChangeMember(ctx context.Context, change raft.Change) error
	// Transfer has the leader hand over to a voter, "" for whom it chooses, and
	// returns the new leader once one is known.
	Transfer(ctx context.Context, to raft.NodeID) (raft.NodeID, error)
	// ClusterTime is what this device believes cluster time to be.
	ClusterTime() raft.Time
}

// Founder brings the device into a cluster. It may be the Node.
type Founder interface {
	// Init founds a new cluster on this device.
	Init(ctx context.Context) (api.Setup, error)
	// Join takes the key, so that this device joins its cluster.
	Join(ctx context.Context, key string) (api.Setup, error)
}

// KeyKeeper changes the keys of a device that has one. It may be the Node.
type KeyKeeper interface {
	ChangeKeys(ctx context.Context, change api.KeyChange) (api.KeyChanged, error)
}
