package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
)

// minInterval keeps `status --watch` from being a load of its own.
const minInterval = 100 * time.Millisecond

// clearScreen moves a terminal's cursor to the top and erases what is below.
const clearScreen = "\x1b[H\x1b[2J"

var statusCommand = command{
	name: "status", scope: scopeAgent, json: true,
	summary: "show this device and its cluster, warnings first",
	details: "Exit code 1 means that something is wrong, which the warnings tell.",
	example: "edgeraft status\nedgeraft status --watch",
	define: func(fs *flag.FlagSet) action {
		watch := fs.Bool("watch", false, "refresh until Ctrl-C")
		interval := fs.Duration("interval", 2*time.Second, "time between refreshes")
		return func(ctx context.Context, inv *invocation) error {
			if *interval < minInterval {
				return usageError{fmt.Sprintf("--interval must be at least %v", minInterval)}
			}
			if *watch {
				return inv.watchStatus(ctx, *interval)
			}
			return inv.call(ctx, func(ctx context.Context, agent *client.Client) error {
				status, err := agent.Status(ctx)
				if err != nil {
					return err
				}
				if err := inv.showStatus(status); err != nil {
					return err
				}
				if !status.Healthy {
					return errSilentNo
				}
				return nil
			})
		}
	},
}

// showStatus prints a status in the form that was asked for.
func (inv *invocation) showStatus(status api.Status) error {
	if inv.json {
		return inv.sayJSON(status)
	}
	printStatus(inv.stdout, status)
	return nil
}

// watchStatus shows the status again and again, also across restarts of the
// agent, until the context ends.
func (inv *invocation) watchStatus(ctx context.Context, interval time.Duration) error {
	agent, err := inv.agent()
	if err != nil {
		return err
	}
	defer agent.Close()
	ticker := time.NewTicker(interval)
	defer ticker.Stop()
	for first := true; ; first = false {
		one, cancel := context.WithTimeout(ctx, inv.timeout)
		status, err := agent.Status(one)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil && first {
			return err
		}
		if isTerminal(inv.stdout) && !inv.json {
			fmt.Fprint(inv.stdout, clearScreen)
		} else if !first && !inv.json {
			inv.say("")
		}
		if err != nil {
			complain(inv.stderr, "edgeraft status", err.Error())
		} else if err := inv.showStatus(status); err != nil {
			return err
		}
		if inv.stdout.err != nil {
			return nil // run reports it
		}
		select {
		case <-ctx.Done():
			return nil
		case <-ticker.C:
		}
	}
}

// printStatus prints a status for people.
func printStatus(out io.Writer, s api.Status) {
	for _, w := range s.Warnings {
		fmt.Fprintf(out, "WARNING: %s", printable(w.Message))
		if w.Next != "" {
			fmt.Fprintf(out, " Next: %s", printable(w.Next))
		}
		fmt.Fprintln(out)
	}
	if len(s.Warnings) > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Device   %s, up %s, version %s\n", deviceLine(s.Node), ago(milliseconds(s.UptimeMS)), printable(s.Version))
	fmt.Fprintf(out, "Cluster  %s\n", clusterLine(s))
	fmt.Fprintf(out, "Log      commit %d, applied %d, last %d, on stable storage %d\n", s.Node.Commit, s.Node.Applied, s.Node.Last, s.Node.Stable)
	fmt.Fprintf(out, "State    %d keys (%d expire), %s; %d idempotency keys\n",
		s.State.Keys, s.State.Expiring, size(s.State.Bytes), s.State.IdempotencyKeys)
	fmt.Fprintf(out, "Storage  %s\n", storageLine(s.Storage))
	printCard(out, s.Storage)
	fmt.Fprintf(out, "Traffic  %s\n", trafficLine(s.Traffic))
	printBroker(out, s.MQTT)
	if len(s.Members) > 0 {
		fmt.Fprintln(out)
		printMembers(out, s.Members)
	}
}

// deviceStates says in words what Node.State says in one.
var deviceStates = map[string]string{
	"waiting_for_key":     "waiting for a key (edgeraft init or edgeraft join)",
	"waiting_for_cluster": "waiting for its cluster to be found",
	"starting":            "starting",
	"removed":             "removed from its cluster",
	"stopping":            "stopping",
}

func deviceLine(n api.Node) string {
	line := fmt.Sprintf("%s (%s)", printable(n.Name), printable(shortID(n.ID)))
	if words, ok := deviceStates[n.State]; ok {
		return line + ", " + words
	}
	return line + fmt.Sprintf(", %s in term %d", printable(n.Role), n.Term)
}

func clusterLine(s api.Status) string {
	line := printable(s.Cluster.Name)
	if s.Cluster.ID == "" {
		return line + ", not founded or not found yet"
	}
	line += " (" + printable(s.Cluster.ID) + ")"
	if s.Cluster.Leader == "" {
		return line + ", no leader"
	}
	return line + fmt.Sprintf(", leader %s (%s)", printable(s.Cluster.LeaderName), printable(shortID(s.Cluster.Leader)))
}

func storageLine(s api.Storage) string {
	line := fmt.Sprintf("%d saves, log %s", s.Saves, size(s.LogBytes))
	if s.Snapshot > 0 {
		line += fmt.Sprintf(", snapshot at %d", s.Snapshot)
	}
	if d := s.Disk; d != nil {
		line += fmt.Sprintf("; database %s, %s of it unused", size(d.FileBytes), size(d.UnusedBytes))
		if d.Mode != api.DiskOK {
			line += ", DISK " + strings.ToUpper(printable(d.Mode))
		}
	}
	if s.Error != "" {
		line += ", FAILED: " + printable(s.Error)
	}
	return line
}

func trafficLine(t api.Traffic) string {
	line := fmt.Sprintf("sent %d packets, %s; received %d packets, %s",
		t.SentPackets, size(t.SentBytes), t.ReceivedPackets, size(t.ReceivedBytes))
	for i, reason := range slices.Sorted(maps.Keys(t.Dropped)) {
		if i == 0 {
			line += "; dropped"
		}
		line += fmt.Sprintf(" %s %d", printable(reason), t.Dropped[reason])
	}
	return line
}

// printMembers prints the table of members.
func printMembers(out io.Writer, members []api.Member) {
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tID\tROLE\tADDRESS\tTRANSPORT\tROUND TRIP\tLAG\tLAST CONTACT")
	for _, m := range members {
		name, role, contact, lag := printable(m.Name), printable(m.Role), "never", "-"
		if m.Leader {
			role += ", leader"
		}
		if m.LastContactMS != nil {
			contact = ago(milliseconds(*m.LastContactMS)) + " ago"
		}
		if m.Self {
			name += " (this device)"
			contact = "-"
		}
		if m.Lag != nil {
			lag = fmt.Sprint(*m.Lag)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			name, printable(shortID(m.ID)), role, orDash(m.Address), orDash(m.Transport), roundTrip(m.RoundTripUS), lag, contact)
		printPaths(table, m)
	}
	table.Flush()
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return printable(text)
}

// shortIDLen is how much of an ID people see: enough to tell any members of
// one cluster apart, and accepted by the commands that take one.
const shortIDLen = 8

func shortID(id string) string { return id[:min(len(id), shortIDLen)] }

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }

// size shows bytes in the unit that fits.
func size(n uint64) string {
	switch {
	case n < 10<<10:
		return fmt.Sprintf("%d bytes", n)
	case n < 10<<20:
		return fmt.Sprintf("%d KiB", n>>10)
	case n < 10<<30:
		return fmt.Sprintf("%d MiB", n>>20)
	}
	return fmt.Sprintf("%d GiB", n>>30)
}
