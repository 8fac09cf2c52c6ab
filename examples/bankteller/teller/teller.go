// Package teller is an App for raft/server: a bank of named accounts, on which
// money is credited and debited. It shows what an App must do: change its
// state only in Apply, and there by nothing but the command, so that every
// device comes to the same balances and the same refusals.
package teller

import (
	"encoding/json"
	"fmt"
	"math"
	"sync"

	"github.com/edgeraft/edgeraft/raft"
)

// Limits of the bank. They decide what Apply refuses, so they must be the same
// on all devices.
const (
	MaxAccounts = 10_000
	MaxName     = 64 // bytes of an account's name
)

// Command is one operation, as it stands in the log.
type Command struct {
	Op      string `json:"op"` // "credit" or "debit"
	Account string `json:"account"`
	Cents   int64  `json:"cents"` // more than 0
}

// Encode returns the bytes to propose.
func (c Command) Encode() []byte {
	b, _ := json.Marshal(c) // strings and a number always encode
	return b
}

// Result is what became of a Command.
type Result struct {
	Balance int64  `json:"balance"`           // in cents, afterwards
	Refused string `json:"refused,omitempty"` // why nothing changed; "" if it did
}

// Bank holds the balances. Apply is for one goroutine, Balance for any.
type Bank struct {
	mu       sync.Mutex
	balances map[string]int64 // in cents
}

// New returns a bank without accounts.
func New() *Bank { return &Bank{balances: map[string]int64{}} }

// Apply executes a committed command and returns its Result as JSON. It
// implements server.App.
func (b *Bank) Apply(e raft.Entry) []byte {
	if e.Kind != raft.EntryCommand {
		return nil // Raft's own
	}
	var c Command
	err := json.Unmarshal(e.Data, &c)
	b.mu.Lock()
	defer b.mu.Unlock()
	result := Result{Refused: b.refusal(c, err)}
	if result.Refused == "" {
		if c.Op == "debit" {
			c.Cents = -c.Cents
		}
		b.balances[c.Account] += c.Cents
	}
	result.Balance = b.balances[c.Account]
	out, _ := json.Marshal(result) // a string and a number always encode
	return out
}

// refusal says why a command must not change anything, "" if it may.
func (b *Bank) refusal(c Command, decoding error) string {
	balance, known := b.balances[c.Account]
	switch {
	case decoding != nil:
		return "the command cannot be read"
	case c.Account == "" || len(c.Account) > MaxName:
		return fmt.Sprintf("an account's name has 1 to %d bytes", MaxName)
	case c.Cents <= 0:
		return "the amount must be more than nothing"
	case c.Op != "credit" && c.Op != "debit":
		return fmt.Sprintf("a teller does not do %q", c.Op)
	case c.Op == "debit" && balance < c.Cents:
		return fmt.Sprintf("overdraft: the balance is %d, %d were wanted", balance, c.Cents)
	case c.Op == "credit" && balance > math.MaxInt64-c.Cents:
		return "no account can hold that much"
	case !known && len(b.balances) >= MaxAccounts:
		return fmt.Sprintf("the bank has its %d accounts", MaxAccounts)
	}
	return ""
}

// Snapshot returns all balances as JSON. It implements server.App.
func (b *Bank) Snapshot() []byte {
	b.mu.Lock()
	defer b.mu.Unlock()
	data, _ := json.Marshal(b.balances) // names and numbers always encode
	return data
}

// Restore replaces all balances by those of a Snapshot. It implements
// server.App.
func (b *Bank) Restore(data []byte) error {
	balances := map[string]int64{}
	if err := json.Unmarshal(data, &balances); err != nil {
		return fmt.Errorf("restore the balances: %w", err)
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.balances = balances
	return nil
}

// Due implements server.App: nothing here falls due.
func (b *Bank) Due() (raft.Time, []byte) { return 0, nil }

// Balance returns an account's balance in cents, 0 for one that does not
// exist. For an answer that holds everything acknowledged so far, call
// server.Barrier first.
func (b *Bank) Balance(account string) int64 {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.balances[account]
}
