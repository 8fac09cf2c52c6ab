package paths

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Path is one way to other devices. All methods are safe for concurrent use and
// do not block.
type Path interface {
	Send(m raft.Message)
	Received() <-chan raft.Message
	// Probe asks a device for a sign of life.
	Probe(id raft.NodeID)
	// Contact tells when a device was last heard, the zero time for never, and
	// the round trip to it, 0 while that is not known.
	Contact(id raft.NodeID) (heard time.Time, roundTrip time.Duration)
	// Echoed tells when a device last answered a probe, the zero time for never.
	Echoed(id raft.NodeID) time.Time
}

// batcher is a Path that makes use of knowing what leaves at the same time.
type batcher interface{ SendBatch(ms []raft.Message) }

// Named is a path and what it is called.
type Named struct {
	Name string
	Path Path
}

// Config is what New needs.
type Config struct {
	// Paths, most preferred first: the order decides between round trips that are
	// about the same.
	Paths []Named
	// Patience is how long an answer may take before a path counts as broken. It
	// should be well below the election timeout less a heartbeat, so that a
	// change of path costs no leader.
	Patience time.Duration
	// Changed, when not nil, is told when another path is used for a device; ""
	// for all. It must not block.
	Changed func(id raft.NodeID, path string)
}

// Limits and times.
const (
	// maxReceived is how many messages wait to be taken from Received. Beyond it
	// they wait in their paths, which have limits of their own.
	maxReceived = 16
	// maxPeers is how many devices are kept account of. Beyond it the one that was
	// spoken with longest ago is forgotten.
	maxPeers = 2 * raft.MaxMembers
	// probeEvery is the time between two probes of a path that works, or of which
	// nothing is known; it is spread by a quarter either way.
	probeEvery = 30 * time.Second
	// A broken path is probed again after repairFirst, doubling to repairAtMost.
	repairFirst  = 500 * time.Millisecond
	repairAtMost = 15 * time.Second
	// askEvery is how long after an answer a path is not asked again by Ask.
	askEvery = 2 * time.Second
	// fresh is how long a sign of life shows that a path works.
	fresh = 3 * probeEvery
	// certainFor is how long a sign of life lets a path be used alone, if that is
	// more than ten times the patience.
	certainFor = 3 * time.Second
	// spokeFor is how long after it spoke by a path a device is answered by it.
	spokeFor = time.Second
	// activeFor is how long after a message to it, or from it, a device's paths
	// are probed.
	activeFor = time.Minute
	// A path must be better by a quarter and by margin to replace one in use.
	margin = 2 * time.Millisecond
)

// Comms sends each message by the best path. All methods are safe for concurrent
// use.
type Comms struct {
	cfg      Config
	received chan raft.Message
	ctx      context.Context
	cancel   context.CancelFunc
	wg       sync.WaitGroup

	mu    sync.Mutex
	peers map[raft.NodeID]*peer // at most maxPeers
}

// New makes one transport of several. They are the caller's: Close does not
// close them.
func New(cfg Config) (*Comms, error) {
	if len(cfg.Paths) == 0 || cfg.Patience <= 0 {
		return nil, errors.New("combine transports: at least one and a positive patience are needed")
	}
	c := &Comms{cfg: cfg, received: make(chan raft.Message, maxReceived), peers: map[raft.NodeID]*peer{}}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	for i, p := range cfg.Paths {
		c.wg.Go(func() { c.receive(i, p.Path.Received()) })
	}
	c.wg.Go(c.probe)
	return c, nil
}

// Close ends the goroutines of c.
func (c *Comms) Close() {
	c.cancel()
	c.wg.Wait()
}

// Received delivers what any path does. It is never closed.
func (c *Comms) Received() <-chan raft.Message { return c.received }

// receive hands on what one path delivers.
func (c *Comms) receive(path int, from <-chan raft.Message) {
	for {
		select {
		case <-c.ctx.Done():
			return
		case m := <-from:
			now := time.Now()
			c.mu.Lock()
			if p := c.lookUp(m.From, now); p != nil {
				l := &p.links[path]
				l.spoke, p.active = now, now
				if isAnswer(m) {
					l.owed = time.Time{}
				}
			}
			c.mu.Unlock()
			select {
			case c.received <- m:
			case <-c.ctx.Done():
				return
			}
		}
	}
}

// Send sends a message; see SendBatch.
func (c *Comms) Send(m raft.Message) { c.SendBatch([]raft.Message{m}) }

// SendBatch sends messages, each by the path or paths that are best for it. It
// never blocks and promises nothing.
func (c *Comms) SendBatch(ms []raft.Message) {
	now := time.Now()
	by := make([][]raft.Message, len(c.cfg.Paths))
	var told []change
	c.mu.Lock()
	if c.ctx.Err() != nil {
		c.mu.Unlock()
		return
	}
	for _, m := range ms {
		use := c.all()
		if p := c.lookUp(m.To, now); p != nil {
			var ch *change
			if use, ch = c.route(p, m, now); ch != nil {
				told = append(told, *ch)
			}
		}
		for i := range by {
			if use.has(i) {
				by[i] = append(by[i], m)
			}
		}
	}
	c.mu.Unlock()
	for i, p := range c.cfg.Paths {
		if b, ok := p.Path.(batcher); ok && len(by[i]) > 0 {
			b.SendBatch(by[i])
			continue
		}
		for _, m := range by[i] {
			p.Path.Send(m)
		}
	}
	if c.cfg.Changed != nil {
		for _, ch := range told {
			c.cfg.Changed(ch.id, ch.path)
		}
	}
}

// change is another path for a device.
type change struct {
	id   raft.NodeID
	path string
}

// isAnswer reports whether a message answers one, so that nothing comes back.
func isAnswer(m raft.Message) bool {
	switch m.Body.(type) {
	case raft.AppendResponse, raft.SnapshotResponse, raft.VoteResponse, raft.PreVoteResponse,
		raft.ReadResponse, raft.ForwardRefused, raft.JoinAnswer, raft.Removed:
		return true
	}
	return false
}

// isAnswered reports whether a message is answered by who gets it, whatever it
// makes of it.
func isAnswered(m raft.Message) bool {
	switch m.Body.(type) {
	case raft.AppendRequest, raft.SnapshotRequest:
		return true
	}
	return false
}

// probe asks for signs of life when they are due.
func (c *Comms) probe() {
	timer := time.NewTimer(jitter(repairFirst))
	defer timer.Stop()
	for {
		select {
		case <-c.ctx.Done():
			return
		case now := <-timer.C:
			timer.Reset(c.probeDue(now))
		}
	}
}

// probeDue probes what is due, and returns when to look again.
func (c *Comms) probeDue(now time.Time) time.Duration {
	type due struct {
		id   raft.NodeID
		path int
	}
	var all []due
	next := now.Add(probeEvery / 4)
	c.mu.Lock()
	for id, p := range c.peers {
		if now.Sub(p.active) > activeFor {
			continue
		}
		for i := range p.links {
			l := &p.links[i]
			c.refresh(p, i, now)
			if !now.Before(l.probeAt) {
				all = append(all, due{id, i})
				l.probed(now, c.cfg.Patience)
			}
			if l.probeAt.Before(next) {
				next = l.probeAt
			}
			if late := l.owed.Add(c.cfg.Patience); !l.broken && !l.owed.IsZero() && late.Before(next) {
				next = late
			}
		}
	}
	c.mu.Unlock()
	for _, d := range all {
		c.cfg.Paths[d.path].Path.Probe(d.id)
	}
	return max(next.Sub(now), repairFirst/2)
}

// jitter spreads a pause by a quarter either way.
func jitter(d time.Duration) time.Duration { return d - d/4 + rand.N(d/2+1) }
