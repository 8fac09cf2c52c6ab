package rafttest

// Rand is a stream of chance that depends on its seed alone: not on the Go
// release, nor on what other streams are asked (SplitMix64, Steele et al.,
// OOPSLA 2014).
type Rand struct{ state uint64 }

// NewRand starts the stream of a seed.
func NewRand(seed uint64) *Rand { return &Rand{state: seed} }

// Uint64 returns the next number.
func (r *Rand) Uint64() uint64 {
	r.state += 0x9e3779b97f4a7c15
	return mix(r.state)
}

func mix(z uint64) uint64 {
	z = (z ^ z>>30) * 0xbf58476d1ce4e5b9
	z = (z ^ z>>27) * 0x94d049bb133111eb
	return z ^ z>>31
}

// Intn returns a number in [0, n); n must be positive.
func (r *Rand) Intn(n int) int { return int(r.Uint64() % uint64(n)) }

// Between returns a time in [lo, hi].
func (r *Rand) Between(lo, hi Time) Time {
	if hi <= lo {
		return lo
	}
	return lo + Time(r.Uint64()%uint64(hi-lo+1))
}

// Chance is true permille times in a thousand.
func (r *Rand) Chance(permille int) bool { return r.Intn(1000) < permille }

// Fork starts a stream of its own, so that one user's draws do not shift
// another's.
func (r *Rand) Fork() *Rand { return NewRand(r.Uint64()) }
