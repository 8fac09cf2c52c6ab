package main

import (
	"context"
	"errors"
	"flag"
	"io/fs"
	"os"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/discovery"
	"github.com/edgeraft/edgeraft/internal/build"
	"github.com/edgeraft/edgeraft/internal/card"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/doctor"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/internal/why"
)

// speedPatience bounds the measurement of a card that is in trouble.
const speedPatience = 20 * time.Second

var doctorCommand = command{
	name: "doctor", scope: scopeSetup, json: true,
	summary: "check this device: card, files, rights, clock, network",
	details: "Works before the agent runs and while it does. It writes 20 small pieces into data_dir to measure the\n" +
		"card, and removes them. Each finding comes with its remedy. Exit code 1 means that something is\n" +
		"wrong; advice alone is 0. Whether firewalls and switches let multicast through it cannot tell:\n" +
		"edgeraft why tells who is not heard.",
	example: "edgeraft doctor",
	define: func(*flag.FlagSet) action {
		return func(ctx context.Context, inv *invocation) error {
			c, err := inv.config()
			if err != nil {
				return err
			}
			findings := inv.examine(ctx, c)
			ill := false
			for _, f := range findings {
				ill = ill || f.Level == doctor.Wrong
			}
			if inv.json {
				if err := inv.sayJSON(map[string]any{"well": !ill, "findings": findings}); err != nil {
					return err
				}
			} else {
				for _, f := range findings {
					inv.say("%-6s  %s: %s", f.Level, f.Check, show.Printable(f.Text))
					if f.Remedy != "" {
						inv.say("        -> %s", show.Printable(f.Remedy))
					}
				}
			}
			if ill {
				return errSilentNo
			}
			return nil
		}
	},
}

func (inv *invocation) examine(ctx context.Context, c config.Config) []doctor.Finding {
	findings := []doctor.Finding{doctor.Private("key file", c.KeyFile, false), doctor.Private("socket", c.Socket, true)}
	if findings[0].Level == doctor.OK {
		if _, err := seal.ReadRing(c.KeyFile); err != nil && !errors.Is(err, fs.ErrPermission) {
			findings = append(findings, doctor.Finding{Check: "key file", Level: doctor.Wrong, Text: err.Error(), Remedy: "edgeraft join KEY, when the file is away"})
		}
	}
	if _, err := os.Stat(c.DataDir); err != nil {
		findings = append(findings, doctor.Finding{Check: "data_dir", Level: doctor.Advice, Text: err.Error(), Remedy: "the agent makes it when it starts"})
	} else {
		findings = append(findings, doctor.Private("data_dir", c.DataDir, true), doctor.FileSystem(c.DataDir))
		if info, err := card.Read(card.Sys, c.DataDir); err == nil {
			findings = append(findings, doctor.Space(c.DataDir, info.FreeBytes))
		}
		findings = append(findings, doctor.Speed(c.DataDir, time.Now().Add(speedPatience)))
		findings = append(findings, doctor.Leftovers(c.DataDir, boltlog.DamagedName, boltlog.LeftName, boltlog.KeptName)...)
	}
	findings = append(findings, doctor.Clock(time.Now(), build.Time), doctor.Platform(strconv.IntSize, os.Getpagesize()), multicastFinding(c))
	f := why.Diagnose(inv.whatIsKnown(ctx))
	agent := doctor.Finding{Check: "agent", Level: doctor.OK, Text: f.Cause, Remedy: f.Next}
	if !f.Healthy {
		agent.Level = doctor.Wrong
	}
	return append(findings, agent)
}

// multicastFinding tells whether there is an interface on which devices could be
// found at all.
func multicastFinding(c config.Config) doctor.Finding {
	f := doctor.Finding{Check: "multicast", Level: doctor.OK}
	switch usable := discovery.Usable(c.UDP.Interfaces); {
	case c.Discovery == config.DiscoveryOff:
		f.Text = "not wanted (discovery is off)"
	case len(usable) == 0:
		f.Level, f.Text = doctor.Wrong, "no interface is up that has multicast and an address, so no device can be found"
		f.Remedy = "ip -br addr; then give peers = [\"HOST:7521\"], or correct udp.interfaces"
	default:
		f.Text = "possible on"
		for _, name := range usable {
			f.Text += " " + name
		}
	}
	return f
}
