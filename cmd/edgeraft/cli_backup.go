package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/show"
)

var backupCommand = command{
	name: "backup", args: "FILE|-", min: 1, max: 1, scope: scopeAgent, json: true,
	summary: "write a consistent copy of the state to a file",
	details: "All keys with their values and what they have left to live, and the idempotency keys, as they\n" +
		"are at one index; opaque commands are not kept anywhere, so they are not in it either. The file\n" +
		"gets its name when it is complete. Keep it secret: it has all values. --timeout is how long it\n" +
		"may go without progress.",
	example: "edgeraft backup /media/usb/edgeraft-$(date +%F).backup\nedgeraft backup - | ssh nas 'cat > edgeraft.backup'",
	define: func(fs *flag.FlagSet) action {
		stale := fs.Bool("stale", false, "take this device's state as it is, also while it is cut off")
		overwrite := fs.Bool("overwrite", false, "replace FILE if it exists")
		return func(ctx context.Context, inv *invocation) error {
			path := inv.args[0]
			if path == "-" {
				if isTerminal(inv.stdout) {
					return usageError{"a backup is no text for a terminal; give a file, or send standard output elsewhere"}
				}
				_, err := inv.backUp(ctx, *stale, inv.stdout)
				return err
			}
			file, err := createFile(path, *overwrite)
			if err != nil {
				return err
			}
			h, err := inv.backUp(ctx, *stale, file)
			if err != nil {
				file.discard()
				return err
			}
			if err := file.publish(*overwrite); err != nil {
				return err
			}
			if inv.json {
				return inv.sayJSON(backupFile{File: path, Header: h})
			}
			inv.say("Wrote %s: %s", show.Printable(path), headerLine(h))
			if h.Stale {
				inv.say("It is as this device saw it, which %s; the cluster may be further.", lastWord(h.LeaderContactMS))
			}
			return nil
		}
	},
}

// backupFile is the JSON of backup and of restore --check.
type backupFile struct {
	File string `json:"file"`
	backup.Header
}

// backUp takes a backup and writes it, checking it as whoever restores it will.
func (inv *invocation) backUp(ctx context.Context, stale bool, to io.Writer) (backup.Header, error) {
	agent, err := inv.agent()
	if err != nil {
		return backup.Header{}, err
	}
	defer agent.Close()
	ctx, patient := inv.patiently(ctx)
	defer patient.end()
	stream, total, err := agent.Backup(ctx, client.BackupOptions{Stale: stale})
	if err != nil {
		return backup.Header{}, patient.why(ctx, err)
	}
	defer stream.Close()
	m := inv.meter(stream, "Received", total, patient)
	defer m.end()
	r, err := backup.NewReader(io.TeeReader(m, to))
	if err == nil {
		_, err = io.Copy(io.Discard, r)
	}
	if err != nil {
		return backup.Header{}, patient.why(ctx, fmt.Errorf("take a backup: %w", err))
	}
	return r.Header, nil
}

func headerLine(h backup.Header) string {
	return fmt.Sprintf("%d keys, %s, of the cluster %s (%s) at index %d, taken %s on %s",
		h.Keys, show.Size(h.Size), show.Printable(h.Cluster), show.Printable(h.ClusterID), h.Index, show.Printable(h.Taken), show.Printable(h.Device))
}

func lastWord(contactMS int64) string {
	if contactMS < 0 {
		return "has not heard a leader since it started"
	}
	return fmt.Sprintf("last heard a leader %s before", ago(time.Duration(contactMS)*time.Millisecond))
}

var restoreCommand = command{
	name: "restore", args: "FILE|-", min: 1, max: 1, scope: scopeAgent, json: true,
	summary: "put the state of a backup in the place of the cluster's",
	details: "On all devices at the same index, as one change: all that changed since the backup is lost.\n" +
		"The file is checked to its last byte before anything begins. Every key then last changed at the\n" +
		"index of the restore, and lives as long as it had left when the backup was taken; watchers are\n" +
		"told to read anew. It asks first, unless the state is empty. --timeout is how long it may go\n" +
		"without progress.",
	example: "edgeraft restore /media/usb/edgeraft-2026-11-01.backup\nedgeraft restore --check /media/usb/edgeraft-2026-11-01.backup",
	define: func(fs *flag.FlagSet) action {
		check := fs.Bool("check", false, "check the file and tell what it is, and do nothing else")
		yes := fs.Bool("yes", false, "do not ask")
		return func(ctx context.Context, inv *invocation) error {
			file, err := inv.openBackup(inv.args[0])
			if err != nil {
				return err
			}
			defer file.close()
			switch {
			case *check && inv.json:
				return inv.sayJSON(backupFile{File: inv.args[0], Header: file.header})
			case *check:
				inv.say("The backup is whole: %s", headerLine(file.header))
				return nil
			}
			return inv.restore(ctx, file, *yes)
		}
	},
}

func (inv *invocation) restore(ctx context.Context, file *openedBackup, yes bool) error {
	agent, err := inv.agent()
	if err != nil {
		return err
	}
	defer agent.Close()
	one, cancel := context.WithTimeout(ctx, inv.timeout)
	status, err := agent.Status(one)
	cancel()
	if err != nil {
		return err
	}
	if err := inv.agreeToRestore(ctx, status, file.header, yes); err != nil {
		return err
	}
	ctx, patient := inv.patiently(ctx) // only now: whoever was asked may have taken their time
	defer patient.end()
	m := inv.meter(file.body, "Sent", file.size, patient)
	restored, err := agent.Restore(ctx, m, file.size)
	m.end()
	if err != nil {
		if errors.Is(err, client.ErrInterrupted) {
			err = fmt.Errorf("%w; the state is either all of the backup or as it was: look, and restore again if need be", err)
		}
		return patient.why(ctx, err)
	}
	if inv.json {
		return inv.sayJSON(restored)
	}
	inv.say("Restored at index %d: %d keys.", restored.Index, restored.Keys)
	return nil
}

// agreeToRestore says what will be lost, and asks where something will.
func (inv *invocation) agreeToRestore(ctx context.Context, status api.Status, h backup.Header, yes bool) error {
	if status.Cluster.ID == "" {
		return errors.New("this device belongs to no cluster yet; found one with edgeraft init, then restore into that")
	}
	out := inv.stderr
	fmt.Fprintf(out, "The backup has %s.\n", headerLine(h))
	if h.ClusterID != status.Cluster.ID {
		fmt.Fprintf(out, "It is of another cluster than this one (%s): its idempotency keys come in beside this one's.\n", show.Printable(status.Cluster.ID))
	}
	if h.Stale {
		fmt.Fprintf(out, "It was taken with --stale, on a device that %s.\n", lastWord(h.LeaderContactMS))
	}
	if status.State.Keys == 0 {
		return nil
	}
	fmt.Fprintf(out, "It takes the place of the %d keys that the cluster %s has at index %d, on all its devices; they cannot be got back\nunless you take a backup of them first.\n",
		status.State.Keys, show.Printable(status.Cluster.Name), status.Node.Applied)
	if yes {
		return nil
	}
	return inv.confirm(ctx, "restore", "--yes")
}
