package main

import (
	"context"
	"errors"
	"flag"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
)

const keyDetails = "\nWith an idempotency key it is tried again until its outcome is known or --timeout ends,\nand the same command line can be repeated later: it takes effect once. Where that may\nbe much later, give --key-since, such as what an earlier change printed."

// keyed is the flags of a change that may have an idempotency key.
type keyed struct{ key client.Key }

func keyFlags(fs *flag.FlagSet) *keyed {
	k := new(keyed)
	fs.Func("idempotency-key", "make the change once, however often it is repeated with this `KEY` of 1 to 64 bytes", func(text string) error {
		if text == "" {
			return errors.New("the key is empty")
		}
		k.key.Text = text
		return nil
	})
	fs.Func("key-since", "an `INDEX` seen before the key was first used: if the key is forgotten by now, refuse the change", func(text string) error {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return errors.New("an index that was seen is a whole number, 1 or more")
		}
		k.key.Since = n
		return nil
	})
	return k
}

// change makes the change, with the key if there is one.
func (k *keyed) change(ctx context.Context, agent *client.Client, do func(context.Context, *client.Client) error) error {
	switch {
	case k.key.Text != "":
		return agent.Retry(ctx, k.key, do)
	case k.key.Since != 0:
		return usageError{"--key-since goes with --idempotency-key"}
	}
	return do(ctx, agent)
}

// ttlFlag is how long a key lives, in the form that the socket takes; empty
// without the flag.
func ttlFlag(fs *flag.FlagSet) *string {
	ttl := new(string)
	fs.Func("ttl", "the key expires after this `DURATION`, such as 30s or 12h", func(text string) error {
		d, err := time.ParseDuration(text)
		if err != nil || d <= 0 {
			return errors.New("give a duration such as 30s or 12h")
		}
		*ttl = text
		return nil
	})
	return ttl
}
