package seal

import (
	"errors"
	"fmt"
	"slices"
	"strings"
)

// maxRing is the most keys of a ring: the one before, the next, and two more for
// rotations that were begun on two devices by mistake. More are refused.
const maxRing = 4

// ErrRing: a change of the ring makes no sense as it is.
var ErrRing = errors.New("the key ring cannot be changed so")

// Ring is the keys that a device opens packets with, all of them. It seals with
// the first that the recipient has, so the first is where a rotation leads to.
// The zero value has none.
type Ring struct{ keys []Key }

// NewRing makes a ring of 1 to 4 different keys.
func NewRing(keys ...Key) (Ring, error) {
	if len(keys) == 0 || len(keys) > maxRing {
		return Ring{}, fmt.Errorf("%w: %d keys, and a ring has 1 to %d; finish the rotation that is under way first (edgeraft keygen --drop-old)", ErrRing, len(keys), maxRing)
	}
	for i, k := range keys {
		if k.IsZero() || slices.ContainsFunc(keys[:i], k.Equal) {
			return Ring{}, fmt.Errorf("%w: a key is empty or there twice", ErrRing)
		}
	}
	return Ring{slices.Clone(keys)}, nil
}

// Keys returns all, the preferred one first.
func (r Ring) Keys() []Key { return slices.Clone(r.keys) }

// First is the preferred key, the zero Key where there is none.
func (r Ring) First() Key {
	if len(r.keys) == 0 {
		return Key{}
	}
	return r.keys[0]
}

// Has reports whether k is in the ring.
func (r Ring) Has(k Key) bool { return slices.ContainsFunc(r.keys, k.Equal) }

// Add returns a ring in which k comes first, and the others after it.
func (r Ring) Add(k Key) (Ring, error) {
	others := slices.DeleteFunc(slices.Clone(r.keys), k.Equal)
	return NewRing(append([]Key{k}, others...)...)
}

// Rotate returns a ring with a new key in front, whose packets nobody mistakes
// for those of the others. It refuses while another rotation is under way.
func (r Ring) Rotate() (Ring, error) {
	if len(r.keys) > 1 {
		return Ring{}, fmt.Errorf("%w: another rotation is under way; end it with edgeraft keygen --drop-old", ErrRing)
	}
	for {
		k := NewKey()
		if r.First().ID()[0] != k.ID()[0] {
			return r.Add(k)
		}
	}
}

// parseRing reads keys as text writes them. The digit 1 comes only at the
// beginning of a key, so white space and lines do not matter.
func parseRing(text string) (Ring, error) {
	if len(text) > maxTextLen {
		return Ring{}, fmt.Errorf("%w: it has more than %d characters", ErrBadKey, maxTextLen)
	}
	parts := strings.Split(strings.ToLower(text), keyPrefix)
	if len(parts) < 2 || strings.TrimSpace(parts[0]) != "" {
		k, err := ParseKey(text) // it has the error
		if err != nil {
			return Ring{}, err
		}
		return NewRing(k)
	}
	var keys []Key
	for _, part := range parts[1:] {
		k, err := ParseKey(keyPrefix + part)
		if err != nil {
			return Ring{}, err
		}
		keys = append(keys, k)
	}
	return NewRing(keys...)
}

// text is the ring as it stands in the key file, a key a line.
func (r Ring) text() string {
	var b strings.Builder
	for _, k := range r.keys {
		b.WriteString(k.Text() + "\n")
	}
	return b.String()
}
