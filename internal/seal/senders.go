package seal

import (
	"crypto/cipher"
	"net/netip"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	// maxSenders is how many other devices are remembered: four times the
	// members a cluster may have, for those that came and went. A further one
	// takes the place of the one that was not heard for longest.
	maxSenders = 256
	// maxSessions is how many sessions of one boot number of a sender stand
	// side by side; see the package's comment. A further one takes the place of
	// the oldest.
	maxSessions = 4
	// maxHeld is how many packets of unproved sessions are kept, of all senders
	// together, maxHeldOfOne of one, and holdFor how long at most. Beyond that
	// the oldest gives way: it is lost, as packets may be.
	maxHeld      = 128
	maxHeldOfOne = 16
	holdFor      = 3 * time.Second
)

// sender is what is remembered of one other device.
type sender struct {
	boot     uint64
	sessions []*session // of this boot, at most maxSessions
	used     uint64     // Sealer.used when it was last heard
	lastKey  KeyID      // that its last packet was sealed with
	keys     []KeyID    // that it says it has; nil: it did not say
}

// session is one run of a sender's agent that has proved to be going on.
type session struct {
	id     sessionID
	floor  uint64 // packets up to here may be of before the proof
	met    uint64 // our own counter when it was proved
	window window
	aeads  []keyedAEAD // at most maxRing
}

type keyedAEAD struct {
	key  KeyID
	aead cipher.AEAD
}

// find returns the session of this ID, nil when there is none.
func (s *sender) find(id sessionID) *session {
	i := slices.IndexFunc(s.sessions, func(x *session) bool { return x.id == id })
	if i < 0 {
		return nil
	}
	return s.sessions[i]
}

// keep forgets the ciphers of all other keys.
func (s *sender) keep(keys []ringKey) {
	for _, x := range s.sessions {
		x.aeads = slices.DeleteFunc(x.aeads, func(a keyedAEAD) bool {
			return !slices.ContainsFunc(keys, func(k ringKey) bool { return k.id == a.key })
		})
	}
}

func (x *session) cipher(key KeyID) cipher.AEAD {
	for _, a := range x.aeads {
		if a.key == key {
			return a.aead
		}
	}
	return nil
}

func (x *session) learn(key KeyID, aead cipher.AEAD) {
	if x.cipher(key) != nil {
		return
	}
	if len(x.aeads) == maxRing {
		x.aeads = slices.Delete(x.aeads, 0, 1)
	}
	x.aeads = append(x.aeads, keyedAEAD{key, aead})
}

// heldPacket waits for the proof of its session.
type heldPacket struct {
	from    deviceID
	session sessionID
	counter uint64
	via     netip.AddrPort
	at      time.Time
	plain   []byte
}

// hold keeps a packet of an unproved session. The caller holds mu.
func (s *Sealer) hold(o opened, plain []byte, via netip.AddrPort) {
	from, id := o.h.sender(), o.h.session()
	if from == s.self || len(plain) > maxPlain {
		return
	}
	mine, oldest := 0, -1
	for i, p := range s.held {
		if p.from != from {
			continue
		}
		if p.session.boot() > id.boot() {
			return // recorded, or it will be sent again
		}
		if mine++; oldest < 0 {
			oldest = i
		}
	}
	switch {
	case mine >= maxHeldOfOne:
		s.held = slices.Delete(s.held, oldest, oldest+1)
	case len(s.held) >= maxHeld:
		s.held = slices.Delete(s.held, 0, 1)
	}
	s.held = append(s.held, heldPacket{from, id, o.h.counter(), via, time.Now(), slices.Clone(plain)})
}

// release returns what is held of a session that was just proved, where it
// came by a transport of the same kind. All else of that sender is dropped. The
// caller holds mu.
func (s *Sealer) release(from deviceID, x *session, via netip.AddrPort) []Packet {
	var out []Packet
	s.held = slices.DeleteFunc(s.held, func(p heldPacket) bool {
		if p.from != from {
			return false
		}
		if p.session == x.id && p.counter > x.floor && p.via.IsValid() == via.IsValid() &&
			time.Since(p.at) < holdFor && x.window.take(p.counter) {
			out = append(out, Packet{From: raft.NodeIDFrom(from), Via: p.via, Plain: p.plain})
		}
		return true
	})
	return out
}

// prove makes a session a proved one. The caller holds mu.
func (s *Sealer) prove(o opened, floor uint64) *session {
	id := o.h.session()
	from := s.senders[o.h.sender()]
	if from == nil {
		if len(s.senders) >= maxSenders {
			s.forgetOne()
		}
		from = &sender{boot: id.boot()}
		s.senders[o.h.sender()] = from
	}
	if id.boot() > from.boot {
		// What it said of its keys it may have forgotten: its ring is a file.
		from.boot, from.sessions, from.keys = id.boot(), nil, nil
	}
	if len(from.sessions) == maxSessions {
		from.sessions = slices.Delete(from.sessions, 0, 1)
		s.epoch.begin(s.session)
	}
	x := &session{id: id, floor: floor, met: s.counter.Load()}
	from.sessions = append(from.sessions, x)
	return x
}

// forgetOne forgets the sender that was not heard for longest. The caller holds
// mu.
func (s *Sealer) forgetOne() {
	var victim deviceID
	least := ^uint64(0)
	for id, from := range s.senders {
		if from.used < least {
			victim, least = id, from.used
		}
	}
	delete(s.senders, victim)
	s.epoch.begin(s.session)
}
