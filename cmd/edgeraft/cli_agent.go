package main

import (
	"context"
	"flag"
	"runtime"
	"time"

	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/release"
)

var versionCommand = command{
	name: "version", scope: scopeNone, json: true,
	summary: "print the version of this program",
	example: "edgeraft version",
	define: func(*flag.FlagSet) action {
		return func(_ context.Context, inv *invocation) error {
			if inv.json {
				return inv.sayJSON(map[string]string{
					"version": release.Version(), "go": runtime.Version(), "os": runtime.GOOS, "arch": runtime.GOARCH,
				})
			}
			inv.say("edgeraft %s %s %s/%s", release.Version(), runtime.Version(), runtime.GOOS, runtime.GOARCH)
			return nil
		}
	},
}

var runCommand = command{
	name: "run", scope: scopeLocal,
	summary: "run the agent in the foreground",
	details: "Without a key it waits for `edgeraft init` or `edgeraft join`. Ctrl-C or SIGTERM stops it in an\norderly way.",
	example: "edgeraft run\nedgeraft run --data-dir ./data --socket ./edgeraft.sock --key-file ./cluster.key",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			c, err := inv.config()
			if err != nil && agent.Supervised() {
				complain(inv.stderr, "edgeraft run", err.Error())
				return exitStatus(exitConfig)
			}
			if err != nil {
				return err
			}
			return agent.Run(ctx, c, inv.config, inv.stderr, inv.from.Host.Env)
		}
	},
}

var demoCommand = command{
	name: "demo", scope: scopeNone,
	summary: "watch three agents on this machine form a cluster and survive the loss of one",
	details: "Needs no configuration and leaves nothing behind. Exit code 0 means that every check held.",
	example: "edgeraft demo",
	define: func(flags *flag.FlagSet) action {
		var o demoOptions
		flags.DurationVar(&o.Timeout, "timeout", 90*time.Second, "give up after this `TIME`")
		flags.BoolVar(&o.Verbose, "verbose", false, "also show what the agents log")
		flags.BoolVar(&o.NoMDNS, "no-mdns", false, "use configured peer addresses, as where multicast does not work")
		return func(ctx context.Context, inv *invocation) error {
			if code := runDemo(ctx, o, inv.stdout, inv.stderr); code != exitDone {
				return exitStatus(code)
			}
			return nil
		}
	},
}
