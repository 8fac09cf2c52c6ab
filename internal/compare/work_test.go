// Package compare measures edgeraft's core beside that of go.etcd.io/raft/v3,
// doing the same work in the same run. It is a module of its own, so that
// what it is compared with never gets among what edgeraft requires.
//
// Alike are: three voters in one goroutine, PreVote and CheckQuorum, saves
// acknowledged at once, messages handed over in memory without encoding or
// copying, the same limits on them, a snapshot of eight bytes now and then and
// a trail of entries behind it, and no ticks once there is a leader. The limits
// and the trail are those of etcd's own raftexample.
//
// Not alike are, and no effort was made to make them so:
//   - Edgeraft keeps the log in its core; etcd's reads it back from a Storage,
//     here its MemoryStorage, written without asynchronous storage writes. So
//     each has the log in memory once.
//   - Edgeraft gives each proposal an ID that comes back when it is committed or
//     fails, tracks it until then, and counts the bytes of all that it keeps.
//     In etcd that is left to the application, but for the bytes not committed.
//   - Edgeraft checks of each request that a correct leader could have sent it.
//     What makes forwarded proposals take effect at most once costs nothing
//     here: all are made on the leader.
//   - Edgeraft's messages and entries are plain structs passed by value, etcd's
//     are structs of protobuf with a pointer to every field.
//   - Edgeraft collects proposals until Ready. Etcd sends each at once, unless
//     they come to Step together in one message: etcd-together is that.
package compare

import (
	"encoding/binary"
	"fmt"
)

const (
	members       = 3
	proposalBytes = 64

	maxMessageBytes = 1 << 20 // entries in one message, and in one Ready
	maxInflight     = 256     // messages
	maxBytes        = 1 << 30 // of whatever else is bounded: out of the way
	maxProposals    = 4096    // on their way at a time
	snapshotEvery   = 10000   // entries applied
	trail           = 10000   // entries kept behind a snapshot
)

// snapshotData stands for the state of an application.
var snapshotData = make([]byte, 8)

// cluster is three members, of which the first leads.
type cluster interface {
	// propose makes proposals on the leader. They are not to be changed.
	propose(batch [][]byte) error
	// hop has every member do what it wants done, and then delivers what they
	// said. It reports whether there was anything to do.
	hop() (bool, error)
	// member returns the application of member i.
	member(i int) *application
}

// commands are what is proposed, over and over. Each begins with its number.
var commands = func() [][]byte {
	made := make([][]byte, 8<<10) // a multiple of every batch
	for i := range made {
		made[i] = make([]byte, proposalBytes)
		binary.LittleEndian.PutUint64(made[i], uint64(i))
	}
	return made
}()

// application is what one member applies to.
type application struct {
	applied  int // commands
	snapshot int // how many had been applied when one was last taken
}

// apply holds that every command comes in the order in which it was proposed,
// and none is missing or comes twice.
func (a *application) apply(command []byte) error {
	want := uint64(a.applied % len(commands))
	if len(command) != proposalBytes || binary.LittleEndian.Uint64(command) != want {
		return fmt.Errorf("after %d commands came %x, want number %d", a.applied, command, want)
	}
	a.applied++
	return nil
}

// snapshotDue reports, once each time, whether a snapshot is to be taken.
func (a *application) snapshotDue() bool {
	if a.applied-a.snapshot < snapshotEvery {
		return false
	}
	a.snapshot = a.applied
	return true
}

// work is a way to make proposals.
type work struct {
	name  string
	batch int // proposals made at a time
	// pipelined: the next batch is made one hop after the last. Otherwise, when
	// all has been committed and applied by all members.
	pipelined bool
}

var works = []work{
	{name: "one", batch: 1},
	{name: "batch64", batch: 64},
	{name: "pipeline1024", batch: 1024, pipelined: true},
}

// do has n commands committed and applied by all members of c, which is new.
func (w work) do(c cluster, n int) error {
	for made := 0; made < n; {
		at := made % len(commands)
		batch := commands[at : at+min(w.batch, n-made)]
		if err := c.propose(batch); err != nil {
			return fmt.Errorf("proposal %d: %w", made+1, err)
		}
		made += len(batch)
		busy := true
		for busy {
			var err error
			if busy, err = c.hop(); err != nil {
				return fmt.Errorf("after %d proposals: %w", made, err)
			}
			busy = busy && (!w.pipelined || made == n)
		}
	}
	for i := range members {
		if got := c.member(i).applied; got != n {
			return fmt.Errorf("member %d applied %d of %d commands", i+1, got, n)
		}
	}
	return nil
}
