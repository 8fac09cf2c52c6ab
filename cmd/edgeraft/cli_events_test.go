package main

import (
	"bytes"
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
)

// TestEventsGoOn: a stream that breaks is asked for again, and begins with how
// things are then.
func TestEventsGoOn(t *testing.T) {
	const (
		begin   = `{"seq":0,"time":"2026-01-02T03:04:05Z","kind":"state","role":"follower","term":0}`
		founded = `{"seq":1,"time":"2026-01-02T03:04:06Z","kind":"cluster","role":"leader","term":1,"cluster_id":"c-1"}`
		added   = `{"seq":2,"time":"2026-01-02T03:04:07Z","kind":"member_added","role":"leader","term":1,"member":{"id":"abcdefghijklmnop","name":"ba\trn","role":"learner"}}`
		later   = `{"seq":7,"time":"2026-01-02T03:05:00Z","kind":"state","role":"follower","term":4,"leader":"abcdefghijklmnop","leader_name":"barn","cluster_id":"c-1","members":[{},{}]}`
	)
	for _, c := range []struct{ args, want string }{
		{"events --json", begin + "\n" + founded + "\n" + added + "\n" + strings.Replace(later, "{},{}", `{"id":"","name":"","role":""},{"id":"","name":"","role":""}`, 1) + "\n"},
		{"events", "this device belongs to no cluster yet\nthis device belongs to the cluster c-1\nba\\trn (abcdefgh) was added as a learner\n" +
			"barn (abcdefgh) leads, term 4; this device is a follower; 2 members\n"},
	} {
		ctx, stop := context.WithCancel(t.Context())
		streams := []string{begin + "\n" + founded + "\n" + added + "\n", `{"error":{"code":"stopping","message":"the agent stops"}}` + "\n", later + "\n"}
		agent := serveFake(t, "", func(w http.ResponseWriter, r *http.Request) {
			if len(streams) == 0 {
				stop()
				return
			}
			stream := streams[0]
			streams = streams[1:]
			_, _ = io.WriteString(w, stream)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		})
		var out, errs bytes.Buffer
		code := run(ctx, append(strings.Fields(c.args), "--socket", agent.socket), nil, &out, &errs, nil)
		got := out.String()
		if c.args == "events" { // without the times, which are of the place where the test runs
			got = ""
			for line := range strings.Lines(out.String()) {
				got += line[len("15:04:05  "):]
			}
		}
		if code != exitDone || got != c.want {
			t.Errorf("%s: exit code %d, %q, want %q (%s)", c.args, code, got, c.want, errs.String())
		}
		if !strings.Contains(errs.String(), "answers again") {
			t.Errorf("%s: it does not tell that it lost the agent: %s", c.args, errs.String())
		}
		stop()
	}
	var out bytes.Buffer
	if code := run(t.Context(), []string{"events", "--socket", t.TempDir() + "/none"}, nil, &out, &out, nil); code != exitUnreachable {
		t.Errorf("without an agent: exit code %d", code)
	}
}
