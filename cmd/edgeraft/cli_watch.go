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

// How `watch` tries again after it lost the agent.
const (
	retryFirst  = 200 * time.Millisecond // pause before the first try, doubled for each further one
	retryMost   = 5 * time.Second        // but never longer
	retrySteady = 10 * time.Second       // a stream that lasted as long was no failure to connect
)

var watchCommand = command{
	name: "watch", scope: scopeAgent, json: true,
	summary: "print committed commands and changes as they happen, until Ctrl-C",
	details: "When the agent restarts, it waits for it and goes on where it was, without gap or repeat.",
	example: "edgeraft watch --prefix door/\nedgeraft watch --from 1 --json",
	define: func(fs *flag.FlagSet) action {
		from := fs.Uint64("from", 0, "first `INDEX` wanted (0: only what happens from now on)")
		prefix := fs.String("prefix", "", "only changes of keys that begin with this `PREFIX`")
		giveUp := fs.Duration("give-up", time.Hour, "end with exit code 3 when the agent is away for so long")
		return func(ctx context.Context, inv *invocation) error {
			agent, err := inv.agent()
			if err != nil {
				return err
			}
			defer agent.Close()
			w := &watcher{inv: inv, agent: agent, prefix: *prefix, next: *from, giveUp: *giveUp}
			err = w.run(ctx)
			if ctx.Err() != nil || errors.Is(err, errOutput) {
				return nil // Ctrl-C is the usual end; a failed output is reported by run
			}
			return err
		}
	},
}

// watcher follows the stream of events over as many connections as it takes.
type watcher struct {
	inv     *invocation
	agent   *client.Client
	prefix  string
	giveUp  time.Duration
	cluster string // whose events these are; "" while the agent has none

	// What was printed: every event below next, and the first printed ones of
	// the events at next. An index can hold several events (a transaction's),
	// and a connection can break between them.
	next    uint64
	printed int

	reported string // the last trouble reported, so that each is told once
}

// report tells why the stream does not go on for now.
func (w *watcher) report(err error) {
	if err.Error() != w.reported {
		w.reported = err.Error()
		complain(w.inv.stderr, "edgeraft watch", fmt.Sprintf("%v; trying again, to go on from index %d", err, w.next))
	}
}

// errOutput ends the stream because its output can't be written any more.
var errOutput = errors.New("the output can't be written")

// run returns when the context ends, or with what can't be mended.
func (w *watcher) run(ctx context.Context) error {
	if err := w.locate(ctx); err != nil {
		return err
	}
	var lost time.Time // since when the agent is away; zero while it is not
	pause := retryFirst
	for {
		began, at := time.Now(), w.next
		err := w.follow(ctx)
		if ctx.Err() != nil || !w.mendable(err) {
			return err
		}
		w.passOver(err)
		if w.next > at || time.Since(began) >= retrySteady {
			lost, pause = time.Time{}, retryFirst
		}
		if lost.IsZero() {
			lost = time.Now()
		}
		w.report(err)
		for again := true; again; {
			if time.Since(lost) > w.giveUp {
				return fmt.Errorf("gave up after %v (--give-up): %w", w.giveUp, err)
			}
			if !sleep(ctx, pause/2+rand.N(pause/2)) {
				return ctx.Err()
			}
			pause = min(2*pause, retryMost)
			if err = w.locate(ctx); err != nil && !w.mendable(err) {
				return err
			}
			if again = err != nil; again {
				w.report(err)
			}
		}
		w.reported = ""
		complain(w.inv.stderr, "edgeraft watch", fmt.Sprintf("the agent answers again; going on from index %d", w.next))
	}
}

// locate asks the agent where it is. The first time, with no index given, that
// is where the watch starts: so it is known also if the agent goes away before
// the first event. Later, it makes sure that the agent still speaks of the
// same log.
func (w *watcher) locate(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, w.inv.timeout)
	defer cancel()
	status, err := w.agent.Status(ctx)
	if err != nil {
		return err
	}
	if w.cluster != "" && status.Cluster.ID != "" && status.Cluster.ID != w.cluster {
		return fmt.Errorf("the agent belongs to another cluster now (%s, before: %s); start again to watch that one",
			status.Cluster.ID, w.cluster)
	}
	if status.Cluster.ID != "" {
		w.cluster = status.Cluster.ID
	}
	if w.next == 0 {
		w.next = status.Node.Applied + 1
	}
	return nil
}

// follow prints the events of one connection, from where the last one ended.
func (w *watcher) follow(ctx context.Context) error {
	resumeAt, skip := w.next, w.printed
	return w.agent.WatchLines(ctx, client.WatchOptions{From: w.next, Prefix: w.prefix}, func(line []byte) error {
		var event api.Event
		if err := json.Unmarshal(line, &event); err != nil {
			return fmt.Errorf("the agent sent a line that is not the expected JSON: %w", err)
		}
		if skip > 0 && event.Index == resumeAt {
			skip--
			return nil
		}
		if w.inv.json {
			w.inv.sayJSONLine(line)
		} else {
			w.inv.say("%s", eventLine(event))
		}
		if w.inv.stdout.err != nil {
			return errOutput
		}
		w.advance(event)
		return nil
	})
}

// advance notes that an event was printed.
func (w *watcher) advance(event api.Event) {
	switch {
	case !event.More:
		w.next, w.printed = event.Index+1, 0
	case event.Index == w.next:
		w.printed++
	default:
		w.next, w.printed = event.Index, 1
	}
}

// passOver takes from an agent's goodbye how far it had come: with a prefix,
// that can be far beyond the last event, and what lies between need not be
// looked for again. Within an index only the events themselves count.
func (w *watcher) passOver(err error) {
	var answer *client.Error
	if errors.As(err, &answer) && answer.Code == api.CodeStopping && w.printed == 0 {
		w.next = max(w.next, answer.ResumeFrom)
	}
}

// mendable reports whether the stream can go on after err, without a gap.
func (w *watcher) mendable(err error) bool {
	var answer *client.Error
	if !errors.As(err, &answer) {
		return isUnreachable(err) || errors.Is(err, context.DeadlineExceeded)
	}
	switch answer.Code {
	case api.CodeCompacted:
		// Cut off for being slow, but what is wanted is still there. Else
		// events are lost, and only the user can decide to go on.
		return answer.ResumeFrom != 0 && answer.ResumeFrom <= w.next
	case api.CodeStopping, api.CodeNoLeader, api.CodeNotFounded, api.CodeTooMany:
		return true
	}
	return false
}

// eventLine is an event for people: "17  put  door = open".
func eventLine(e api.Event) string {
	line := fmt.Sprintf("%d  %s", e.Index, show.Printable(e.Kind))
	_, err := e.Data()
	switch hasValue := err == nil; {
	case e.Key != "" && hasValue:
		return line + "  " + show.Printable(e.Key) + " = " + shown(e.Bytes)
	case e.Key != "":
		return line + "  " + show.Printable(e.Key)
	}
	return line + "  " + shown(e.Bytes)
}

// sleep waits, and reports false if the context ended before.
func sleep(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
