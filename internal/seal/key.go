package seal

import (
	"bytes"
	"crypto/hkdf"
	"crypto/rand"
	"crypto/sha256"
	"crypto/subtle"
	"encoding/base32"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"strings"
)

// Key is the secret that all devices of a cluster share. It never shows itself
// in print or logs: only Text and WriteKeyFile bring it out.
type Key struct {
	bytes [keyLen]byte
}

const (
	keyLen      = 32
	keyPrefix   = "er1" // "edgeraft, form 1"
	checksumLen = 3     // a typo passes with a chance of 1 in 16 million
	groupLen    = 4
	// textLen is the number of base32 characters: 35 bytes fill 56 exactly.
	textLen = (keyLen + checksumLen) * 8 / 5
	// maxTextLen is what ParseKey looks at, with generous room for spaces,
	// line ends and dashes. More is refused.
	maxTextLen = 4 << 10
)

// ErrBadKey: a text is not a key. Returned errors wrap it and say what is wrong.
var ErrBadKey = errors.New("not a valid cluster key")

var (
	keyEncoding = base32.StdEncoding.WithPadding(base32.NoPadding)
	redacted    = "[cluster key]"
)

// NewKey makes a key of 32 bytes from the system's random source.
func NewKey() Key {
	var k Key
	rand.Read(k.bytes[:]) // never fails: it ends the process instead (crypto/rand)
	return k
}

// ParseKey reads a key as Text writes it. Case, spaces, line ends and dashes do
// not matter. A mistyped character is noticed by the checksum. Errors wrap
// ErrBadKey and never contain the text.
func ParseKey(text string) (Key, error) {
	if len(text) > maxTextLen {
		return Key{}, fmt.Errorf("%w: it has more than %d characters", ErrBadKey, maxTextLen)
	}
	bare := strings.Map(func(r rune) rune {
		if strings.ContainsRune("- \t\r\n", r) {
			return -1
		}
		return r
	}, strings.ToLower(text))
	body, ok := strings.CutPrefix(bare, keyPrefix)
	if !ok {
		return Key{}, fmt.Errorf("%w: a key starts with %s-", ErrBadKey, keyPrefix)
	}
	position := 0
	for _, r := range body {
		position++
		if (r < 'a' || r > 'z') && (r < '2' || r > '7') {
			return Key{}, fmt.Errorf("%w: character %d after %s- (in group %d) is %q; keys have only the letters a to z and the digits 2 to 7",
				ErrBadKey, position, keyPrefix, (position-1)/groupLen+1, r)
		}
	}
	if len(body) != textLen {
		return Key{}, fmt.Errorf("%w: it has %d characters after %s- where a key has %d (%d groups of %d)",
			ErrBadKey, len(body), keyPrefix, textLen, textLen/groupLen, groupLen)
	}
	raw, err := keyEncoding.DecodeString(strings.ToUpper(body))
	if err != nil {
		return Key{}, fmt.Errorf("%w: its characters do not decode", ErrBadKey)
	}
	k := Key{bytes: [keyLen]byte(raw[:keyLen])}
	if sum := k.checksum(); !bytes.Equal(sum[:], raw[keyLen:]) {
		return Key{}, fmt.Errorf("%w: the checksum does not match; a character is mistyped, or two are swapped", ErrBadKey)
	}
	return k, nil
}

// Text is the key as people copy it: er1- and 14 groups of 4 characters, the
// last of which hold a checksum. It is the secret itself.
func (k Key) Text() string {
	sum := k.checksum()
	body := strings.ToLower(keyEncoding.EncodeToString(append(k.bytes[:], sum[:]...)))
	var b strings.Builder
	b.WriteString(keyPrefix)
	for len(body) > 0 {
		b.WriteByte('-')
		b.WriteString(body[:groupLen])
		body = body[groupLen:]
	}
	return b.String()
}

// Equal compares in constant time.
func (k Key) Equal(other Key) bool {
	return subtle.ConstantTimeCompare(k.bytes[:], other.bytes[:]) == 1
}

// IsZero reports whether k was never set.
func (k Key) IsZero() bool { return k.Equal(Key{}) }

// String hides the key.
func (k Key) String() string { return redacted }

// Format hides the key from every verb of package fmt.
func (k Key) Format(f fmt.State, _ rune) { io.WriteString(f, redacted) }

// LogValue hides the key from package slog.
func (k Key) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText hides the key from encoders such as encoding/json.
func (k Key) MarshalText() ([]byte, error) { return []byte(redacted), nil }

func (k Key) checksum() [checksumLen]byte {
	sum := sha256.Sum256(append([]byte("edgeraft key checksum 1"), k.bytes[:]...))
	return [checksumLen]byte(sum[:])
}

// KeyID tells keys apart without telling anything of them. The first byte is in
// every packet that is sealed with the key.
type KeyID [8]byte

// String is what people see of a key.
func (id KeyID) String() string { return hex.EncodeToString(id[:4]) }

// ID is one-way.
func (k Key) ID() KeyID {
	b, err := hkdf.Key(sha256.New, k.bytes[:], nil, "edgeraft key id 1", len(KeyID{}))
	if err != nil {
		panic("seal: HKDF of 8 bytes: " + err.Error()) // it fails for lengths only
	}
	return KeyID(b)
}
