package mqttcomms

import (
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// parts puts payloads together from the parts of authenticated senders. A
// connection keeps the order, so parts that come in another order, or not at
// all, end the payload: Raft sends what matters again. It is safe for
// concurrent use and takes the time from its caller.
type parts struct {
	mu      sync.Mutex
	senders map[raft.NodeID]*assembly // at most maxPeers
	bytes   int                       // of all buffers
}

// assembly is the payload that a sender has under way.
type assembly struct {
	payload uint32
	total   int
	data    []byte // what came so far, with room for all of it
	began   time.Time
}

// add takes a part. It returns the whole payload when that was the last one;
// then the caller owns it. Otherwise reason says why something was dropped, or
// is noDrop.
func (p *parts) add(from raft.NodeID, x part, now time.Time) (whole []byte, reason drop) {
	p.mu.Lock()
	defer p.mu.Unlock()
	reason = noDrop
	a := p.senders[from]
	if a != nil && (a.payload != x.payload || a.total != x.total) {
		p.forget(from)
		a, reason = nil, dropIncomplete
	}
	if a == nil {
		if x.offset != 0 {
			return nil, dropIncomplete
		}
		if !p.makeRoom(x.total, now) {
			return nil, dropAssemblyFull
		}
		a = &assembly{payload: x.payload, total: x.total, data: make([]byte, 0, x.total), began: now}
		if p.senders == nil {
			p.senders = map[raft.NodeID]*assembly{}
		}
		p.senders[from] = a
		p.bytes += x.total
	}
	switch {
	case x.offset+len(x.data) <= len(a.data):
		return nil, dropReplay // it is there already
	case x.offset != len(a.data):
		p.forget(from)
		return nil, dropIncomplete
	}
	a.data = append(a.data, x.data...)
	if len(a.data) < a.total {
		return nil, reason
	}
	p.forget(from)
	return a.data, reason
}

// makeRoom reports whether a payload of n bytes may be begun. Those that take
// too long give way.
func (p *parts) makeRoom(n int, now time.Time) bool {
	for id, a := range p.senders {
		if now.Sub(a.began) > assemblyAtMost {
			p.forget(id)
		}
	}
	return len(p.senders) < maxPeers && p.bytes+n <= maxAllAssemblyBytes
}

func (p *parts) forget(from raft.NodeID) {
	p.bytes -= p.senders[from].total
	delete(p.senders, from)
}
