package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"syscall"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
)

// maxKeyInput bounds what is read where a key is expected, in bytes.
const maxKeyInput = 4 << 10

var initCommand = command{
	name: "init", scope: scopeSetup, json: true,
	summary: "found a new cluster on this device and make its key",
	details: "Prints what to type on the next device. Works with and without a running agent.",
	example: "edgeraft init",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			return inv.setUp(ctx,
				func(ctx context.Context, agent *client.Client) (api.Setup, error) { return agent.Init(ctx) },
				agent.InitOffline,
				inv.sayFounded)
		}
	},
}

var joinCommand = command{
	name: "join", args: "[KEY|-]", max: 1, scope: scopeSetup, json: true,
	summary: "give this device the key of a cluster, so that it joins",
	details: "The key is an argument, a file, or standard input; other users of this device may see an\nargument while the command runs. Works with and without a running agent.\nA device that was given the wrong key finds no cluster: --replace-key gives it the right one.\nWith --add the device keeps the key it has and takes this one too, as `edgeraft keygen --rotate` says.",
	example: "edgeraft join er1-...      # the line that `edgeraft init` printed\nedgeraft join --file /media/usb/cluster.key",
	define: func(flags *flag.FlagSet) action {
		file := flags.String("file", "", "read the key from `FILE`")
		add := flags.Bool("add", false, "a new key of the cluster that this device belongs to")
		replace := flags.Bool("replace-key", false, "in the place of the key that this device has, with which it finds no leader")
		asNew := flags.Bool("as-new", false, "leave the cluster that this device belongs to, put aside what it has, and join as a new device, with the key it has if none is given")
		yes := flags.Bool("yes", false, "do not ask, with --as-new")
		return func(ctx context.Context, inv *invocation) error {
			switch {
			case *add && (*replace || *asNew), *replace && *asNew:
				return usageError{"--add, --replace-key and --as-new do different things; give one of them"}
			case *asNew:
				return inv.startOver(ctx, *file, *yes)
			}
			key, err := inv.joinKey(*file)
			if err != nil {
				return err
			}
			switch {
			case *add:
				return inv.changeKeys(ctx, api.KeyChange{Action: api.KeyAdd, Key: key.Text()})
			case *replace:
				return inv.changeKeys(ctx, api.KeyChange{Action: api.KeyReplace, Key: key.Text()})
			}
			return inv.setUp(ctx,
				func(ctx context.Context, agent *client.Client) (api.Setup, error) { return agent.Join(ctx, key.Text()) },
				func(c config.Config) (api.Setup, error) { return agent.JoinOffline(c, key) },
				inv.sayJoined)
		}
	},
}

// setUp does online through the agent if one answers, else offline, and
// prints the outcome; say also learns whether an agent runs.
func (inv *invocation) setUp(ctx context.Context, online func(context.Context, *client.Client) (api.Setup, error),
	offline func(config.Config) (api.Setup, error), say func(c config.Config, setup api.Setup, running bool)) error {
	c, origins, err := inv.configOrigins()
	if err != nil {
		return err
	}
	c.Socket = agentSocket(c.Socket, origins["socket"] != "", config.SystemSocket)
	agent := client.New(c.Socket)
	defer agent.Close()
	ctx, cancel := context.WithTimeout(ctx, inv.timeout)
	defer cancel()

	setup, err := online(ctx, agent)
	running := !isAbsent(err)
	if !running {
		setup, err = offline(c)
	}
	if err != nil {
		return err
	}
	if inv.json {
		return inv.sayJSON(setup)
	}
	say(c, setup, running)
	return nil
}

// isAbsent reports whether surely no agent runs behind a socket. One that may
// not be used, or that is too busy to answer, is there.
func isAbsent(err error) bool {
	return errors.Is(err, client.ErrUnreachable) &&
		(errors.Is(err, fs.ErrNotExist) || errors.Is(err, syscall.ECONNREFUSED))
}

func (inv *invocation) sayFounded(c config.Config, setup api.Setup, running bool) {
	inv.say("This device founded the cluster %s (%s).", show.Printable(c.Cluster), show.Printable(setup.ClusterID))
	if !running {
		inv.sayStart(c)
	}
	inv.say("\nKey: %s", show.Printable(setup.Key))
	inv.say("Keep it secret: whoever has it can join the cluster, and read and change its state.")
	option := ""
	if c.Cluster != config.Default(config.Host{}).Cluster {
		option = "--cluster " + c.Cluster + " "
	}
	inv.say("\nOn the next device, type:\n  edgeraft join %s%s", option, show.Printable(setup.Key))
}

func (inv *invocation) sayJoined(c config.Config, _ api.Setup, running bool) {
	inv.say("This device has the key of the cluster %s now.", show.Printable(c.Cluster))
	if !running {
		inv.sayStart(c)
		return
	}
	inv.say("It joins as soon as it finds a member. See: edgeraft status")
}

func (inv *invocation) sayStart(c config.Config) {
	inv.say("No agent is running; this was written to %s and %s.", show.Printable(c.DataDir), show.Printable(c.KeyFile))
	inv.say("Now start the agent: systemctl start edgeraft, or: edgeraft run")
}

// joinKey reads the key from wherever the command line says it is.
func (inv *invocation) joinKey(file string) (seal.Key, error) {
	if file != "" && len(inv.args) > 0 {
		return seal.Key{}, usageError{"give the key either as an argument or with --file"}
	}
	text := ""
	switch {
	case file != "":
		// Not seal.ReadKeyFile, which demands that only the owner may read: a
		// key often arrives on a USB stick, whose files everybody may read.
		f, err := os.Open(file)
		if err != nil {
			return seal.Key{}, fmt.Errorf("read the key: %w", err)
		}
		defer f.Close()
		if text, err = readKeyText(f); err != nil {
			return seal.Key{}, err
		}
	case len(inv.args) > 0 && inv.args[0] != "-":
		text = inv.args[0]
	default:
		if isTerminal(inv.stdin) {
			fmt.Fprint(inv.stderr, "Paste the key that `edgeraft init` printed, then Enter and Ctrl-D: ")
		}
		var err error
		if text, err = readKeyText(inv.stdin); err != nil {
			return seal.Key{}, err
		}
	}
	key, err := seal.ParseKey(text)
	if err != nil {
		return seal.Key{}, usageError{err.Error()}
	}
	return key, nil
}

func readKeyText(r io.Reader) (string, error) {
	data, err := io.ReadAll(io.LimitReader(r, maxKeyInput+1))
	if err != nil {
		return "", fmt.Errorf("read the key: %w", err)
	}
	if len(data) > maxKeyInput {
		return "", fmt.Errorf("read the key: there are more than %d bytes; is it the right file?", maxKeyInput)
	}
	return string(data), nil
}
