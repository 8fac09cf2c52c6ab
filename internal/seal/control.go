package seal

import (
	"encoding/binary"
	"net/netip"
	"slices"
	"time"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/edgeraft/edgeraft/raft"
)

const tagLen = chacha20poly1305.Overhead

// What a control packet holds: its kind, and then, for
//
//	challenge  nonce (8), age of the epoch in µs and a flag (4)
//	answer     nonce (8), how far below this packet's counter the floor is (4)
//	superseded the number of a boot (8): superseded.go
//	report     flags (1), then IDs of keys (8 each), 1 to 4
//
// with big-endian numbers. Kinds are never reused; unknown ones are dropped. A
// challenge and an answer are no longer than the shortest packet of a transport
// that may cause them, so that nobody can have more sent than they send.
const (
	controlChallenge = 1
	controlAnswer    = 2
	controlReport    = 3

	handshakeLen = 1 + nonceLen + 4
	reportHead   = 1 + 1
	wantsReport  = 1 // flag: answer with a report
	// sinceStart, in the age of a challenge: the epoch is as old as the session.
	sinceStart = 1 << 31
)

// challenge is the plaintext of a challenge. The caller holds mu.
func (s *Sealer) challenge() []byte {
	c := append(make([]byte, 0, handshakeLen), controlChallenge)
	c = append(c, s.epoch.nonce[:]...)
	age := s.epoch.age()
	if s.epoch.n == 1 {
		age |= sinceStart
	}
	return binary.BigEndian.AppendUint32(c, age)
}

// replyTo seals a control packet for the sender of a packet of this length, by
// the key that it was sealed with, unless it would be longer than that.
func (s *Sealer) replyTo(o opened, length int, plain []byte, in Received) Received {
	if len(plain)+Overhead > length {
		return in
	}
	packet, err := s.seal(nil, versionControl, o.key, o.h.sender(), plain)
	if err == nil {
		in.Reply, in.ReplyTo = packet, toNodeID(o.h.sender())
	}
	return in
}

// control handles a packet between Sealers.
func (s *Sealer) control(o opened, plain []byte, length int, via netip.AddrPort) Received {
	if len(plain) == 0 || o.h.recipient() != s.self {
		return Received{Err: ErrControl}
	}
	switch kind := plain[0]; {
	case kind == controlChallenge && len(plain) == handshakeLen:
		return s.challenged(o, plain, length)
	case kind == controlAnswer && len(plain) == handshakeLen:
		return s.answered(o, plain, via)
	case kind == controlReport && len(plain) > reportHead && (len(plain)-reportHead)%len(KeyID{}) == 0 &&
		(len(plain)-reportHead)/len(KeyID{}) <= maxRing:
		return s.reported(o, plain, length)
	case kind == controlSuperseded && len(plain) == supersededLen:
		return s.superseded(o, plain)
	}
	return Received{Err: ErrControl}
}

// challenged answers that this session goes on, and from which counter on its
// packets are younger than the challenger's epoch: by the time, or because its
// session was known before. A challenge needs no proof itself: to answer an old
// one says nothing that is not so.
func (s *Sealer) challenged(o opened, plain []byte, length int) Received {
	s.mu.Lock()
	x, err := s.check(o.h)
	if err == nil && x != nil && !s.take(x, o) {
		err = ErrReplay
	}
	s.mu.Unlock()
	if err != nil {
		return Received{Err: err}
	}
	said := binary.BigEndian.Uint32(plain[1+nonceLen:])
	age := min(time.Duration(said&^sinceStart)*time.Microsecond, maxAge)
	now := s.counter.Load()
	floor := s.marks.floor(age-age/ageMargin, now)
	if x != nil && said&sinceStart != 0 {
		floor = min(floor, x.met) // it had begun when it was met
	}
	answer := append(make([]byte, 0, handshakeLen), controlAnswer)
	answer = append(answer, plain[1:1+nonceLen]...)
	// The answer's own counter is at least now+1. Where others are sealed
	// meanwhile, the floor that is understood is higher, which is safe.
	answer = binary.BigEndian.AppendUint32(answer, uint32(min(now+1-floor, 1<<32-1)))
	in := Received{}
	if x != nil && o.h.sender() != s.self {
		in.From = toNodeID(o.h.sender())
	}
	return s.replyTo(o, length, answer, in)
}

// answered takes the proof that a session goes on.
func (s *Sealer) answered(o opened, plain []byte, via netip.AddrPort) Received {
	s.mu.Lock()
	defer s.mu.Unlock()
	if [nonceLen]byte(plain[1:]) != s.epoch.nonce {
		return Received{Err: ErrUnproved} // of an earlier epoch, perhaps recorded
	}
	x, err := s.check(o.h)
	if err != nil {
		return Received{Err: err}
	}
	if x == nil {
		back := uint64(binary.BigEndian.Uint32(plain[1+nonceLen:]))
		x = s.prove(o, o.h.counter()-min(back, o.h.counter()))
	}
	if !s.take(x, o) {
		return Received{Err: ErrReplay}
	}
	if o.h.sender() == s.self {
		return Received{Err: ErrTwin}
	}
	return Received{From: toNodeID(o.h.sender()), Proved: s.release(o.h.sender(), x, via)}
}

// Report seals for a device which keys this one has, to be sent as it is. With
// want it asks for the same from that one.
func (s *Sealer) Report(to raft.NodeID, want bool) ([]byte, error) {
	recipient, err := toDeviceID(to)
	if err != nil {
		return nil, err
	}
	keys := *s.keys.Load()
	// By any key: it may be the one by which the two find each other again.
	return s.seal(nil, versionControl, anyOf(keys), recipient, report(keys, want))
}

func report(keys []ringKey, want bool) []byte {
	b := []byte{controlReport, 0}
	if want {
		b[1] = wantsReport
	}
	for i := range keys {
		b = append(b, keys[i].id[:]...)
	}
	return b
}

// reported notes which keys a device has.
func (s *Sealer) reported(o opened, plain []byte, length int) Received {
	s.mu.Lock()
	x, err := s.check(o.h)
	if err == nil && x == nil {
		c := s.challenge()
		s.mu.Unlock()
		return s.replyTo(o, length, c, Received{Err: ErrUnproved})
	}
	if err == nil && !s.take(x, o) {
		err = ErrReplay
	}
	if err == nil && o.h.sender() == s.self {
		err = ErrTwin
	}
	if err != nil {
		s.mu.Unlock()
		return Received{Err: err}
	}
	from := s.senders[o.h.sender()]
	from.keys = nil
	for b := plain[reportHead:]; len(b) > 0; b = b[len(KeyID{}):] {
		from.keys = append(from.keys, KeyID(b))
	}
	s.mu.Unlock()
	in := Received{From: toNodeID(o.h.sender())}
	if plain[1]&wantsReport == 0 {
		return in
	}
	keys := *s.keys.Load()
	// A ring of more keys than the asker's makes a longer report. The session
	// is proved, so nobody else can ask for it.
	return s.replyTo(o, length+maxRing*len(KeyID{}), report(keys, false), in)
}

// Keys returns the IDs of the keys that a device said it has, and of the one
// its last packet was sealed with. It is not ok when nothing was heard of it.
func (s *Sealer) Keys(of raft.NodeID) (has []KeyID, last KeyID, ok bool) {
	id, err := toDeviceID(of)
	if err != nil {
		return nil, KeyID{}, false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	from := s.senders[id]
	if from == nil {
		return nil, KeyID{}, false
	}
	return slices.Clone(from.keys), from.lastKey, true
}
