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
	if to == anyone {
		return anyOf(keys)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
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

func anyOf(keys []ringKey) *ringKey { return &keys[rand.IntN(len(keys))] }
