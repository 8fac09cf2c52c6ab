// Package server drives a raft.Core in the real world: one loop owns the core,
// one goroutine writes to the log, one tells the Monitor. Nothing that can be
// slow runs in the loop, so a disk that takes ten seconds for a sync stops no
// heartbeat. Messages that promise durability are withheld by the core until
// the write that covers them is reported.
//
// After one failed write the Server stops: it neither votes nor acknowledges
// again, and Run returns the error, so that the process can be restarted and
// verify what is really stored (Rebello et al., ATC 2020: a failed fsync must
// never be retried).
package server

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Comms carries messages to and from other devices. It may lose, repeat,
// reorder and delay them.
type Comms interface {
	// Send takes a message for delivery. It must not block, and drops what it
	// cannot take.
	Send(m raft.Message)
	// Received is where messages arrive; always the same channel. It need not
	// be drained for Send to work.
	Received() <-chan raft.Message
}

// BatchComms is a Comms that makes use of knowing which messages leave at the
// same time, such as one that tells what they all say only once.
type BatchComms interface {
	Comms
	// SendBatch does what Send does for each message. The slice is the caller's.
	SendBatch(ms []raft.Message)
}

// Log is stable storage.
type Log interface {
	// Save makes s durable as a whole before it returns nil. It is called from
	// one goroutine. With raft.ErrDiskFull nothing was written, and it is called
	// again with the same and more; meanwhile a Save of a hard state alone, whose
	// commit index counts for nothing, must succeed. Any other error is final.
	Save(s raft.Save) error
	// Short reports whether there is so little room left that no further command
	// should be taken. It is asked between saves, and while it says so now and
	// then; it may do something about it. It must be quick where all is well.
	Short() bool
}

// App is the state machine.
type App interface {
	// Apply takes the next committed entry, executes the command if it is one
	// (EntryCommand), and returns its result for whoever proposed it. Entries
	// of other kinds are Raft's own; they come too, so that the App knows to
	// which index its state belongs. It is called from one goroutine, once for
	// each entry, in order, from the first, or the first behind what Restore
	// brought. It must be deterministic, and must not block: heartbeats wait
	// for it.
	Apply(e raft.Entry) []byte
	// Snapshot returns the whole state as bytes, which stand for all entries
	// applied so far. It is called as Apply is, once the log has grown enough.
	// The bytes must not be changed afterwards.
	Snapshot() []byte
	// Restore puts the App into the state of a Snapshot of this or another
	// device, whatever its state was. It is called as Apply is, first of all
	// at the start when there is one. An error is final.
	Restore(data []byte) error
	// Due returns at which cluster time the next thing in the state falls due,
	// and the command that makes it so, nil if nothing will. The leader
	// proposes that command once an entry of it bears a later time, so nothing
	// falls due too early; Apply must decide by Entry.Time what does. It is
	// called as Apply is, often.
	Due() (at raft.Time, command []byte)
}

// Monitor hears of changes, in order, on a goroutine of its own. However slow
// it is, the Server is not delayed; it then misses changes (Change.Missed).
type Monitor interface {
	Changed(c Change)
}

// Change is the state after something an observer may care about changed: the
// role, the term, the leader, the cluster, the configuration, or a foreign
// cluster that is heard.
type Change struct {
	Role    raft.Role
	Term    raft.Term
	Leader  raft.NodeID // "" while none is known
	Cluster raft.ClusterID
	Config  *raft.Configuration
	// Foreign is the other cluster of this name and key that was heard last, zero
	// for none, and ForeignFrom which device of it was heard first then.
	Foreign     raft.ClusterID
	ForeignFrom raft.NodeID
	// Missed is how many changes before this one were not delivered, because
	// the Monitor was slow.
	Missed int
}

// Config is what a Server needs to know beside its components.
type Config struct {
	// Core's ticks are multiples of Tick; Server fills in nothing of it.
	Core raft.Config
	// Tick is the length of a tick of the core.
	Tick time.Duration
	// Name is this device's label.
	Name string
	// Version is the version of this program, for the others' status.
	Version string
	// Wall is the wall clock, which the others are told of now and then, so that
	// people learn of one that is wrong; nil: they are not. Nothing depends on it.
	Wall func() time.Time
	// Session is a random number of this run, which tells it from those of copies
	// of its storage; 0: none are looked for.
	Session uint64
	// Replaces is who this device was, until it lost its storage and its vote with
	// it. It asks to take the places of those that are members.
	Replaces []raft.NodeID
	// ManualJoin: devices that ask to join wait for an operator.
	ManualJoin bool
	// SnapshotBytes is how much of the log is applied, in bytes of memory,
	// before a snapshot takes its place; 0: DefaultSnapshotBytes.
	SnapshotBytes int
	// CommitWindow is how long entries wait for others before they are written,
	// at most MaxCommitWindow: fewer writes, later answers. AdaptiveWindow picks
	// it by what comes and how long a write takes.
	CommitWindow   time.Duration
	AdaptiveWindow bool
	// DeadAfter is after what silence a voter counts as dead, so that a learner
	// takes its place; 0: never. The leader's monotonic clock counts it.
	DeadAfter time.Duration
	// MaxVoters is the most voters the cluster is given without an operator;
	// odd.
	MaxVoters int
}

// Parts are the ready components a Server is made of. Monitor may be nil.
type Parts struct {
	Comms   Comms
	Log     Log
	App     App
	Monitor Monitor
}

// DefaultSnapshotBytes is Config.SnapshotBytes where that is 0.
const DefaultSnapshotBytes = 8 << 20

// Limits on what waits in a Server. Beyond them callers get raft.ErrBusy, or
// wait for their turn.
const (
	maxReaders       = 1024 // callers of Barrier
	maxLeaderWaiters = 16   // callers of Transfer
	maxRequests      = 256  // calls handed to the loop and not taken up yet
	maxBatch         = 256  // inputs taken between two looks at the core's output
	maxChanges       = 64   // changes the Monitor is behind
)
