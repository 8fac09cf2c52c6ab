package seal

import (
	"math/rand/v2"
	"slices"
)

// keyFor chooses the key for a packet: the first of the ring that the recipient
// said it has; else the one that it uses itself; else any, so that of several
// packets one will do.
func (s *Sealer) keyFor(to deviceID) *ringKey {
	keys := *s.keys.Load()
	if len(keys) == 1 {
		return &keys[0]
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if to == anyone {
		return s.keyForAll(keys)
	}
	from := s.senders[to]
	if from == nil {
		return anyOf(keys)
	}
	for i := range keys {
		if slices.Contains(from.keys, keys[i].id) {
			return &keys[i]
		}
	}
	for i := range keys {
		if keys[i].id == from.lastKey {
			return &keys[i]
		}
	}
	return anyOf(keys)
}

// otherShare is how seldom a packet to anyone is sealed with any key though there
// is one that all known devices have: for those that are not known.
const otherShare = 4

// keyForAll chooses the key for packets to anyone. The caller holds mu.
func (s *Sealer) keyForAll(keys []ringKey) *ringKey {
	if rand.IntN(otherShare) == 0 {
		return anyOf(keys)
	}
	for i := range keys {
		all := true
		for _, from := range s.senders {
			all = all && (slices.Contains(from.keys, keys[i].id) || from.lastKey == keys[i].id)
		}
		if all {
			return &keys[i]
		}
	}
	return anyOf(keys)
}

func anyOf(keys []ringKey) *ringKey { return &keys[rand.IntN(len(keys))] }
