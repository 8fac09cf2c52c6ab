// Command bankteller runs a bank on three devices in one process: each has its
// own database, its own UDP socket and its own copy of the accounts, kept by
// the App in package teller. It credits and debits on different devices and
// shows that an overdraft is refused, alike on all, and that a slip which is
// handed in twice is paid once (package once).
//
//	go run ./examples/bankteller
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/netip"
	"os"
	"time"

	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/examples/bankteller/teller"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// patience bounds the whole run.
const patience = 30 * time.Second

func main() {
	if err := run(os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bankteller:", err)
		os.Exit(1)
	}
}

func run(out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "bankteller-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()

	branches, err := openBranches(ctx, dir)
	defer func() {
		for _, b := range branches {
			err = errors.Join(err, b.close())
		}
	}()
	if err != nil {
		return err
	}
	if err := branches[0].server.Found(ctx, raft.ClusterIDFrom([16]byte{1})); err != nil {
		return err
	}
	for _, b := range branches {
		// A read succeeds once the branch has joined.
		if err := b.server.Barrier(ctx); err != nil {
			return fmt.Errorf("wait until %s has joined: %w", b.name, err)
		}
	}
	return serve(ctx, out, branches)
}

// openBranches starts three devices that know each other's address.
func openBranches(ctx context.Context, dir string) ([]*branch, error) {
	key := seal.NewKey()
	var branches []*branch
	for _, name := range []string{"north", "south", "west"} {
		b, err := openBranch(ctx, dir, name, key)
		if err != nil {
			return branches, fmt.Errorf("open the branch %s: %w", name, err)
		}
		branches = append(branches, b)
	}
	for _, b := range branches {
		for _, other := range branches {
			if other != b {
				at := netip.AddrPortFrom(netip.MustParseAddr("127.0.0.1"), uint16(other.comms.Port()))
				b.comms.Hint(other.id, []netip.AddrPort{at})
			}
		}
	}
	return branches, nil
}

// serve does a morning's business, each operation at the next branch. Each has
// a slip, whose number is its idempotency key.
func serve(ctx context.Context, out io.Writer, branches []*branch) error {
	for i, c := range []struct {
		slip string
		teller.Command
	}{
		{"slip 1", teller.Command{Op: "credit", Account: "alice", Cents: 100_00}},
		{"slip 2", teller.Command{Op: "debit", Account: "alice", Cents: 30_00}},
		{"slip 3", teller.Command{Op: "debit", Account: "alice", Cents: 99_00}},
		{"slip 4", teller.Command{Op: "credit", Account: "bob", Cents: 5_00}},
		{"slip 2", teller.Command{Op: "debit", Account: "alice", Cents: 30_00}},
		{"slip 5", teller.Command{Op: "debit", Account: "alice", Cents: 70_00}},
	} {
		b := branches[i%len(branches)]
		said, err := b.execute(ctx, c.slip, c.Command)
		if err != nil {
			return fmt.Errorf("%s %d of %s at %s: %w", c.Op, c.Cents, c.Account, b.name, err)
		}
		fmt.Fprintf(out, "%-5s  %s, %s %d for %s: %s\n", b.name, c.slip, c.Op, c.Cents, c.Account, said)
	}
	for _, b := range branches {
		if err := b.server.Barrier(ctx); err != nil {
			return fmt.Errorf("query at %s: %w", b.name, err)
		}
		fmt.Fprintf(out, "%-5s  query: alice has %d, bob has %d\n", b.name, b.bank.Balance("alice"), b.bank.Balance("bob"))
	}
	return nil
}

// execute has the bank carry out a command, once for each slip, and says what
// became of it.
func (b *branch) execute(ctx context.Context, slip string, c teller.Command) (string, error) {
	// No index is given as seen before: a bank with more slips than once.MaxKeys
	// would keep one beside each.
	data, err := once.Command(slip, 0, c.Encode())
	if err != nil {
		return "", err
	}
	applied, err := b.server.Propose(ctx, data)
	if err != nil {
		return "", err
	}
	o, err := once.ParseOutcome(applied.Result)
	if err != nil {
		return "", err
	}
	if o.Refusal != once.Accepted {
		return "", fmt.Errorf("the slip is refused: %v", o.Refusal)
	}
	var r teller.Result
	if err := json.Unmarshal(o.Result, &r); err != nil {
		return "", fmt.Errorf("read the result: %w", err)
	}
	if o.Repeated {
		return "as before, " + verdict(r), nil
	}
	return verdict(r), nil
}

func verdict(r teller.Result) string {
	if r.Refused != "" {
		return "refused, " + r.Refused
	}
	return fmt.Sprintf("done, the balance is %d", r.Balance)
}
