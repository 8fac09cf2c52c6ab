package raft

// memLog is the log in memory: every entry since index 1. It also knows how far
// the log has been handed to storage and how far storage has reported it
// durable. It is bounded by Config.MaxLogBytes, which the leader enforces.
type memLog struct {
	entries []Entry // entries[i].Index == Index(i+1)
	bytes   int     // sum of Entry.Size
	handed  Index   // last entry that is in a Save already
	stable  Index   // last entry known to be on stable storage
	// unsaved is the size of the entries in (stable, last], in bytes.
	unsaved int
}

// follows reports whether e can stand in a log directly after prev; the zero
// Entry stands for the beginning. Terms never decrease along a log (§3.6.3).
func (e Entry) follows(prev Entry) bool {
	return e.Index == prev.Index+1 && e.Term > 0 && e.Term >= prev.Term && (e.Kind != EntryConfig || e.Config != nil)
}

func (l *memLog) last() Index { return Index(len(l.entries)) }

func (l *memLog) lastTerm() Term { return l.term(l.last()) }

// term returns the term of entry i, or 0 when i is 0 or beyond the end.
func (l *memLog) term(i Index) Term {
	if i == 0 || i > l.last() {
		return 0
	}
	return l.entries[i-1].Term
}

// matches reports whether the log holds an entry of this term at i. Index 0
// always matches: every log agrees before its first entry.
func (l *memLog) matches(i Index, t Term) bool {
	return i == 0 && t == 0 || i > 0 && i <= l.last() && l.term(i) == t
}

// slice returns the entries from lo on whose sizes add up to at most maxBytes,
// but at least one if there is any, and none above hi. The result is shared
// and must not be changed.
func (l *memLog) slice(lo, hi Index, maxBytes int) []Entry {
	if hi > l.last() {
		hi = l.last()
	}
	if lo > hi {
		return nil
	}
	n, size := 0, 0
	for _, e := range l.entries[lo-1 : hi] {
		size += e.Size()
		if n > 0 && size > maxBytes {
			break
		}
		n++
	}
	return l.entries[lo-1 : lo-1+Index(n) : lo-1+Index(n)]
}

func (l *memLog) append(es ...Entry) {
	for _, e := range es {
		l.bytes += e.Size()
		l.unsaved += e.Size()
	}
	l.entries = append(l.entries, es...)
}

// truncate drops the entries from i on.
func (l *memLog) truncate(i Index) {
	for _, e := range l.entries[i-1:] {
		l.bytes -= e.Size()
		if e.Index > l.stable {
			l.unsaved -= e.Size()
		}
	}
	// Cut the capacity: saves and messages in flight share the old array.
	l.entries = l.entries[: i-1 : i-1]
	l.handed = min(l.handed, i-1)
	l.stable = min(l.stable, i-1)
}

// markStable notes that everything up to i is durable.
func (l *memLog) markStable(i Index) {
	if i <= l.stable {
		return
	}
	for _, e := range l.entries[l.stable:i] {
		l.unsaved -= e.Size()
	}
	l.stable = i
}

// upToDate is the election restriction (§3.6.1): whether a log that ends in
// (index, term) is at least as complete as this one.
func (l *memLog) upToDate(index Index, term Term) bool {
	return term > l.lastTerm() || term == l.lastTerm() && index >= l.last()
}
