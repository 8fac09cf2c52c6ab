package raft

// seqWindow remembers which numbers of one sender were taken, and which of
// those were refused: exactly for the newest size of them. For older ones it
// fails closed: they count as taken.
type seqWindow struct {
	boot    uint64
	highest uint64
	taken   numberSet
	refused numberSet
}

func newSeqWindow(boot uint64, size int) *seqWindow {
	words := (size + 63) / 64
	return &seqWindow{boot: boot, taken: make(numberSet, words), refused: make(numberSet, words)}
}

func (w *seqWindow) size() uint64 { return uint64(len(w.taken)) * 64 }

func (w *seqWindow) remembers(n uint64) bool {
	return n > 0 && n <= w.highest && w.highest-n < w.size()
}

// take reports whether n is new, and remembers it.
func (w *seqWindow) take(n uint64) bool {
	if n > w.highest {
		// What leaves the window makes room for the numbers skipped.
		for i := range min(n-w.highest, w.size()) {
			w.taken.set(n-i, false)
			w.refused.set(n-i, false)
		}
		w.highest = n
	}
	if !w.remembers(n) || w.taken.has(n) {
		return false
	}
	w.taken.set(n, true)
	return true
}

// refuse remembers that n, just taken, was refused.
func (w *seqWindow) refuse(n uint64) { w.refused.set(n, true) }

// wasRefused reports whether n is known to have been refused.
func (w *seqWindow) wasRefused(n uint64) bool { return w.remembers(n) && w.refused.has(n) }

// numberSet holds numbers modulo 64 times its length.
type numberSet []uint64

func (s numberSet) has(n uint64) bool { return s[n/64%uint64(len(s))]&(1<<(n%64)) != 0 }

func (s numberSet) set(n uint64, in bool) {
	word, bit := &s[n/64%uint64(len(s))], uint64(1)<<(n%64)
	if in {
		*word |= bit
	} else {
		*word &^= bit
	}
}
