package powercut

// History is a recording, understood: for each position what was durable.
type History struct {
	at []moment
}

// moment is the disk after some number of events.
type moment struct {
	durable *Image
	// flight holds, in order, what was done since and is not durable.
	flight []flying
}

// flying is an event in flight.
type flying struct {
	Event
	lost bool // its sync failed: no later sync covers it
}

// Faults says in which way the disk betrays its user.
type Faults struct {
	// Lies makes every sync of the recording one that does nothing.
	Lies bool
}

// NewHistory goes through a recording. A History may be read by several
// goroutines.
func NewHistory(r Recording, f Faults) *History {
	h := &History{at: make([]moment, 0, len(r.Events)+1)}
	now := moment{durable: r.Base.Clone()}
	h.at = append(h.at, now)
	for _, e := range r.Events {
		switch e.Kind {
		case Mark:
		case Sync:
			if !f.Lies {
				now = now.sync(e.Ino)
			}
		case SyncFailed:
			now = now.loseSync(e.Ino)
		case Create, Mkdir:
			now = now.add(e)
			// The inode is there when its name is; its content is not yet.
			now.durable = now.durable.Clone()
			now.durable.applyInode(e)
		default:
			now = now.add(e)
		}
		h.at = append(h.at, now)
	}
	for _, m := range h.at {
		m.durable.freeze()
	}
	return h
}

// Len is the number of positions: one more than there are events.
func (h *History) Len() int { return len(h.at) }

// InFlight is the number of changes that are not durable after pos events.
func (h *History) InFlight(pos int) int { return len(h.at[pos].flight) }

// Cached is what the running system sees after pos events.
func (h *History) Cached(pos int) *Image {
	m := h.at[pos]
	im := m.durable.Clone()
	for _, e := range m.flight {
		im.apply(e.Event)
	}
	return im
}

func (m moment) add(e Event) moment {
	// A copy, since earlier moments share the array behind the slice.
	m.flight = append(m.flight[:len(m.flight):len(m.flight)], flying{Event: e})
	return m
}

// covered reports whether a sync of i is about e.
func (e flying) covered(i Ino) bool {
	switch e.Kind {
	case Write, Truncate:
		return e.Ino == i && !e.lost
	}
	return e.Dir == i
}

func (m moment) sync(i Ino) moment {
	next := moment{durable: m.durable}
	for _, e := range m.flight {
		if !e.covered(i) {
			next.flight = append(next.flight, e)
			continue
		}
		if next.durable == m.durable {
			next.durable = m.durable.Clone()
		}
		switch e.Kind {
		case Write, Truncate:
			next.durable.applyData(e.Event)
		default:
			next.durable.applyName(e.Event)
		}
	}
	return next
}

func (m moment) loseSync(i Ino) moment {
	next := moment{durable: m.durable}
	for _, e := range m.flight {
		e.lost = e.lost || e.covered(i)
		next.flight = append(next.flight, e)
	}
	return next
}
