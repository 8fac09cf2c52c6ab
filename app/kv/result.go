package kv

import (
	"encoding/json"
	"fmt"
)

// Outcome says what became of a committed operation on keys.
type Outcome string

// The outcomes. All but Done mean that the state did not change.
const (
	Done          Outcome = "done"
	Absent        Outcome = "absent"         // a delete found no key
	CompareFailed Outcome = "compare_failed" // of a put or delete with an index
	StateFull     Outcome = "state_full"     // MaxStateBytes would be exceeded
	Malformed     Outcome = "malformed"      // this version cannot read the command
)

// Result is what Apply returns, as JSON, for everything but an opaque command.
type Result struct {
	Outcome Outcome `json:"outcome"`
	// Held, of a transaction, says whether its compares did.
	Held bool `json:"held,omitempty"`
	// Index, with CompareFailed, is where the key really last changed (0: it
	// is absent).
	Index uint64 `json:"index,omitempty"`
}

// ParseResult reads what Apply returned.
func ParseResult(b []byte) (Result, error) {
	var r Result
	if err := json.Unmarshal(b, &r); err != nil {
		return Result{}, fmt.Errorf("reading the result of an operation on keys: %w", err)
	}
	if r.Outcome == "" {
		return Result{}, fmt.Errorf("reading the result of an operation on keys: it has no outcome: %q", b)
	}
	return r, nil
}

func (r Result) json() []byte {
	b, err := json.Marshal(r)
	if err != nil {
		panic("kv: a struct of a string, a bool and a number did not encode: " + err.Error())
	}
	return b
}
