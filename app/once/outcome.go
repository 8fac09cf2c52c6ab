package once

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Refusal says why a command with a key was not applied, and never was at this
// entry.
type Refusal uint8

// The refusals. Accepted is none.
const (
	Accepted Refusal = 0
	// KeyReused: the key belongs to another command, applied at Outcome.Index.
	KeyReused Refusal = 1
	// KeyForgotten: the key may have been used at or below Outcome.Index, and
	// what became of it is forgotten.
	KeyForgotten Refusal = 2
	// TooManyKeys: the table is full of keys that must be kept; there may be
	// room after Outcome.RetryAfter.
	TooManyKeys Refusal = 3
	// SinceAhead: since is no index that anyone can have seen: this entry's own
	// or one behind it.
	SinceAhead Refusal = 4
	// Malformed: this version cannot read the command.
	Malformed Refusal = 5
)

// String is the refusal in words.
func (r Refusal) String() string {
	switch r {
	case Accepted:
		return "accepted"
	case KeyReused:
		return "the key belongs to another command"
	case KeyForgotten:
		return "the key may be a forgotten one"
	case TooManyKeys:
		return "too many keys"
	case SinceAhead:
		return "since is ahead of the log"
	case Malformed:
		return "malformed"
	}
	return fmt.Sprintf("refusal %d", uint8(r))
}

// Outcome is what became of a command with a key.
type Outcome struct {
	Refusal Refusal
	// Index and Term are of the entry at which the command was applied, the
	// first time if it is Repeated. With a Refusal, Index is as that says.
	Index raft.Index
	Term  raft.Term
	// Repeated: it was applied before, and nothing was this time.
	Repeated bool
	// Result is the inner App's, of the first time. ResultLost: it was longer
	// than MaxResultBytes, and was not kept for a repetition.
	Result     []byte
	ResultLost bool
	// RetryAfter is milliseconds, with TooManyKeys only.
	RetryAfter raft.Time
}

// The first byte of an encoded Outcome is the refusal and these bits.
const (
	bitRepeated = 0x80
	bitLost     = 0x40
)

var errNoOutcome = errors.New("not the outcome of a command with a key")

func (o Outcome) encode() []byte {
	first := byte(o.Refusal)
	if o.Repeated {
		first |= bitRepeated
	}
	if o.ResultLost {
		first |= bitLost
	}
	var head [1 + 3*binary.MaxVarintLen64]byte
	head[0] = first
	n := 1 + binary.PutUvarint(head[1:], uint64(o.Index))
	n += binary.PutUvarint(head[n:], uint64(o.Term))
	n += binary.PutUvarint(head[n:], uint64(o.RetryAfter))
	b := make([]byte, 0, n+len(o.Result))
	return append(append(b, head[:n]...), o.Result...)
}

// ParseOutcome reads what Apply returned for a command with a key. The result
// shares b's memory.
func ParseOutcome(b []byte) (Outcome, error) {
	if len(b) == 0 {
		return Outcome{}, fmt.Errorf("%w: it is empty", errNoOutcome)
	}
	o := Outcome{Refusal: Refusal(b[0] &^ (bitRepeated | bitLost)), Repeated: b[0]&bitRepeated != 0, ResultLost: b[0]&bitLost != 0}
	if o.Refusal > Malformed {
		return Outcome{}, fmt.Errorf("%w: %v", errNoOutcome, o.Refusal)
	}
	rest := b[1:]
	var numbers [3]uint64
	for i := range numbers {
		n, size := binary.Uvarint(rest)
		if size <= 0 {
			return Outcome{}, fmt.Errorf("%w: it ends too early", errNoOutcome)
		}
		numbers[i], rest = n, rest[size:]
	}
	o.Index, o.Term, o.RetryAfter = raft.Index(numbers[0]), raft.Term(numbers[1]), raft.Time(numbers[2])
	if len(rest) > 0 {
		o.Result = rest
	}
	return o, nil
}
