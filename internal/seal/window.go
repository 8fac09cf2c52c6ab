package seal

// WindowSize is how many counters back from the newest one a packet may come
// late and still be told from a replay. A sender counts its packets to all
// recipients together, so the window must hold a message of a thousand
// fragments that goes to someone else meanwhile.
const WindowSize = 1024

const (
	wordBits = 64
	// windowWords is one word more than the window needs, so that moving it
	// forward clears whole words only (RFC 6479).
	windowWords = WindowSize/wordBits + 1
)

// window remembers which counters of a session were taken. The zero value has
// taken none; counters start at 1.
type window struct {
	newest uint64
	seen   [windowWords]uint64 // a ring of words, indexed by counter/wordBits
}

// fresh reports whether the counter may still be taken.
func (w *window) fresh(counter uint64) bool {
	if counter == 0 {
		return false
	}
	if counter > w.newest {
		return true
	}
	if w.newest-counter >= WindowSize {
		return false
	}
	return w.seen[counter/wordBits%windowWords]&(1<<(counter%wordBits)) == 0
}

// take marks the counter as taken and reports whether it was fresh.
func (w *window) take(counter uint64) bool {
	if !w.fresh(counter) {
		return false
	}
	if counter > w.newest {
		word := w.newest / wordBits
		for range min(counter/wordBits-word, windowWords) {
			word++
			w.seen[word%windowWords] = 0
		}
		w.newest = counter
	}
	w.seen[counter/wordBits%windowWords] |= 1 << (counter % wordBits)
	return true
}
