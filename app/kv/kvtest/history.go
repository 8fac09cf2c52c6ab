// Package kvtest judges what clients of the key/value state saw: whether one
// single copy could have shown it (linearizability), although some answers were
// lost. It is for tests only.
package kvtest

import (
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/anishathalye/porcupine"
)

// Kind says what a client did.
type Kind int

// The kinds of operation. Values must not be empty, and each be used once.
const (
	Get    Kind = iota
	Put         // whatever was there
	Swap        // a put if the key last changed at Input.Index (0: if it is absent)
	Delete      // Held if it was there
	Kinds       // how many there are
)

// Input is what a client asked for.
type Input struct {
	Kind  Kind
	Key   string
	Value string // Put, Swap
	Index uint64 // Swap
}

// Output is what it was told.
type Output struct {
	Value string // Get
	// Index is where the key changed: last, or by this operation.
	Index uint64
	Held  bool // Swap and Delete took effect
	// Unknown: it may or may not have taken effect, any time from the call on.
	Unknown bool
}

// History is what all clients did. Its clock counts calls and answers, which
// orders them also within one instant of virtual time. It may be used from many
// goroutines.
type History struct {
	mu    sync.Mutex
	clock int64
	ops   []porcupine.Operation
}

// Call notes that an operation begins, and returns when.
func (h *History) Call() int64 {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	return h.clock
}

// Return notes how an operation ended. One that surely had no effect, and told
// the client nothing, is not to be noted.
func (h *History) Return(client int, call int64, in Input, out Output) {
	if out.Unknown && in.Kind == Get {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	h.clock++
	back := h.clock
	if out.Unknown {
		back = math.MaxInt64
	}
	h.ops = append(h.ops, porcupine.Operation{ClientId: client, Input: in, Call: call, Output: out, Return: back})
}

// Len is how many operations were noted.
func (h *History) Len() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.ops)
}

// Check returns an error if the history is not linearizable, or if that cannot
// be told within a minute.
func (h *History) Check() error {
	h.mu.Lock()
	defer h.mu.Unlock()
	switch porcupine.CheckOperationsTimeout(model, h.ops, time.Minute) {
	case porcupine.Ok:
		return nil
	case porcupine.Unknown:
		return fmt.Errorf("whether %d operations are linearizable cannot be told within a minute", len(h.ops))
	}
	return fmt.Errorf("%d operations are not linearizable: %s", len(h.ops), h.culprit())
}

// culprit is the first key whose operations alone are not linearizable, with
// all of them.
func (h *History) culprit() string {
	for _, ops := range model.Partition(h.ops) {
		if porcupine.CheckOperationsTimeout(model, ops, time.Minute) == porcupine.Ok {
			continue
		}
		text := ""
		for _, op := range ops {
			text += fmt.Sprintf("\n%d to %d, client %d: %s", op.Call, op.Return, op.ClientId, model.DescribeOperation(op.Input, op.Output))
		}
		return text
	}
	return "only together"
}
