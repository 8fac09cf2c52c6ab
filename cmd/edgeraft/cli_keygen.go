package main

import (
	"context"
	"flag"
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
)

var keygenCommand = command{
	name: "keygen", scope: scopeSetup, json: true,
	summary: "make a new cluster key and print it",
	details: "`edgeraft init` makes one by itself; this is for those who distribute keys on their own.\n\nTo change the key of a cluster that runs: --rotate on one device; the line it prints on all\nothers, in any order; then, when `edgeraft status` says that all have it, --drop-old on each.",
	example: "edgeraft keygen\nedgeraft keygen --out cluster.key\nedgeraft keygen --rotate\nedgeraft keygen --drop-old",
	define: func(flags *flag.FlagSet) action {
		out := flags.String("out", "", "write it to `FILE` (mode 0600) instead")
		force := flags.Bool("force", false, "replace the key in FILE; with --drop-old: though members may lack the new key, which then lose this device")
		rotate := flags.Bool("rotate", false, "make a new key for the cluster of this device, beside the old one")
		drop := flags.Bool("drop-old", false, "accept the newest key only, once all members have it")
		return func(ctx context.Context, inv *invocation) error {
			switch {
			case *rotate && (*drop || *out != "" || *force), *drop && *out != "":
				return usageError{"--rotate, --drop-old and --out do different things; give one of them"}
			case *rotate:
				return inv.changeKeys(ctx, api.KeyChange{Action: api.KeyRotate})
			case *drop:
				return inv.changeKeys(ctx, api.KeyChange{Action: api.KeyDropOld, Force: *force})
			}
			key := seal.NewKey()
			if *out != "" {
				if err := seal.WriteKeyFile(*out, key, *force); err != nil {
					return err
				}
				if inv.json {
					return inv.sayJSON(map[string]string{"file": *out})
				}
				inv.say("Wrote a new cluster key to %s.", show.Printable(*out))
				return nil
			}
			if inv.json {
				return inv.sayJSON(api.Setup{Key: key.Text()})
			}
			inv.say("%s", key.Text())
			return nil
		}
	},
}

// changeKeys takes a step of a rotation, through the agent if one answers, else
// in the key file.
func (inv *invocation) changeKeys(ctx context.Context, change api.KeyChange) error {
	c, origins, err := inv.configOrigins()
	if err != nil {
		return err
	}
	running := client.New(agentSocket(c.Socket, origins["socket"] != "", config.SystemSocket))
	defer running.Close()
	ctx, cancel := context.WithTimeout(ctx, inv.timeout)
	defer cancel()
	changed, err := running.ChangeKeys(ctx, change)
	absent := isAbsent(err)
	if absent {
		changed, err = agent.ChangeKeysOffline(c, change)
	}
	if err != nil {
		return err
	}
	if inv.json {
		return inv.sayJSON(changed)
	}
	inv.sayKeys(c, change, changed, !absent)
	return nil
}

func (inv *invocation) sayKeys(c config.Config, change api.KeyChange, changed api.KeyChanged, running bool) {
	switch change.Action {
	case api.KeyRotate:
		inv.say("New key: %s", show.Printable(changed.Key))
		inv.say("This device accepts it beside the old one. On every other device, in any order, type:\n  edgeraft join --add %s", show.Printable(changed.Key))
		inv.say("When edgeraft status says that all have it: edgeraft keygen --drop-old, on each.")
	case api.KeyAdd:
		inv.say("This device has the new key, beside the one before. See: edgeraft status")
	case api.KeyReplace:
		inv.say("This device has this key now, in the place of what it had.")
		if running {
			inv.say("It joins as soon as it finds a member. See: edgeraft status")
		}
	default:
		inv.say("This device accepts the key %s only.", show.Printable(changed.Keys.Preferred))
	}
	if !running {
		inv.say("No agent is running; this was written to %s.", show.Printable(c.KeyFile))
	}
}

// keysLine says which keys are accepted.
func keysLine(k api.Keys) string {
	line := show.Printable(k.Preferred)
	if len(k.Older) > 0 {
		line += " (new), " + show.Printable(strings.Join(k.Older, ", ")) + " (old)"
	}
	if n := len(k.Waiting); n > 0 {
		line += fmt.Sprintf("; %d members are not known to have the new one", n)
	}
	return line
}
