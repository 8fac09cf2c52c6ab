package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io/fs"
	"strconv"

	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
)

const logDetails = "Looks at the files of this device itself, whether the agent runs or not: it works on a copy in\n" +
	"memory, writes nothing and takes no lock. Needs the right to read the data directory (sudo)."

var logVerifyCommand = command{
	name: "log verify", scope: scopeLocal, json: true,
	summary: "check all that this device has stored",
	details: logDetails + "\nExit code 1 means that it is damaged, or was not to be read; what could be read is shown all the same.",
	example: "edgeraft log verify\nedgeraft log verify --data-dir /media/card/var/lib/edgeraft",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			in, err := inv.inspect(ctx)
			if in.Path == "" {
				return err
			}
			if inv.json {
				return errors.Join(inv.sayJSON(verdictOf(in, err)), err)
			}
			if in.Identity.ID != "" {
				inv.showInspection(in)
			}
			if err == nil {
				inv.say("Sound.")
			}
			return err
		}
	},
}

var logDumpCommand = command{
	name: "log dump", scope: scopeLocal, json: true,
	summary: "print the stored log: state, snapshot and entries",
	details: logDetails + "\nTimes are cluster time, counted since the cluster was founded. With --json each line is an object:\n" +
		"first \"device\", \"state\" and, if there is one, \"snapshot\", then an \"entry\" each. Entries behind the\n" +
		"commit index may still be replaced. Exit code 1 means that the files are damaged: then nothing\n" +
		"of what is printed may be relied on.",
	example: "edgeraft log dump\nedgeraft log dump --from 100 --to 200 --json",
	define: func(fs *flag.FlagSet) action {
		span := dumpSpan{to: ^raft.Index(0)}
		fs.Func("from", "the first `INDEX` to print", logIndexFlag(&span.from))
		fs.Func("to", "the last `INDEX` to print", logIndexFlag(&span.to))
		return func(ctx context.Context, inv *invocation) error {
			if span.from > span.to {
				return usageError{fmt.Sprintf("--from %d is behind --to %d", span.from, span.to)}
			}
			in, err := inv.inspect(ctx)
			if in.Identity.ID == "" {
				return err
			}
			if inv.json {
				return errors.Join(inv.dumpJSON(in, span), err)
			}
			inv.dump(in, span)
			return err
		}
	},
}

// dumpSpan is which entries are wanted, both ends included.
type dumpSpan struct{ from, to raft.Index }

func logIndexFlag(to *raft.Index) func(string) error {
	return func(text string) error {
		n, err := strconv.ParseUint(text, 10, 64)
		if err != nil || n == 0 {
			return errors.New("an index is a whole number, 1 or more")
		}
		*to = raft.Index(n)
		return nil
	}
}

// inspect reads the database of the configured directory. Where the
// configuration is wrong, the Inspection has no path.
func (inv *invocation) inspect(ctx context.Context) (boltlog.Inspection, error) {
	c, err := inv.config()
	if err != nil {
		return boltlog.Inspection{}, err
	}
	in, err := boltlog.Inspect(ctx, c.DataDir)
	if errors.Is(err, fs.ErrNotExist) {
		err = fmt.Errorf("%w (no agent ever ran with this data_dir; --data-dir names another)", err)
	}
	return in, err
}

// showInspection prints what there is, for people.
func (inv *invocation) showInspection(in boltlog.Inspection) {
	inv.say("Database  %s, %s, format %d", show.Printable(in.Path), show.Size(in.FileBytes), in.Format)
	inv.say("Device    %s of the cluster %s, started %d times", in.Identity.ID, show.Printable(in.Identity.Cluster), in.Identity.Boot)
	inv.say("State     %s", stateLine(in.Stored.State))
	inv.say("Snapshot  %s", snapshotLine(in.Stored.Snapshot))
	inv.say("Log       %s", entriesLine(in))
	if in.RingSlots > 0 {
		inv.say("Ring      epoch %d, %d of %d sectors in use", in.Epoch, in.RingUsed, in.RingSlots)
	}
	for _, note := range in.Notes {
		inv.say("Note: %s", show.Printable(note))
	}
}

func stateLine(s raft.HardState) string {
	line := "no cluster"
	if !s.Cluster.IsZero() {
		line = "cluster " + s.Cluster.String()
	}
	line += fmt.Sprintf(", term %d, voted for ", s.Term)
	if s.Vote == "" {
		line += "nobody"
	} else {
		line += show.Printable(string(s.Vote))
	}
	return line + fmt.Sprintf(", committed up to %d at least", s.Commit)
}

func snapshotLine(s *raft.Snapshot) string {
	if s == nil {
		return "none"
	}
	line := fmt.Sprintf("up to index %d of term %d, %s", s.Index, s.Term, show.Size(uint64(len(s.Data))))
	if s.Config != nil {
		line += fmt.Sprintf(", %d members", len(s.Config.Members))
	}
	return line
}

func entriesLine(in boltlog.Inspection) string {
	es := in.Stored.Entries
	if len(es) == 0 {
		return "no entries"
	}
	first, last := es[0], es[len(es)-1]
	line := fmt.Sprintf("entries %d to %d, of terms %d to %d", first.Index, last.Index, first.Term, last.Term)
	if in.Chunks > 0 {
		line += fmt.Sprintf("; up to %d in %d chunks", min(in.Sealed, last.Index), in.Chunks)
	}
	return line
}
