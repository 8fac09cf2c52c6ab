package paths

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// set is some of the paths, a bit for each.
type set uint32

func (s set) has(i int) bool { return s&(1<<i) != 0 }

func (c *Comms) all() set { return 1<<len(c.cfg.Paths) - 1 }

// peer is what is known of the paths to a device. Comms.mu guards it.
type peer struct {
	id     raft.NodeID
	links  []link
	use    int       // the path in use, -1: none is known to work
	active time.Time // when it last was spoken with
}

// link is one path to one device.
type link struct {
	heard     time.Time // last, by the path's own account
	spoke     time.Time // last message that was received by it
	asking    time.Time // since when nothing was heard after a message; zero: not so
	owed      time.Time // since when what is surely answered was not; zero: not so
	echoed    time.Time // last answer to a probe
	roundTrip time.Duration
	// sure: a probe was answered since it last broke, so that it works both ways.
	// That something is heard by it shows one way only.
	sure, broken bool
	brokenAt     time.Time // where broken: since when, or since the device was heard again
	probeAt      time.Time
	pause        time.Duration // to the next probe of a broken one
}

// lookUp returns the entry of a device, made when there is none; nil for what is
// no device. The caller holds mu.
func (c *Comms) lookUp(id raft.NodeID, now time.Time) *peer {
	if p := c.peers[id]; p != nil || id == "" {
		return p
	}
	if len(c.peers) >= maxPeers {
		var oldest *peer
		for _, p := range c.peers {
			if oldest == nil || p.active.Before(oldest.active) {
				oldest = p
			}
		}
		delete(c.peers, oldest.id)
	}
	p := &peer{id: id, links: make([]link, len(c.cfg.Paths)), use: -1, active: now}
	for i := range p.links {
		p.links[i].probeAt = now // to learn the round trip
	}
	c.peers[id] = p
	return p
}

// refresh takes over what a path knows of a device. The caller holds mu; paths
// never call back.
func (c *Comms) refresh(p *peer, i int, now time.Time) {
	l := &p.links[i]
	heard, roundTrip := c.cfg.Paths[i].Path.Contact(p.id)
	l.roundTrip = roundTrip
	if heard.After(l.heard) {
		if l.broken && heard.Sub(l.heard) > c.certain() {
			// The device was gone, and is back: now it can be asked.
			l.brokenAt, l.probeAt = heard, now
		}
		l.heard = heard
		if heard.After(l.asking) {
			l.asking = time.Time{}
		}
	}
	if echoed := c.cfg.Paths[i].Path.Echoed(p.id); echoed.After(l.echoed) {
		l.echoed, l.sure = echoed, true
		l.asking, l.owed = time.Time{}, time.Time{}
		if l.broken {
			l.broken, l.pause = false, 0
			l.probeAt = now.Add(jitter(probeEvery))
		}
	}
	if !l.broken && (overdue(l.asking, now, c.cfg.Patience) || overdue(l.owed, now, c.cfg.Patience)) {
		l.broken, l.sure, l.pause, l.probeAt, l.brokenAt = true, false, 0, now, now
	}
}

func overdue(since, now time.Time, patience time.Duration) bool {
	return !since.IsZero() && now.Sub(since) > patience
}

// works reports whether a path is known to work, both ways.
func (l *link) works(now time.Time) bool {
	return l.sure && !l.heard.IsZero() && now.Sub(l.heard) < fresh
}

// asked notes that a message leaves now that calls for a sign of life, and
// whether it is surely answered.
func (l *link) asked(surely bool, now time.Time) {
	if l.asking.IsZero() {
		l.asking = now
	}
	if surely && l.owed.IsZero() {
		l.owed = now
	}
}

// probed notes that a probe leaves now, and plans the next.
func (l *link) probed(now time.Time, patience time.Duration) {
	if l.broken {
		l.pause = min(max(2*l.pause, repairFirst), repairAtMost)
		l.probeAt = now.Add(jitter(l.pause))
		return
	}
	if !l.asking.IsZero() && now.Sub(l.asking) <= patience {
		l.probeAt = now.Add(repairFirst)
	} else {
		l.probeAt = now.Add(jitter(probeEvery))
	}
	l.asked(true, now)
}

// route picks the paths for a message to a device, and reports when another one
// is in use from now on. The caller holds mu.
func (c *Comms) route(p *peer, m raft.Message, now time.Time) (set, *change) {
	p.active = now
	for i := range p.links {
		c.refresh(p, i, now)
	}
	best, answer := c.best(p, now), isAnswer(m)
	// Where no path works both ways, the one by which the device spoke may be of
	// no use to answer it.
	if answer && best >= 0 {
		if lately := p.spokeLately(now); lately != 0 {
			return lately, nil
		}
	}
	var ch *change
	if best != p.use {
		ch = &change{id: p.id}
		if best >= 0 {
			ch.path = c.cfg.Paths[best].Name
		}
		p.use = best
	}
	use := c.all()
	if best >= 0 && now.Sub(p.links[best].heard) < c.certain() {
		use = 1 << best
	}
	if !answer {
		for i := range p.links {
			if use.has(i) {
				p.links[i].asked(isAnswered(m), now)
			}
		}
	}
	return use, ch
}

// certain is for how long a sign of life shows that a device is there.
func (c *Comms) certain() time.Duration { return max(certainFor, 10*c.cfg.Patience) }

// spokeLately is by which paths the device spoke lately. The one by which it
// spoke last is always among them, if that was not too long ago.
func (p *peer) spokeLately(now time.Time) (s set) {
	for i := range p.links {
		if l := &p.links[i]; !l.spoke.IsZero() && now.Sub(l.spoke) < spokeFor {
			s |= 1 << i
		}
	}
	return s
}

// best is the path to use, -1 when none is known to work.
func (c *Comms) best(p *peer, now time.Time) int {
	best := -1
	if p.use >= 0 && p.links[p.use].works(now) {
		best = p.use
	}
	for i := range p.links {
		l := &p.links[i]
		if i == best || !l.works(now) {
			continue
		}
		if best < 0 || better(l.roundTrip, p.links[best].roundTrip, i < best) {
			best = i
		}
	}
	return best
}

// better reports whether a path with round trip a is to replace one with b. What
// is about the same is decided by preference; 0 is not known.
func better(a, b time.Duration, preferred bool) bool {
	switch {
	case a == 0:
		return false
	case b == 0:
		return preferred
	case preferred:
		return a <= b+max(b/4, margin)
	}
	return a+max(b/4, margin) < b
}

// Link is one path to a device, for people.
type Link struct {
	Path      string
	Used      bool // alone; where no path is, all are
	Broken    bool
	Since     time.Time // where broken: since when, or since the device was heard again
	Heard     time.Time // zero for never
	RoundTrip time.Duration
}

// Ask probes a path that was not for a moment, for somebody who looks at it: whether
// it answers is seen in Links soon after. Where there are several paths it does
// nothing: who looks must not change which is used.
func (c *Comms) Ask(id raft.NodeID) {
	if len(c.cfg.Paths) > 1 {
		return
	}
	now, ask := time.Now(), false
	c.mu.Lock()
	if p := c.peers[id]; p != nil {
		c.refresh(p, 0, now)
		l := &p.links[0]
		if ask = !l.broken && l.owed.IsZero() && now.Sub(l.echoed) >= askEvery; ask {
			l.probed(now, c.cfg.Patience)
		}
	}
	c.mu.Unlock()
	if ask {
		c.cfg.Paths[0].Path.Probe(id)
	}
}

// Links tells of all paths to a device, in the order of preference.
func (c *Comms) Links(id raft.NodeID) []Link {
	now := time.Now()
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.peers[id]
	out := make([]Link, len(c.cfg.Paths))
	for i, named := range c.cfg.Paths {
		out[i].Path = named.Name
		if p == nil {
			out[i].Heard, out[i].RoundTrip = named.Path.Contact(id)
			continue
		}
		c.refresh(p, i, now)
		l := p.links[i]
		out[i].Used, out[i].Broken, out[i].Heard, out[i].RoundTrip = p.use == i && l.works(now), l.broken, l.heard, l.roundTrip
		out[i].Since = l.brokenAt
	}
	return out
}
