package restore

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// Verdict says what became of a command of this package. All but Accepted mean
// that it changed nothing.
type Verdict uint8

// The verdicts.
const (
	Accepted Verdict = 0
	// Busy: another restore is staged; Outcome.Number is in how many
	// milliseconds at most it counts as abandoned.
	Busy Verdict = 1
	// Gone: this restore is not staged, or not any more.
	Gone Verdict = 2
	// Incomplete: piece Outcome.Number is missing.
	Incomplete Verdict = 3
	// Damaged: the pieces do not have the checksum that the commit names. What
	// was staged is thrown away.
	Damaged Verdict = 4
	// Unreadable: they have it, and are no state that this version can read. What
	// was staged is thrown away.
	Unreadable Verdict = 5
	// Malformed: the command breaks the format, or does not fit the plan.
	Malformed Verdict = 6
)

// String is the verdict in words.
func (v Verdict) String() string {
	switch v {
	case Accepted:
		return "accepted"
	case Busy:
		return "another restore is under way"
	case Gone:
		return "this restore is not staged any more"
	case Incomplete:
		return "a piece is missing"
	case Damaged:
		return "the pieces do not have their checksum"
	case Unreadable:
		return "the state cannot be read by this version"
	case Malformed:
		return "malformed"
	}
	return fmt.Sprintf("verdict %d", uint8(v))
}

// Outcome is what Apply returns, encoded.
type Outcome struct {
	Verdict Verdict
	// Index, of an accepted commit, is where the state was replaced; that of the
	// first one if it is repeated.
	Index  raft.Index
	Number uint64 // as the Verdict says
}

func (o Outcome) encode() []byte {
	b := binary.AppendUvarint([]byte{byte(o.Verdict)}, uint64(o.Index))
	return binary.AppendUvarint(b, o.Number)
}

var errNoOutcome = errors.New("not the outcome of a command of a restore")

// ParseOutcome reads what Apply returned for a command of this package.
func ParseOutcome(b []byte) (Outcome, error) {
	r := reader{rest: b}
	o := Outcome{Verdict: Verdict(r.byte()), Index: raft.Index(r.number()), Number: r.number()}
	if !r.end() || o.Verdict > Malformed {
		return Outcome{}, fmt.Errorf("%w: %x", errNoOutcome, b)
	}
	return o, nil
}
