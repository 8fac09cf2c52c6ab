package raft

// memLog is the log in memory: every entry after base. It also knows how far
// the log has been handed to storage and how far storage has reported it
// durable. It is bounded by Config.MaxLogBytes, which the leader enforces.
type memLog struct {
	base     Index   // the entries up to here are in a snapshot only
	baseTerm Term    // of entry base
	baseTime Time    // likewise
	entries  []Entry // entries[i].Index == base+1+i
	bytes    int     // sum of Entry.Size
	handed   Index   // last entry that is in a Save already
	stable   Index   // last entry known to be on stable storage
	// unsaved is the size of the entries in (stable, last], in bytes.
	unsaved int
}

// follows reports whether e can stand in a log directly after prev; the zero
// Entry stands for the beginning. Terms never decrease along a log (§3.6.3), nor
// does time.
func (e Entry) follows(prev Entry) bool {
	return e.Index == prev.Index+1 && e.Term > 0 && e.Term >= prev.Term && e.Time >= prev.Time && (e.Kind != EntryConfig || e.Config != nil)
}

func (l *memLog) last() Index { return l.base + Index(len(l.entries)) }

// from returns the entries after i, which is not below base.
func (l *memLog) from(i Index) []Entry { return l.entries[i-l.base:] }

func (l *memLog) lastTerm() Term { return l.term(l.last()) }

func (l *memLog) lastTime() Time { return l.time(l.last()) }

// time returns the time of entry i, which is not below base nor beyond the end.
func (l *memLog) time(i Index) Time {
	if i == l.base {
		return l.baseTime
	}
	return l.entries[i-l.base-1].Time
}

// term returns the term of entry i, or 0 when i is 0, below base or beyond the
// end.
func (l *memLog) term(i Index) Term {
	switch {
	case i == l.base:
		return l.baseTerm
	case i < l.base || i > l.last():
		return 0
	}
	return l.entries[i-l.base-1].Term
}

// matches reports whether the log holds an entry of this term at i. Index 0
// always matches: every log agrees before its first entry.
func (l *memLog) matches(i Index, t Term) bool {
	return i == 0 && t == 0 || i > 0 && i >= l.base && i <= l.last() && l.term(i) == t
}

// slice returns the entries from lo on whose sizes add up to at most maxBytes,
// but at least one if there is any, and none above hi. lo is above base. The
// result is shared and must not be changed.
func (l *memLog) slice(lo, hi Index, maxBytes int) []Entry {
	if hi > l.last() {
		hi = l.last()
	}
	if lo > hi {
		return nil
	}
	n, size := 0, 0
	es := l.from(lo - 1)
	for _, e := range es[:hi-lo+1] {
		size += e.Size()
		if n > 0 && size > maxBytes {
			break
		}
		n++
	}
	return es[:n:n]
}

func (l *memLog) append(es ...Entry) {
	for _, e := range es {
		l.bytes += e.Size()
		l.unsaved += e.Size()
	}
	l.entries = append(l.entries, es...)
}

// spareEntries is for how many entries there is room at once after a compaction:
// about 1 MiB.
const spareEntries = 16384

// compact forgets the entries up to i, which is durable, but for its term.
func (l *memLog) compact(i Index) {
	if i <= l.base {
		return
	}
	for _, e := range l.entries[:i-l.base] {
		l.bytes -= e.Size()
	}
	term, time := l.term(i), l.time(i)
	// A copy, so that the old array is freed, with room for some of what comes:
	// growing step by step would cost more than the log itself.
	rest := l.from(i)
	room := min(len(l.entries), len(rest)+spareEntries)
	l.entries = append(make([]Entry, 0, room), rest...)
	l.base, l.baseTerm, l.baseTime = i, term, time
}

// reset makes the log end at, and begin after, an entry that is not in it.
func (l *memLog) reset(i Index, term Term, time Time, durable Index) {
	*l = memLog{base: i, baseTerm: term, baseTime: time, handed: i, stable: durable}
}

// truncate drops the entries from i on, which is above base.
func (l *memLog) truncate(i Index) {
	for _, e := range l.from(i - 1) {
		l.bytes -= e.Size()
		if e.Index > l.stable {
			l.unsaved -= e.Size()
		}
	}
	// Cut the capacity: saves and messages in flight share the old array.
	n := i - 1 - l.base
	l.entries = l.entries[:n:n]
	l.handed = min(l.handed, i-1)
	l.stable = min(l.stable, i-1)
}

// markStable notes that everything up to i is durable.
func (l *memLog) markStable(i Index) {
	if i <= l.stable {
		return
	}
	if lo := max(l.stable, l.base); i > lo {
		for _, e := range l.from(lo)[:i-lo] {
			l.unsaved -= e.Size()
		}
	}
	l.stable = i
}

// upToDate is the election restriction (§3.6.1): whether a log that ends in
// (index, term) is at least as complete as this one.
func (l *memLog) upToDate(index Index, term Term) bool {
	return term > l.lastTerm() || term == l.lastTerm() && index >= l.last()
}
