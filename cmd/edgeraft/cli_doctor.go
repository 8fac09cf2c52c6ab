package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/doctor"
	"github.com/edgeraft/edgeraft/internal/release"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/internal/why"
)

var doctorCommand = command{
	name: "doctor", scope: scopeSetup, json: true,
	summary: "check this device: rights, disk, network, firewall, broker, clock",
	details: fmt.Sprintf("Works before the agent runs and while it does, and takes %v at most. It asks for devices by multicast,\n"+
		"pings the others, logs in at each broker under a name of its own, and writes about %d KiB beside the\n"+
		"database to measure the card; nothing of that stays. As root it sees more: the firewall, whose a port\n"+
		"is, files that are the agent's alone. What it could not look at it says. Findings are ok, note, warning\n"+
		"or error, each with what to do. Exit code 1 means that there is an error.", doctor.Limit, doctor.SpeedBytes>>10),
	example: "edgeraft doctor",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			if dir := inv.from.Host.Env[doctor.MeasureEnv]; dir != "" {
				doctor.Measure(inv.stdout, dir)
				return nil
			}
			c, err := inv.examinedConfig()
			if err != nil {
				return err
			}
			ctx, cancel := context.WithTimeout(ctx, doctor.Limit)
			defer cancel()
			findings := doctor.Examine(ctx, inv.subject(ctx, c))
			ill := doctor.Worst(findings) == doctor.Error
			if inv.json {
				if err := inv.sayJSON(map[string]any{"well": !ill, "findings": findings}); err != nil {
					return err
				}
			} else {
				width := terminalWidth(inv.stdout)
				if width == 0 {
					width = plainWidth
				}
				printFindings(inv.stdout, findings, width)
			}
			if ill {
				return errSilentNo
			}
			return nil
		}
	},
}

// examinedConfig loads the configuration of the agent that is meant. An ordinary user
// who runs none means the packaged one, which goes by the same defaults as root.
func (inv *invocation) examinedConfig() (config.Config, error) {
	c, err := inv.config()
	if err != nil || inv.from.Host.Root {
		return c, err
	}
	if _, err := os.Stat(c.DataDir); !errors.Is(err, fs.ErrNotExist) {
		return c, nil
	}
	mine := inv.from.Host
	inv.from.Host.Root = true
	packaged, err := inv.config()
	if _, missing := os.Stat(packaged.DataDir); err != nil || missing != nil {
		inv.from.Host = mine
		return c, nil
	}
	return packaged, nil
}

// subject is what is to be examined.
func (inv *invocation) subject(ctx context.Context, c config.Config) doctor.Subject {
	known, seen := inv.whatIsKnownInTime(ctx)
	if !seen {
		known.Socket = c.Socket
	}
	if abs, err := filepath.Abs(c.DataDir); err == nil {
		c.DataDir = abs
	}
	s := doctor.Subject{
		DataDir: c.DataDir, Socket: known.Socket, KeyFile: c.KeyFile, Cluster: c.Cluster,
		Metrics: c.Metrics.Listen, MQTT: c.Uses(config.TransportMQTT), Brokers: c.Access(),
		LogBytes: c.Limits.LogBytes, HistoryBytes: c.Limits.WatchHistoryBytes,
		Preallocated: boltlog.DefaultPreallocation, MaxFile: boltlog.MaxFileSize, Built: release.Time,
		Addresses: filepath.Join(c.DataDir, agent.AddressesName),
		Leftovers: []string{boltlog.DamagedName, boltlog.LeftName, boltlog.KeptName},
		Listens:   known.Reach != why.Absent && known.Reach != why.Refused,
	}
	if c.Uses(config.TransportUDP) {
		s.UDP, s.Interfaces, s.Multicast = c.UDP.Listen, c.UDP.Interfaces, c.Discovery != config.DiscoveryOff
	}
	if known.Reach == why.Answered {
		s.Status = &known.Status
	}
	if _, err := seal.ReadRing(c.KeyFile); err != nil && !errors.Is(err, fs.ErrPermission) && !errors.Is(err, fs.ErrNotExist) {
		s.Key = err
	}
	if self, err := os.Executable(); err == nil {
		s.Measure = []string{self, "doctor"}
	}
	if !seen {
		s.Agent = doctor.Finding{Level: doctor.Error, Text: "neither the agent nor its files answered in time: is the disk stuck?", Command: "dmesg | tail"}
		return s
	}
	f := why.Diagnose(known)
	s.Agent = doctor.Finding{Level: doctor.OK, Text: f.Cause, Remedy: f.Next} // which may be a sentence
	if !f.Healthy {
		s.Agent.Level = doctor.Error
	}
	return s
}

// lookFor is how long asking the agent, and looking at its files, may take: the rest of
// the examination needs some time, too.
const lookFor = askFor + time.Second

// whatIsKnownInTime is whatIsKnown where that ends in time: reads of a stuck disk do not.
func (inv *invocation) whatIsKnownInTime(ctx context.Context) (in why.Input, seen bool) {
	known := make(chan why.Input, 1) // of who hangs nobody takes it
	go func() { known <- inv.whatIsKnown(ctx) }()
	over := time.NewTimer(lookFor)
	defer over.Stop()
	select {
	case in = <-known:
		return in, true
	case <-over.C:
		return why.Input{Reach: why.Silent}, false
	}
}

const (
	// plainWidth is how wide lines are where the output is no terminal.
	plainWidth = 80
	// findingIndent is where the text of a finding begins: behind its level.
	findingIndent = 11
)

// printFindings prints findings for people, by groups, and a summary.
func printFindings(out io.Writer, findings []doctor.Finding, width int) {
	count := map[doctor.Level]int{}
	group := ""
	for _, f := range findings {
		if f.Group != group {
			group = f.Group
			fmt.Fprintf(out, "%s\n", capitalised(group))
		}
		count[f.Level]++
		fmt.Fprintf(out, "  %-7s  %s\n", f.Level, hang(show.Printable(f.Check+": "+f.Text), width))
		if f.Remedy != "" {
			fmt.Fprintf(out, "%s-> %s\n", strings.Repeat(" ", findingIndent-3), hang(show.Printable(f.Remedy), width))
		}
		if f.Command != "" { // never broken: it is to be copied
			fmt.Fprintf(out, "%s$ %s\n", strings.Repeat(" ", findingIndent-2), show.Printable(f.Command))
		}
	}
	number := func(l doctor.Level) string {
		if count[l] == 1 {
			return fmt.Sprintf("1 %s", l)
		}
		return fmt.Sprintf("%d %ss", count[l], l)
	}
	fmt.Fprintf(out, "\n%s, %s, %s; well: %d of %d checks.\n",
		number(doctor.Error), number(doctor.Warning), number(doctor.Note), count[doctor.OK], len(findings))
}

// hang breaks a text at spaces into lines that all begin at findingIndent.
func hang(text string, width int) string {
	var out strings.Builder
	at := findingIndent
	for i, word := range strings.Fields(text) {
		n := utf8.RuneCountInString(word)
		switch {
		case i == 0:
		case at+1+n > width:
			out.WriteString("\n" + strings.Repeat(" ", findingIndent))
			at = findingIndent
		default:
			out.WriteByte(' ')
			at++
		}
		out.WriteString(word)
		at += n
	}
	return out.String()
}
