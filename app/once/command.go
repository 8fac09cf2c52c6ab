package once

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"hash/crc64"

	"github.com/edgeraft/edgeraft/raft"
)

// Limits of the format of a command.
const (
	MaxKeyBytes = 64
	// MaxOverhead is the most bytes by which a command with a key exceeds the
	// inner one.
	MaxOverhead = 2 + MaxKeyBytes + binary.MaxVarintLen64
)

// mark begins what is of this package: a command with a key, a snapshot.
const mark = 0xff

// Errors of Command: the caller's input breaks the format.
var (
	ErrBadKey   = errors.New("an idempotency key must have 1 to 64 bytes")
	ErrBadInner = errors.New("the command begins with a byte that is reserved")
)

// digest stands for a key: the first half of its SHA-256, so that no two keys
// are mistaken for each other, whoever chose them.
type digest [sha256.Size / 2]byte

func digestOf(key []byte) digest {
	sum := sha256.Sum256(key)
	return digest(sum[:len(digest{})])
}

var crcTable = crc64.MakeTable(crc64.ECMA)

// command is a decoded command with a key.
type command struct {
	key   digest
	since raft.Index // 0: not given
	sum   uint64     // of inner: enough against a key that is reused by mistake
	inner []byte
}

// Command encodes a command that takes effect once. Key may be any bytes, since
// is an index that the proposer had seen before it first used the key, 0 if it
// knows none. It copies inner.
func Command(key string, since raft.Index, inner []byte) ([]byte, error) {
	if key == "" || len(key) > MaxKeyBytes {
		return nil, fmt.Errorf("%w; this one has %d", ErrBadKey, len(key))
	}
	if len(inner) > 0 && inner[0] == mark {
		return nil, fmt.Errorf("encoding a command with a key: %w", ErrBadInner)
	}
	b := make([]byte, 0, MaxOverhead+len(inner))
	b = append(b, mark, byte(len(key)))
	b = append(b, key...)
	b = binary.AppendUvarint(b, uint64(since))
	return append(b, inner...), nil
}

// decode reads what Command wrote, and shares its memory.
func decode(b []byte) (command, bool) {
	if len(b) < 2 || b[0] != mark || b[1] == 0 || b[1] > MaxKeyBytes || len(b) < 2+int(b[1]) {
		return command{}, false
	}
	key, rest := b[2:2+b[1]], b[2+b[1]:]
	since, n := binary.Uvarint(rest)
	if n <= 0 || len(rest) > n && rest[n] == mark {
		return command{}, false
	}
	inner := rest[n:]
	return command{
		key: digestOf(key), since: raft.Index(since), sum: crc64.Checksum(inner, crcTable), inner: inner,
	}, true
}
