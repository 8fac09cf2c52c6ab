package raft

// seqWindow remembers which numbers of one sender were taken: exactly for the
// newest size of them, and for older ones it fails closed: they count as taken.
type seqWindow struct {
	boot    uint64
	highest uint64
	bits    []uint64 // number n is bit n%size
}

func newSeqWindow(boot uint64, size int) *seqWindow {
	return &seqWindow{boot: boot, bits: make([]uint64, (size+63)/64)}
}

func (w *seqWindow) size() uint64 { return uint64(len(w.bits)) * 64 }

// take reports whether n is new, and remembers it.
func (w *seqWindow) take(n uint64) bool {
	if n == 0 || n+w.size() <= w.highest {
		return false
	}
	if n > w.highest {
		// What leaves the window makes room for the numbers skipped.
		for i := max(w.highest+1, n-min(n, w.size()-1)); i <= n; i++ {
			w.bits[i/64%uint64(len(w.bits))] &^= 1 << (i % 64)
		}
		w.highest = n
	}
	word, bit := &w.bits[n/64%uint64(len(w.bits))], uint64(1)<<(n%64)
	if *word&bit != 0 {
		return false
	}
	*word |= bit
	return true
}
