package main

import (
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/show"
)

var eventsCommand = command{
	name: "events", scope: scopeAgent, json: true,
	summary: "print role and membership changes as they happen, until Ctrl-C",
	details: "It begins with how things are. When the agent restarts, it waits for it, and tells how things are then.",
	example: "edgeraft events\nedgeraft events --json",
	define: func(fs *flag.FlagSet) action {
		giveUp := fs.Duration("give-up", time.Hour, "end with exit code 3 when the agent is away for so long")
		return func(ctx context.Context, inv *invocation) error {
			agent, err := inv.agent()
			if err != nil {
				return err
			}
			defer agent.Close()
			err = inv.followEvents(ctx, agent, *giveUp)
			if ctx.Err() != nil || errors.Is(err, errOutput) {
				return nil // Ctrl-C is the usual end; a failed output is reported by run
			}
			return err
		}
	},
}

// followEvents prints events over as many connections as it takes. The first
// must be had at once.
func (inv *invocation) followEvents(ctx context.Context, agent *client.Client, giveUp time.Duration) error {
	var lost time.Time // since when the agent is away; zero while it is not
	pause, begun := retryFirst, false
	for {
		err := agent.Events(ctx, func(e api.ClusterEvent) error {
			if begun && !lost.IsZero() {
				complain(inv.stderr, "edgeraft events", "the agent answers again")
			}
			lost, pause, begun = time.Time{}, retryFirst, true
			return inv.sayEvent(e)
		})
		if ctx.Err() != nil || !begun || !(&watcher{}).mendable(err) && !isCutOff(err) {
			return err
		}
		if lost.IsZero() {
			lost = time.Now()
			complain(inv.stderr, "edgeraft events", fmt.Sprintf("%v; trying again", err))
		}
		if time.Since(lost) > giveUp {
			return fmt.Errorf("gave up after %v (--give-up): %w", giveUp, err)
		}
		if !sleep(ctx, pause/2+rand.N(pause/2)) {
			return ctx.Err()
		}
		pause = min(2*pause, retryMost)
	}
}

// isCutOff reports whether the agent cut off the stream because this end was too
// slow: it may begin anew.
func isCutOff(err error) bool {
	var answer *client.Error
	return errors.As(err, &answer) && answer.Code == api.CodeCompacted
}

func (inv *invocation) sayEvent(e api.ClusterEvent) error {
	if inv.json {
		line, err := json.Marshal(e)
		if err != nil {
			return err
		}
		inv.sayJSONLine(line)
	} else {
		inv.say("%s", clusterEventLine(e))
	}
	if inv.stdout.err != nil {
		return errOutput
	}
	return nil
}

// clusterEventLine is an event for people: "15:04:05  leads: attic (abcdefgh), term 3".
func clusterEventLine(e api.ClusterEvent) string {
	at := "        "
	if t, err := time.Parse(time.RFC3339Nano, e.Time); err == nil {
		at = t.Local().Format(time.TimeOnly)
	}
	line := at + "  "
	if e.Missed > 0 {
		line += fmt.Sprintf("(%d changes before this one were not noted)  ", e.Missed)
	}
	leads := "no leader is known"
	if e.Leader != "" {
		leads = fmt.Sprintf("%s leads", memberName(e.LeaderName, e.Leader))
	}
	leads += fmt.Sprintf(", term %d", e.Term)
	switch m := e.Member; {
	case m != nil && e.Kind == api.EventMemberRemoved:
		return line + memberName(m.Name, m.ID) + " was removed"
	case m != nil && e.Kind == api.EventMemberAdded:
		return line + memberName(m.Name, m.ID) + " was added as a " + show.Printable(m.Role)
	case m != nil:
		return line + memberName(m.Name, m.ID) + " is a " + show.Printable(m.Role) + " now"
	case e.Kind == api.EventState && e.ClusterID == "":
		return line + "this device belongs to no cluster yet"
	case e.Kind == api.EventState:
		return line + fmt.Sprintf("%s; this device is a %s; %d members", leads, show.Printable(e.Role), len(e.Members))
	case e.Kind == api.EventCluster:
		return line + "this device belongs to the cluster " + show.Printable(e.ClusterID)
	case e.Kind == api.EventRole:
		return line + "this device is a " + show.Printable(e.Role) + " now"
	}
	return line + leads
}

func memberName(name, id string) string {
	return fmt.Sprintf("%s (%s)", show.Printable(name), show.Printable(show.ShortID(id)))
}
