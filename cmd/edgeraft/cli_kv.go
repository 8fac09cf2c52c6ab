package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/show"
)

var proposeCommand = command{
	name: "propose", args: "[COMMAND|-]", max: 1, scope: scopeAgent, json: true,
	summary: "commit an opaque command (argument or standard input) and print its index",
	details: "The index is printed once the command is committed and applied; a result, if the\napplication has one, follows on the next line." + keyDetails,
	example: "edgeraft propose 'valve 3 open'\nedgeraft propose < command.bin\nedgeraft propose --idempotency-key order-4711 'pay 5'     # can be repeated safely",
	define: func(fs *flag.FlagSet) action {
		key := keyFlags(fs)
		return func(ctx context.Context, inv *invocation) error {
			body, err := inv.argOrInput(0)
			if err != nil {
				return err
			}
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				var applied api.Applied
				err := key.change(ctx, agent, func(ctx context.Context, agent *client.Client) (err error) {
					applied, err = agent.Propose(ctx, body)
					return err
				})
				if err != nil {
					return err
				}
				if inv.json {
					return inv.sayJSON(applied)
				}
				inv.say("%d", applied.Index)
				if result := string(applied.Result); result != "" && result != "null" {
					inv.say("%s", show.Printable(result))
				}
				if applied.ResultNotKept {
					complain(inv.stderr, "edgeraft propose", "it was applied before; its result was too long to be remembered")
				}
				return nil
			})
		}
	},
}

var getCommand = command{
	name: "get", args: "KEY", min: 1, max: 1, scope: scopeAgent, json: true,
	summary: "print the value of a key",
	details: "The value comes out byte for byte. On a terminal, a line end follows it and what\na terminal would obey is escaped; a key that expires is said to. An absent key is\nexit code 1.",
	example: "edgeraft get door/front",
	define: func(fs *flag.FlagSet) action {
		stale := fs.Bool("stale", false, "answer from this device at once, also when it is cut off; says how stale")
		return func(ctx context.Context, inv *invocation) error {
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				got, err := agent.Get(ctx, inv.args[0], client.GetOptions{Stale: *stale})
				if err != nil {
					return err
				}
				if *stale {
					complain(inv.stderr, "edgeraft get", staleness(got.Staleness))
				}
				switch {
				case inv.json:
					return inv.sayJSON(api.KeyValue{
						Key: inv.args[0], Bytes: api.BytesOf(got.Value), Index: got.Index, ExpiresInMS: got.ExpiresIn.Milliseconds(),
					})
				case isTerminal(inv.stdout):
					inv.say("%s", show.Lines(string(got.Value)))
					if got.ExpiresIn > 0 {
						complain(inv.stderr, "edgeraft get", "expires in "+ago(got.ExpiresIn))
					}
				default:
					_, _ = inv.stdout.Write(got.Value) // inv.stdout remembers the error
				}
				return nil
			})
		}
	},
}

// staleness says how old a stale answer may be.
func staleness(s client.Staleness) string {
	if !s.LeaderContactKnown {
		return fmt.Sprintf("as of index %d; this device has not heard from a leader since it started", s.Applied)
	}
	return fmt.Sprintf("as of index %d; this device last heard from a leader %s ago", s.Applied, ago(s.LeaderContact))
}

var putCommand = command{
	name: "put", args: "KEY VALUE|-", min: 2, max: 2, scope: scopeAgent, json: true,
	summary: "set a key and print the index of the change",
	details: "With - the value is standard input, byte for byte." + keyDetails,
	example: "edgeraft put door/front open\nedgeraft put photo - < photo.jpg\nedgeraft put --if-index 0 lock mine      # only if nobody has it\nedgeraft put --ttl 30s alive/attic yes   # gone in 30 s unless put again",
	define: func(fs *flag.FlagSet) action {
		ifIndex, key := indexFlag(fs), keyFlags(fs)
		ttl := ttlFlag(fs)
		return func(ctx context.Context, inv *invocation) error {
			value, err := inv.argOrInput(1)
			if err != nil {
				return err
			}
			return inv.change(ctx, key, func(ctx context.Context, agent *client.Client) (uint64, error) {
				return agent.Put(ctx, inv.args[0], value, client.PutOptions{IfIndex: ifIndex.value, TTL: *ttl})
			})
		}
	},
}

var deleteCommand = command{
	name: "delete", args: "KEY", min: 1, max: 1, scope: scopeAgent, json: true,
	summary: "remove a key and print the index of the change",
	details: "An absent key is exit code 1." + keyDetails,
	example: "edgeraft delete door/front\nedgeraft delete --if-index 17 lock     # only if nobody took it since",
	define: func(fs *flag.FlagSet) action {
		ifIndex, key := indexFlag(fs), keyFlags(fs)
		return func(ctx context.Context, inv *invocation) error {
			return inv.change(ctx, key, func(ctx context.Context, agent *client.Client) (uint64, error) {
				return agent.Delete(ctx, inv.args[0], client.DeleteOptions{IfIndex: ifIndex.value})
			})
		}
	},
}

// change makes one change and prints its index.
func (inv *invocation) change(ctx context.Context, key *keyed, do func(context.Context, *client.Client) (uint64, error)) error {
	return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
		var index uint64
		err := key.change(ctx, agent, func(ctx context.Context, agent *client.Client) (err error) {
			index, err = do(ctx, agent)
			return err
		})
		if err != nil {
			return err
		}
		if inv.json {
			return inv.sayJSON(struct {
				Index uint64 `json:"index"`
			}{index})
		}
		inv.say("%d", index)
		return nil
	})
}

// optionalIndex is a flag that makes a difference also when it is 0.
type optionalIndex struct{ value *uint64 }

// String implements flag.Value.
func (o *optionalIndex) String() string { return "" }

// Set implements flag.Value.
func (o *optionalIndex) Set(text string) error {
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		return errors.New("an index is a whole number, 0 or more")
	}
	o.value = &n
	return nil
}

func indexFlag(fs *flag.FlagSet) *optionalIndex {
	o := new(optionalIndex)
	fs.Var(o, "if-index", "only if the key last changed at this `INDEX` (0: only if it is absent)")
	return o
}

var listCommand = command{
	name: "list", scope: scopeAgent, json: true,
	summary: "list keys and values, one pair a line with a tab between",
	details: "After one more tab it says in how long a key expires, where it does.",
	example: "edgeraft list --prefix door/",
	define: func(fs *flag.FlagSet) action {
		prefix := fs.String("prefix", "", "only keys that begin with this `PREFIX`")
		stale := fs.Bool("stale", false, "answer from this device at once, also when it is cut off")
		return func(ctx context.Context, inv *invocation) error {
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				return inv.list(ctx, agent, *prefix, *stale)
			})
		}
	},
}

// list prints page after page, so that a large state needs no memory here. As
// JSON it is one object, like the answer of the socket; "applied" is then the
// index of the first page.
func (inv *invocation) list(ctx context.Context, agent *client.Client, prefix string, stale bool) error {
	opts := client.ListOptions{Stale: stale}
	printed := 0
	for more := true; more; {
		page, err := agent.List(ctx, prefix, opts)
		if err != nil {
			return err
		}
		if inv.json && opts.After == "" {
			fmt.Fprintf(inv.stdout, `{"applied":%d,"items":[`, page.Applied)
		}
		for _, item := range page.Items {
			if err := inv.listItem(item, printed == 0); err != nil {
				return err
			}
			printed++
		}
		// An agent whose pages do not advance must not keep us here for ever.
		more = page.Next > opts.After && inv.stdout.err == nil
		opts.After = page.Next
	}
	if inv.json {
		inv.say("]}")
	}
	return nil
}

func (inv *invocation) listItem(item api.KeyValue, first bool) error {
	if !inv.json {
		line := show.Printable(item.Key) + "\t" + shown(item.Bytes)
		if item.ExpiresInMS > 0 {
			line += "\texpires in " + ago(time.Duration(item.ExpiresInMS)*time.Millisecond)
		}
		inv.say("%s", line)
		return nil
	}
	b, err := marshalJSON(item)
	if err != nil {
		return err
	}
	separator := ",\n"
	if first {
		separator = "\n"
	}
	fmt.Fprintf(inv.stdout, "%s%s", separator, show.JSON(b))
	return nil
}

// ago rounds a time to what people want to know of it.
func ago(d time.Duration) string {
	switch {
	case d < 10*time.Second:
		return d.Round(10 * time.Millisecond).String()
	case d < time.Hour:
		return d.Round(time.Second).String()
	}
	return d.Round(time.Minute).String()
}
