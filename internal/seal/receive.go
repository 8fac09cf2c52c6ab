package seal

import (
	"crypto/cipher"
	"errors"
	"fmt"
	"net/netip"

	"github.com/edgeraft/edgeraft/raft"
)

// Received is what came of a packet.
type Received struct {
	// From is the sender, where the packet is authentic and surely sent since
	// this Sealer was made, and was not taken before; else "".
	From raft.NodeID
	// Plain is what was sealed, part of the packet. It is nil for packets that
	// mean something to the Sealer only.
	Plain []byte
	// Proved are packets that came earlier and were kept until now, when their
	// sender has proved that it sent them lately. They do not share memory.
	Proved []Packet
	// Reply, when not nil, is to be sent to ReplyTo, where this packet came
	// from. It is no longer than the packet.
	Reply   []byte
	ReplyTo raft.NodeID
	// Err, when not nil, says why From is "". It wraps exactly one of the
	// sentinel errors of this package.
	Err error
}

// Packet is an opened packet that had been kept.
type Packet struct {
	From  raft.NodeID
	Via   netip.AddrPort // as Receive was told
	Plain []byte
}

// Receive authenticates and decrypts a packet in place: packet is spoilt
// whatever the outcome. via is where it came from, the zero value on transports
// that do not know.
//
// Nothing is remembered of a packet that was not authenticated; but ErrOldBoot
// and ErrReplay are also given for forged packets, as that is cheaper than
// finding out.
func (s *Sealer) Receive(packet []byte, via netip.AddrPort) Received {
	o, plain, err := s.open(packet)
	if errors.Is(err, ErrOldBoot) {
		return s.outdated(packet, err)
	}
	if err != nil {
		return Received{Err: err}
	}
	if o.h[0] == versionControl {
		return s.control(o, plain, len(packet), via)
	}
	return s.admit(o, plain, via)
}

// opened is an authenticated packet.
type opened struct {
	h    header
	key  *ringKey
	aead cipher.AEAD
}

func (s *Sealer) open(packet []byte) (opened, []byte, error) {
	switch {
	case len(packet) < Overhead:
		return opened{}, nil, fmt.Errorf("%w: %d bytes", ErrTooShort, len(packet))
	case packet[0] != versionData && packet[0] != versionControl:
		return opened{}, nil, ErrVersion
	}
	h := header(packet[:headerLen])
	if h.sender() == s.self && h.session() == s.session {
		return opened{}, nil, ErrOwn
	}
	if to := h.recipient(); to != s.self && to != anyone {
		return opened{}, nil, ErrNotForUs
	}
	keys := *s.keys.Load()
	err := ErrWrongKey
	for i := range keys {
		if keys[i].id[0] != packet[1] {
			continue
		}
		o := opened{h: h, key: &keys[i]}
		if o.aead, err = s.lookUp(h, o.key); err != nil {
			return opened{}, nil, err
		}
		if o.aead == nil {
			if o.aead, err = o.key.subkey(h.sender(), h.session()); err != nil {
				return opened{}, nil, fmt.Errorf("%w: %w", ErrAuth, err)
			}
		}
		body := packet[headerLen:]
		dst := body[:0]
		if i+1 < len(keys) {
			dst = nil // a failed try must leave it for the next key
		}
		plain, openErr := o.aead.Open(dst, h[offNonce:], body, h)
		if openErr == nil {
			if plain == nil {
				plain = body[:0]
			}
			return o, plain, nil
		}
		err = ErrAuth
	}
	return opened{}, nil, err
}

// lookUp returns the cipher of a proved session under a key, nil where it must
// be derived, and the error of a packet that would be refused even if it were
// authentic.
func (s *Sealer) lookUp(h header, key *ringKey) (cipher.AEAD, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	x, err := s.check(h)
	if x == nil || err != nil {
		return nil, err
	}
	return x.cipher(key.id), nil
}

// check applies the rules for replay to a header. It returns the session, nil
// when it is not a proved one. The caller holds mu.
func (s *Sealer) check(h header) (*session, error) {
	from := s.senders[h.sender()]
	if from == nil {
		return nil, nil
	}
	id := h.session()
	if id.boot() < from.boot {
		return nil, ErrOldBoot
	}
	x := from.find(id)
	if x != nil && (h.counter() <= x.floor || !x.window.fresh(h.counter())) {
		return nil, ErrReplay
	}
	return x, nil
}

// admit takes a packet of a proved session, and keeps one of another until that
// is proved. The rules are applied again, since another packet may have been
// admitted meanwhile.
func (s *Sealer) admit(o opened, plain []byte, via netip.AddrPort) Received {
	s.mu.Lock()
	x, err := s.check(o.h)
	if err != nil {
		s.mu.Unlock()
		return Received{Err: err}
	}
	if x == nil {
		s.hold(o, plain, via)
		c := s.challenge()
		s.mu.Unlock()
		return s.replyTo(o, len(o.h)+len(plain)+tagLen, c, Received{Err: ErrUnproved})
	}
	defer s.mu.Unlock()
	if !s.take(x, o) {
		return Received{Err: ErrReplay}
	}
	if o.h.sender() == s.self {
		return Received{Err: ErrTwin}
	}
	return Received{From: toNodeID(o.h.sender()), Plain: plain}
}

// take marks a packet of a proved session as taken and reports whether it was
// fresh. The caller holds mu, and has checked it.
func (s *Sealer) take(x *session, o opened) bool {
	if !x.window.take(o.h.counter()) {
		return false
	}
	x.learn(o.key.id, o.aead)
	s.used++
	from := s.senders[o.h.sender()]
	from.used, from.lastKey = s.used, o.key.id
	return true
}

// toNodeID is the inverse of toDeviceID.
func toNodeID(id deviceID) raft.NodeID { return raft.NodeIDFrom(id) }
