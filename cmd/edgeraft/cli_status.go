package main

import (
	"bytes"
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
	"github.com/edgeraft/edgeraft/internal/show"
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
	width := terminalWidth(inv.stdout)
	if width == 0 {
		printStatus(inv.stdout, status)
		return nil
	}
	var whole bytes.Buffer
	printStatus(&whole, status)
	fmt.Fprint(inv.stdout, wrapFields(whole.String(), width))
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

// printStatus prints a status for people: what is wrong first.
func printStatus(out io.Writer, s api.Status) {
	for _, w := range s.Warnings {
		fmt.Fprintf(out, "WARNING  %s\n", show.Printable(w.Message))
		if w.Next != "" {
			fmt.Fprintf(out, "  next:  %s\n", show.Printable(w.Next))
		}
	}
	if len(s.Warnings) > 0 {
		fmt.Fprintln(out)
	}
	fmt.Fprintf(out, "Health   %s\n", healthLine(s))
	fmt.Fprintf(out, "Device   %s, up %s, version %s\n", deviceLine(s.Node), ago(milliseconds(s.UptimeMS)), show.Printable(s.Version))
	fmt.Fprintf(out, "Cluster  %s\n", clusterLine(s))
	fmt.Fprintf(out, "Log      commit %d, applied %d, last %d, on stable storage %d\n", s.Node.Commit, s.Node.Applied, s.Node.Last, s.Node.Stable)
	fmt.Fprintf(out, "State    %d keys (%d expire), %s; %d idempotency keys\n",
		s.State.Keys, s.State.Expiring, show.Size(s.State.Bytes), s.State.IdempotencyKeys)
	fmt.Fprintf(out, "Storage  %s\n", storageLine(s.Storage))
	printCard(out, s.Storage)
	if s.Clock != nil {
		fmt.Fprintf(out, "Clock    %s\n", clockLine(*s.Clock))
	}
	fmt.Fprintf(out, "Traffic  %s\n", trafficLine(s.Traffic))
	printBroker(out, s.MQTT)
	if s.Keys != nil {
		fmt.Fprintf(out, "Keys     %s\n", keysLine(*s.Keys))
	}
	if len(s.Members) > 0 {
		fmt.Fprintln(out)
		printMembers(out, s.Members)
		if s.Node.Role != "leader" && s.Cluster.Leader != "" && len(s.Members) > 2 {
			fmt.Fprintf(out, "Members hear the leader, and it hears all: how the others fare, edgeraft status on %s tells.\n", show.Printable(s.Cluster.LeaderName))
		}
	}
}

func healthLine(s api.Status) string {
	switch {
	case !s.Healthy:
		return "NOT healthy: this device cannot do all of its work"
	case len(s.Warnings) > 0:
		return "this device does its work, but see the warnings"
	}
	return "healthy"
}

func clockLine(c api.Clock) string {
	line := show.Printable(c.Time)
	if t, err := time.Parse(time.RFC3339, c.Time); err == nil {
		line = t.UTC().Format(time.DateTime) + " UTC"
	}
	if c.Plausible {
		line += ", plausible"
	} else {
		line += ", WRONG"
	}
	switch set := milliseconds(c.SetByMS); {
	case set > 0:
		line += fmt.Sprintf("; set forwards by %s since the agent started", ago(set))
	case set < 0:
		line += fmt.Sprintf("; set back by %s since the agent started", ago(-set))
	}
	if c.LeaderAheadMS == nil {
		return line
	}
	switch ahead := milliseconds(*c.LeaderAheadMS); {
	case ahead.Abs() < clocksAgree:
		return line + "; the leader's agrees"
	case ahead > 0:
		return line + fmt.Sprintf("; %s behind the leader's", ago(ahead))
	default:
		return line + fmt.Sprintf("; %s ahead of the leader's", ago(-ahead))
	}
}

// clocksAgree is up to what difference two clocks agree: it is known to two seconds.
const clocksAgree = 3 * time.Second

// deviceStates says in words what Node.State says in one.
var deviceStates = map[string]string{
	"waiting_for_key":     "waiting for a key (edgeraft init or edgeraft join)",
	"waiting_for_cluster": "waiting for its cluster to be found",
	"starting":            "starting",
	"removed":             "removed from its cluster",
	"stopping":            "stopping",
}

func deviceLine(n api.Node) string {
	line := fmt.Sprintf("%s (%s)", show.Printable(n.Name), show.Printable(show.ShortID(n.ID)))
	if words, ok := deviceStates[n.State]; ok {
		return line + ", " + words
	}
	return line + fmt.Sprintf(", %s in term %d", show.Printable(n.Role), n.Term)
}

func clusterLine(s api.Status) string {
	line := show.Printable(s.Cluster.Name)
	if s.Cluster.ID == "" {
		return line + ", not founded or not found yet"
	}
	line += " (" + show.Printable(s.Cluster.ID) + ")"
	if s.Cluster.Level > 0 {
		line += fmt.Sprintf(", protocol level %d", s.Cluster.Level)
	}
	if s.Cluster.Leader == "" {
		return line + ", no leader"
	}
	return line + fmt.Sprintf(", leader %s (%s)", show.Printable(s.Cluster.LeaderName), show.Printable(show.ShortID(s.Cluster.Leader)))
}

func storageLine(s api.Storage) string {
	line := fmt.Sprintf("%d saves, log %s", s.Saves, show.Size(s.LogBytes))
	if s.Snapshot > 0 {
		line += fmt.Sprintf(", snapshot at %d", s.Snapshot)
	}
	if d := s.Disk; d != nil {
		line += fmt.Sprintf("; database %s, %s of it unused", show.Size(d.FileBytes), show.Size(d.UnusedBytes))
		if d.Mode != api.DiskOK {
			line += ", DISK " + strings.ToUpper(show.Printable(d.Mode))
		}
	}
	if s.Error != "" {
		line += ", FAILED: " + show.Printable(s.Error)
	}
	return line
}

func trafficLine(t api.Traffic) string {
	line := fmt.Sprintf("sent %d packets, %s; received %d packets, %s",
		t.SentPackets, show.Size(t.SentBytes), t.ReceivedPackets, show.Size(t.ReceivedBytes))
	for i, reason := range slices.Sorted(maps.Keys(t.Dropped)) {
		if i == 0 {
			line += "; dropped"
		}
		line += fmt.Sprintf(" %s %d", show.Printable(reason), t.Dropped[reason])
	}
	return line
}

// printMembers prints the table of members. Only the leader hears all of them,
// so what another device last heard of the rest says nothing.
func printMembers(out io.Writer, members []api.Member) {
	follows := slices.ContainsFunc(members, func(m api.Member) bool { return m.Self && !m.Leader }) &&
		slices.ContainsFunc(members, func(m api.Member) bool { return m.Leader })
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fmt.Fprintln(table, "NAME\tID\tROLE\tPATH\tRTT\tLAG\tHEARD")
	for _, m := range members {
		name, role, contact, lag := show.Printable(m.Name), show.Printable(m.Role), "never", "-"
		if m.Leader {
			role += ", leader"
		}
		if m.LastContactMS != nil {
			contact = ago(milliseconds(*m.LastContactMS)) + " ago"
		}
		if m.Self {
			name += " (self)"
		}
		if m.Self || follows && !m.Leader {
			contact = "-"
		}
		if m.Lag != nil {
			lag = fmt.Sprint(*m.Lag)
		}
		fmt.Fprintf(table, "%s\t%s\t%s\t%s\t%s\t%s\t%s\n",
			name, show.Printable(show.ShortID(m.ID)), role, orDash(pathOf(m)), roundTrip(m.RoundTripUS), lag, contact)
		printPaths(table, m)
	}
	table.Flush()
}

// pathOf is the way to a member: "udp 10.0.0.2:7521". The address of a broker
// says how it is reached.
func pathOf(m api.Member) string {
	if strings.Contains(m.Address, "://") {
		return m.Address
	}
	return strings.TrimSpace(m.Transport + " " + m.Address)
}

func orDash(text string) string {
	if text == "" {
		return "-"
	}
	return show.Printable(text)
}

func milliseconds(n int64) time.Duration { return time.Duration(n) * time.Millisecond }
