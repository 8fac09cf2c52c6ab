package seal

import (
	"crypto/rand"
	"crypto/sha256"
	"encoding/binary"
	"time"
)

const (
	nonceLen = 8
	// maxAge is the most that a challenge says of its epoch's age: packets that
	// are older are not vouched for, so that clocks which run unequally fast
	// make no difference that matters.
	maxAge = 10 * time.Second
	// ageMargin is the part of the age that is taken off for such clocks.
	ageMargin = 64
)

// epoch is a time since which every proved session is remembered, from a random
// beginning on. To forget one begins another, so that no proof of before counts.
type epoch struct {
	nonce [nonceLen]byte
	since time.Time
	n     uint64
}

// begin draws another nonce. It differs from all earlier ones of this device
// even where the random source repeats itself, by the session's boot number.
func (e *epoch) begin(session sessionID) {
	var random [16]byte
	rand.Read(random[:]) // never fails: it ends the process instead (crypto/rand)
	e.draw(session, random)
	e.since = time.Now()
}

func (e *epoch) draw(session sessionID, random [16]byte) {
	e.n++
	h := sha256.New()
	h.Write([]byte("edgeraft challenge 1"))
	h.Write(session[:])
	h.Write(binary.BigEndian.AppendUint64(nil, e.n))
	h.Write(random[:])
	copy(e.nonce[:], h.Sum(nil))
}

// age is what a challenge says, in microseconds.
func (e *epoch) age() uint32 {
	return uint32(min(time.Since(e.since), maxAge) / time.Microsecond)
}
