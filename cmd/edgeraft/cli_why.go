package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/card"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/internal/why"
)

var whyCommand = command{
	name: "why", scope: scopeSetup, json: true,
	summary: "say in one sentence why the cluster does not work, and what to type next",
	details: "Asks the agent; where that does not answer, looks at its files and its service. Exit code 0 means\nthat all is well here, 1 that it is not.",
	example: "edgeraft why",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			f := why.Diagnose(inv.whatIsKnown(ctx))
			if inv.json {
				if err := inv.sayJSON(f); err != nil {
					return err
				}
			} else {
				inv.say("%s", show.Printable(f.Cause))
				if f.Next != "" {
					inv.say("Next: %s", show.Printable(f.Next))
				}
			}
			if !f.Healthy {
				return errSilentNo
			}
			return nil
		}
	},
}

// askFor is how long an agent may take to answer before it counts as silent: it
// answers this call itself, without the cluster.
const askFor = 6 * time.Second

// whatIsKnown asks the agent, and looks around where it does not answer.
func (inv *invocation) whatIsKnown(ctx context.Context) why.Input {
	c, origins, err := inv.configOrigins()
	if err != nil {
		var in why.Input
		in.Reach, in.Local.Config, in.Local.ConfigFile = why.Absent, err.Error(), inv.from.Path()
		return in
	}
	in := why.Input{Reach: why.Answered, Socket: agentSocket(c.Socket, origins["socket"] != "", config.SystemSocket)}
	agent := client.New(in.Socket)
	defer agent.Close()
	ask, cancel := context.WithTimeout(ctx, min(inv.timeout, askFor))
	defer cancel()
	if in.Status, err = agent.Status(ask); err == nil {
		return in
	}
	in.Error = err.Error()
	switch {
	case errors.Is(err, fs.ErrPermission):
		in.Reach = why.Denied
		return in
	case errors.Is(err, fs.ErrNotExist):
		in.Reach = why.Absent
	case errors.Is(err, syscall.ECONNREFUSED):
		in.Reach = why.Refused
	default:
		in.Reach = why.Silent
	}
	in.Local = lookAround(ctx, c)
	in.Local.ConfigFile = inv.from.Path()
	return in
}

// lookAround looks at what an agent would need to run.
func lookAround(ctx context.Context, c config.Config) why.Local {
	l := why.Local{DataDir: c.DataDir, KeyFile: c.KeyFile}
	if info, err := card.Read(card.Sys, c.DataDir); err == nil {
		l.FreeBytes = &info.FreeBytes
	}
	l.Storage, l.StorageText = lookAtStorage(ctx, c)
	if f, err := os.Open(c.KeyFile); err == nil { // else it is not there, or not this user's to read
		f.Close()
		if _, err := seal.ReadRing(c.KeyFile); err != nil {
			l.Key, l.KeyOpen = err.Error(), errors.Is(err, fs.ErrPermission)
		}
	}
	l.Service, l.LastError = serviceState(ctx)
	return l
}

func lookAtStorage(ctx context.Context, c config.Config) (why.Storage, string) {
	if _, err := os.Stat(filepath.Join(c.DataDir, agent.CopiedName)); err == nil {
		return why.StorageCopied, ""
	}
	in, err := boltlog.Inspect(ctx, c.DataDir)
	switch {
	case err == nil && in.Identity.Cluster != c.Cluster && !boltlog.Blank(in.Stored):
		return why.StorageOther, "it belongs to the cluster " + in.Identity.Cluster
	case err == nil:
		return why.StorageSound, ""
	case errors.Is(err, boltlog.ErrLostDatabase):
		return why.StorageLost, err.Error()
	case errors.Is(err, boltlog.ErrDamaged):
		return why.StorageDamaged, err.Error()
	case errors.Is(err, boltlog.ErrVersion):
		return why.StorageNewer, err.Error()
	case errors.Is(err, boltlog.ErrOtherDevice), errors.Is(err, boltlog.ErrOtherCluster):
		return why.StorageOther, err.Error()
	case errors.Is(err, fs.ErrNotExist):
		return why.StorageFresh, ""
	}
	return why.StorageUnknown, err.Error()
}

// serviceState asks systemd, where there is one that knows the service.
func serviceState(ctx context.Context) (state, lastError string) {
	if _, err := os.Stat("/run/systemd/system"); err != nil {
		return "", ""
	}
	ctx, cancel := context.WithTimeout(ctx, askFor)
	defer cancel()
	out, err := exec.CommandContext(ctx, "systemctl", "show", "--property=LoadState,ActiveState,InvocationID", "edgeraft.service").Output()
	if err != nil {
		return "", ""
	}
	is := map[string]string{}
	for line := range strings.Lines(string(out)) {
		name, value, _ := strings.Cut(strings.TrimSpace(line), "=")
		is[name] = value
	}
	switch is["LoadState"] {
	case "masked":
		return "masked", ""
	case "loaded":
	default:
		return "", ""
	}
	if is["InvocationID"] == "" {
		return is["ActiveState"], "" // it has not run
	}
	// Of its last run, what the agent itself said and not systemd about it.
	// Whoever may not read the journal gets nothing, which is no error here.
	out, _ = exec.CommandContext(ctx, "journalctl", "_SYSTEMD_INVOCATION_ID="+is["InvocationID"], "--priority=err", "--lines=1", "--output=cat", "--quiet").Output()
	return is["ActiveState"], strings.TrimSpace(string(out))
}
