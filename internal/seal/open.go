package seal

import (
	"crypto/cipher"
	"fmt"
	"slices"

	"github.com/edgeraft/edgeraft/raft"
)

const (
	// maxSenders is how many other devices are remembered: four times the
	// members a cluster may have, for those that came and went. Packets of
	// further ones are refused (ErrTooMany). None is forgotten to make room,
	// since its recorded packets could then be replayed.
	maxSenders = 256
	// maxSessions is how many sessions of one boot number of a sender stand
	// side by side; see the package's comment.
	maxSessions = 4
)

// sender is what is remembered of one other device.
type sender struct {
	id       raft.NodeID
	boot     uint64
	sessions []*session // of this boot, at most maxSessions
}

// session is one run of a sender's agent.
type session struct {
	id     sessionID
	aead   cipher.AEAD
	window window
}

// find returns the session of this ID, nil when there is none.
func (s *sender) find(id sessionID) *session {
	i := slices.IndexFunc(s.sessions, func(x *session) bool { return x.id == id })
	if i < 0 {
		return nil
	}
	return s.sessions[i]
}

// Open authenticates and decrypts a packet in place: the plaintext is part of
// packet, and packet is spoilt whatever the outcome. Errors wrap exactly one of
// the sentinel errors of this package. Nothing is remembered of a packet that
// was not authenticated; but ErrOldBoot, ErrReplay and ErrTooMany are also
// given for forged packets, as that is cheaper than finding out.
func (s *Sealer) Open(packet []byte) (from raft.NodeID, plaintext []byte, err error) {
	switch {
	case len(packet) < Overhead:
		return "", nil, fmt.Errorf("%w: %d bytes", ErrTooShort, len(packet))
	case packet[0] != version:
		return "", nil, ErrVersion
	case packet[1] != s.keyID:
		return "", nil, ErrWrongKey
	}
	h := header(packet[:headerLen])
	if h.sender() == s.self {
		return "", nil, ErrOwn
	}
	if to := h.recipient(); to != s.self && to != anyone {
		return "", nil, ErrNotForUs
	}
	aead, err := s.lookUp(h)
	if err != nil {
		return "", nil, err
	}
	if aead == nil {
		if aead, err = s.subkey(h.sender(), h.session()); err != nil {
			return "", nil, fmt.Errorf("%w: %w", ErrAuth, err)
		}
	}
	body := packet[headerLen:]
	plaintext, err = aead.Open(body[:0], h[offNonce:], body, h)
	if err != nil {
		return "", nil, ErrAuth
	}
	from, err = s.admit(h, aead)
	if err != nil {
		return "", nil, err
	}
	return from, plaintext, nil
}

// lookUp returns the cipher of a known session, nil for one that would be new,
// and the error of a packet that would be refused even if it were authentic.
func (s *Sealer) lookUp(h header) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	known, err := s.check(h)
	if known == nil || err != nil {
		return nil, err
	}
	return known.aead, nil
}

// check applies the rules for replay to a header. It returns the session, nil
// when it would be a new one. The caller holds mu.
func (s *Sealer) check(h header) (*session, error) {
	from, known := s.senders[h.sender()]
	if !known {
		if len(s.senders) >= maxSenders {
			return nil, ErrTooMany
		}
		return nil, nil
	}
	id := h.session()
	switch boot := id.boot(); {
	case boot < from.boot:
		return nil, ErrOldBoot
	case boot > from.boot:
		return nil, nil
	}
	x := from.find(id)
	if x == nil {
		if len(from.sessions) >= maxSessions {
			return nil, ErrTooMany
		}
		return nil, nil
	}
	if !x.window.fresh(h.counter()) {
		return nil, ErrReplay
	}
	return x, nil
}

// admit records an authenticated packet as taken. The rules are applied again,
// since another packet may have been admitted meanwhile.
func (s *Sealer) admit(h header, aead cipher.AEAD) (raft.NodeID, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.check(h)
	if err != nil {
		return "", err
	}
	from := s.senders[h.sender()]
	if from == nil {
		from = &sender{id: toNodeID(h.sender())}
		s.senders[h.sender()] = from
	}
	if x == nil {
		id := h.session()
		if id.boot() > from.boot {
			from.boot, from.sessions = id.boot(), nil
		}
		x = &session{id: id, aead: aead}
		from.sessions = append(from.sessions, x)
	}
	if !x.window.take(h.counter()) {
		return "", ErrReplay
	}
	return from.id, nil
}

// toNodeID is the inverse of toDeviceID.
func toNodeID(id deviceID) raft.NodeID { return raft.NodeIDFrom(id) }
