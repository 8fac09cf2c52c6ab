package traffic

import (
	"encoding/binary"
	"math/rand/v2"
	"time"
)

// RoundTrip measures how long an answer of one device takes. Its owner guards it.
type RoundTrip struct {
	probe uint64    // the number of the probe under way, 0 for none
	sent  time.Time // when it left, zero for not yet
	// Smooth is the measure, 0 while there is none; Echoed is when a probe was last
	// answered, the zero time for never.
	Smooth time.Duration
	Echoed time.Time
}

// Ask begins a probe, in place of one that is under way, and returns its number.
func (r *RoundTrip) Ask() uint64 {
	r.probe, r.sent = rand.Uint64()|1, time.Time{}
	return r.probe
}

// Leaves notes that probe n leaves now.
func (r *RoundTrip) Leaves(n uint64, now time.Time) {
	if n == r.probe {
		r.sent = now
	}
}

// Take takes the answer to probe n and reports whether it was awaited.
func (r *RoundTrip) Take(n uint64, now time.Time) bool {
	if n == 0 || n != r.probe || r.sent.IsZero() {
		return false
	}
	took := max(now.Sub(r.sent), time.Microsecond)
	r.probe, r.Echoed = 0, now
	if r.Smooth == 0 {
		r.Smooth = took
	} else {
		r.Smooth += (took - r.Smooth) / 4
	}
	return true
}

// ProbeLen is the length of a probe and of an echo, its kind included. The zeros
// behind the number make room: no Sealer answers a packet with a longer one, so the
// challenge that a first packet draws must not be longer than a probe that is the
// first.
const ProbeLen = 16

// AppendProbe appends a probe, or an echo, as kind says.
func AppendProbe(dst []byte, kind byte, n uint64) []byte {
	dst = binary.BigEndian.AppendUint64(append(dst, kind), n)
	return append(dst, make([]byte, ProbeLen-1-8)...)
}

// ParseProbe reads the number of a probe or an echo.
func ParseProbe(b []byte) (n uint64, ok bool) {
	if len(b) != ProbeLen {
		return 0, false
	}
	return binary.BigEndian.Uint64(b[1:]), true
}
