// Command client is the bank teller as a program beside an agent: it talks to
// the agent's socket and keeps each balance as a key. What the App does in the
// other variant, the compare of a compare-and-set does here: of two tellers
// that debit the same account at once, one has to look again. An idempotency key
// lets the teller ask again when no answer comes, and pay once.
//
//	client -socket /run/edgeraft/edgeraft.sock credit alice 100
//	client -socket /run/edgeraft/edgeraft.sock debit alice 30
//	client -socket /run/edgeraft/edgeraft.sock query alice
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
)

// patience bounds one operation, with all its attempts.
const patience = 15 * time.Second

func main() {
	if err := run(os.Args[1:], os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "bankteller:", err)
		os.Exit(1)
	}
}

func run(args []string, out io.Writer) error {
	flags := flag.NewFlagSet("client", flag.ContinueOnError)
	socket := flags.String("socket", "/run/edgeraft/edgeraft.sock", "the agent's socket")
	if err := flags.Parse(args); err != nil {
		return err
	}
	words := flags.Args()
	if len(words) < 2 {
		return errors.New("usage: client [-socket S] query ACCOUNT | credit ACCOUNT CENTS | debit ACCOUNT CENTS")
	}
	agent := client.New(*socket)
	defer agent.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	change, err := amount(words)
	if err != nil {
		return err
	}
	balance, err := move(ctx, agent, "account/"+words[1], change)
	if err != nil {
		return fmt.Errorf("%s %s: %w", words[0], words[1], err)
	}
	fmt.Fprintf(out, "%s has %d\n", words[1], balance)
	return nil
}

// amount is by how much the command changes the balance: 0 for a query.
func amount(words []string) (int64, error) {
	if words[0] == "query" && len(words) == 2 {
		return 0, nil
	}
	if len(words) != 3 || words[0] != "credit" && words[0] != "debit" {
		return 0, fmt.Errorf("a teller does not do %q", words)
	}
	cents, err := strconv.ParseInt(words[2], 10, 64)
	if err != nil || cents <= 0 {
		return 0, fmt.Errorf("%q is not an amount: give a whole number above 0", words[2])
	}
	if words[0] == "debit" {
		return -cents, nil
	}
	return cents, nil
}

// move changes a balance and returns the new one. When another teller was
// faster it looks again; each time somebody has succeeded, so this ends. Each
// put has a key of its own: were its answer lost, and it tried again without
// one, its own success would look like that of a faster teller.
func move(ctx context.Context, agent *client.Client, key string, change int64) (int64, error) {
	for {
		balance, index, err := read(ctx, agent, key)
		if err != nil || change == 0 {
			return balance, err
		}
		next := balance + change
		switch {
		case change < 0 && next < 0:
			return 0, fmt.Errorf("overdraft: the balance is %d, %d were wanted", balance, -change)
		case change > 0 && next < balance:
			return 0, errors.New("no account can hold that much")
		}
		once, err := agent.NewKey(ctx)
		if err != nil {
			return 0, err
		}
		err = agent.Retry(ctx, once, func(ctx context.Context, agent *client.Client) error {
			_, err := agent.Put(ctx, key, strconv.AppendInt(nil, next, 10), client.PutOptions{IfIndex: &index})
			return err
		})
		if code(err) == api.CodeCompareFailed {
			continue
		}
		return next, err
	}
}

func read(ctx context.Context, agent *client.Client, key string) (balance int64, index uint64, err error) {
	got, err := agent.Get(ctx, key, client.GetOptions{})
	if code(err) == api.CodeNotFound {
		return 0, 0, nil
	}
	if err != nil {
		return 0, 0, err
	}
	if balance, err = strconv.ParseInt(string(got.Value), 10, 64); err != nil {
		return 0, 0, fmt.Errorf("the key %s holds no balance: %w", key, err)
	}
	return balance, got.Index, nil
}

func code(err error) string {
	var e *client.Error
	if errors.As(err, &e) {
		return e.Code
	}
	return ""
}
