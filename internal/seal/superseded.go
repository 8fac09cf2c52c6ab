package seal

import (
	"encoding/binary"
	"time"
)

// A device whose packets are of an earlier boot than its ID's newest one runs on
// an old copy of its database, or another runs on a copy of its own. Nobody hears
// it, so it would never learn why; so it is told the number of that boot. What it
// is told needs no proof of freshness: a recording names a boot that it had
// itself, and its numbers only grow.

// controlSuperseded is what it is told: the number of the newest boot (8).
const (
	controlSuperseded = 4
	supersededLen     = 1 + 8
	// supersededEvery is how often somebody is told at most: forged packets must
	// cost no more than others.
	supersededEvery = 50 * time.Millisecond
)

// outdated answers a packet of an earlier boot, if it is authentic.
func (s *Sealer) outdated(packet []byte, err error) Received {
	in := Received{Err: err}
	h := header(packet[:headerLen])
	now := time.Now()
	s.mu.Lock()
	from := s.senders[h.sender()]
	if from == nil || now.Sub(s.toldOutdated) < supersededEvery {
		s.mu.Unlock()
		return in
	}
	s.toldOutdated = now
	boot := from.boot
	s.mu.Unlock()
	keys := *s.keys.Load()
	for i := range keys {
		if keys[i].id[0] != packet[1] {
			continue
		}
		aead, err := keys[i].subkey(h.sender(), h.session())
		if err != nil {
			return in
		}
		if _, err := aead.Open(nil, h[offNonce:], packet[headerLen:], h); err == nil {
			told := binary.BigEndian.AppendUint64([]byte{controlSuperseded}, boot)
			return s.replyTo(opened{h: h, key: &keys[i], aead: aead}, len(packet), told, in)
		}
	}
	return in
}

// superseded takes in that there is a later boot of this device than its own.
func (s *Sealer) superseded(o opened, plain []byte) Received {
	if o.h.sender() == s.self || binary.BigEndian.Uint64(plain[1:]) <= s.session.boot() {
		return Received{Err: ErrControl}
	}
	s.supersede.Do(func() { close(s.isSuperseded) })
	return Received{Err: ErrTwin}
}

// Superseded is closed when another device said that it knows a later boot of
// this one: this runs on an old copy of its database, or another on a newer one.
func (s *Sealer) Superseded() <-chan struct{} { return s.isSuperseded }
