package udpcomms

import (
	"math/bits"
	"math/rand/v2"
	"slices"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// reassembler puts messages together from fragments of authenticated senders.
// It is safe for concurrent use and takes the time from its caller.
type reassembler struct {
	mu      sync.Mutex
	senders map[raft.NodeID]*inbound // at most maxPeers
	bytes   int                      // of all messages being put together
}

// inbound is what one sender has under way.
type inbound struct {
	building []*assembly // oldest first
	bytes    int
	done     []uint64 // the last finished and abandoned messages, oldest first
}

// assembly is one message being put together.
type assembly struct {
	message  uint64
	data     []byte
	have     []uint64 // a bit for each fragment
	missing  int
	started  time.Time
	requests int       // since the last fragment that was new
	due      time.Time // when to ask for what is missing
}

// ask is a request to be sent for missing fragments.
type ask struct {
	to      raft.NodeID
	message uint64
	runs    []run
}

// add takes a fragment. It returns the whole message when that was the last one
// missing; then the caller owns it. Otherwise reason says why the fragment was
// dropped, or is noDrop.
func (r *reassembler) add(from raft.NodeID, f fragment, now time.Time) (whole []byte, reason drop) {
	r.mu.Lock()
	defer r.mu.Unlock()
	in, reason := r.sender(from)
	if reason != noDrop {
		return nil, reason
	}
	if slices.Contains(in.done, f.message) {
		return nil, dropDuplicateFragment
	}
	i := slices.IndexFunc(in.building, func(a *assembly) bool { return a.message == f.message })
	if i < 0 {
		if i, reason = r.begin(in, f, now); i < 0 {
			return nil, reason
		}
	}
	a := in.building[i]
	if len(a.data) != f.total {
		return nil, dropMalformed
	}
	word, bit := &a.have[f.index/64], uint64(1)<<(f.index%64)
	if *word&bit != 0 {
		return nil, dropDuplicateFragment
	}
	*word |= bit
	copy(a.data[f.index*fragmentData:], f.data)
	a.missing--
	a.requests, a.due = 0, earlier(now.Add(askAfter), a.started.Add(assemblyAtMost))
	if a.missing > 0 {
		return nil, reason
	}
	r.finish(in, i)
	return a.data, reason
}

// noDrop says that nothing was dropped.
const noDrop = dropReasons

// sender returns the entry of a sender, made when there is none.
func (r *reassembler) sender(from raft.NodeID) (*inbound, drop) {
	if in := r.senders[from]; in != nil {
		return in, noDrop
	}
	if len(r.senders) >= maxPeers {
		for id, in := range r.senders {
			if len(in.building) == 0 {
				delete(r.senders, id)
				break
			}
		}
		if len(r.senders) >= maxPeers {
			return nil, dropAssemblyFull
		}
	}
	if r.senders == nil {
		r.senders = map[raft.NodeID]*inbound{}
	}
	in := &inbound{}
	r.senders[from] = in
	return in, noDrop
}

// begin starts a message and returns its place, -1 when there is no room. The
// reason may be one of another message that gave way.
func (r *reassembler) begin(in *inbound, f fragment, now time.Time) (int, drop) {
	reason := noDrop
	for len(in.building) >= maxAssemblies || in.bytes+f.total > maxAssemblyBytes {
		r.finish(in, 0)
		reason = dropIncomplete
	}
	if r.bytes+f.total > maxAllAssemblyBytes {
		return -1, dropAssemblyFull
	}
	count := fragmentCount(f.total)
	in.building = append(in.building, &assembly{
		message: f.message, data: make([]byte, f.total), have: make([]uint64, (count+63)/64),
		missing: count, started: now,
	})
	in.bytes += f.total
	r.bytes += f.total
	return len(in.building) - 1, reason
}

// finish removes message i of a sender and remembers that it is over.
func (r *reassembler) finish(in *inbound, i int) {
	a := in.building[i]
	in.building = slices.Delete(in.building, i, i+1)
	in.bytes -= len(a.data)
	r.bytes -= len(a.data)
	if len(in.done) == rememberDone {
		in.done = slices.Delete(in.done, 0, 1)
	}
	in.done = append(in.done, a.message)
}

// tick returns the requests that are due, how many messages were abandoned, and
// when to call it again: the zero time when nothing is under way.
func (r *reassembler) tick(now time.Time) (asks []ask, abandoned int, next time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	for id, in := range r.senders {
		for i := 0; i < len(in.building); i++ {
			a := in.building[i]
			if !now.Before(a.due) {
				if a.requests >= maxRequests || now.Sub(a.started) >= assemblyAtMost {
					r.finish(in, i)
					abandoned++
					i--
					continue
				}
				asks = append(asks, ask{to: id, message: a.message, runs: a.gaps()})
				pause := min(askAfter<<min(a.requests, 8), askAtMost)
				a.due = now.Add(pause + rand.N(pause/4))
				a.requests++
			}
			next = earlier(next, a.due)
		}
	}
	return asks, abandoned, next
}

// gaps returns the first missing runs of fragments.
func (a *assembly) gaps() []run {
	var runs []run
	count := fragmentCount(len(a.data))
	for i := 0; i < count && len(runs) < maxRanges; {
		if skip := bits.TrailingZeros64(^a.have[i/64] >> (i % 64)); skip > 0 {
			// All of the next skip fragments are here; shifting brought in
			// zeros, so it never reaches over the end of the word.
			i += min(skip, 64-i%64)
			continue
		}
		first := i
		for i < count && a.have[i/64]&(1<<(i%64)) == 0 {
			i++
		}
		runs = append(runs, run{first, i - first})
	}
	return runs
}

// earlier is the earlier of two times, of which the zero time means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
