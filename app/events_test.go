package app

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
)

func leaderEvent(leader string) api.ClusterEvent {
	return api.ClusterEvent{Kind: api.EventLeader, Role: "follower", Term: 3, Leader: leader}
}

// takeEvents reads n events of a new stream.
func takeEvents(t *testing.T, s *socket, n int, then func(seen int)) []string {
	t.Helper()
	var seen []string
	err := s.client.Events(t.Context(), func(e api.ClusterEvent) error {
		if e.Time == "" {
			t.Errorf("an event without a time: %+v", e)
		}
		seen = append(seen, fmt.Sprintf("%d %s %s", e.Seq, e.Kind, e.Leader))
		if then != nil {
			then(len(seen))
		}
		if len(seen) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatal(err)
	}
	return seen
}

// A stream begins with how things are and goes on with each change.
func TestEvents(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	events := s.server.cluster
	got := takeEvents(t, s, 3, func(seen int) {
		if seen == 1 {
			events.Publish(leaderEvent("b"), leaderEvent("a"), leaderEvent("b"))
			events.Publish(leaderEvent("c")) // nothing happened, as far as people care
		}
	})
	if text := strings.Join(got, ", "); text != "0 state , 1 leader a, 2 leader b" {
		t.Errorf("the first stream: %s", text)
	}
	if got := takeEvents(t, s, 1, nil); got[0] != "2 state c" {
		t.Errorf("a later stream begins with %s", got[0])
	}
}

// A stream can be resumed while what is wanted is kept, and says when it is not.
func TestEventsResume(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	for i := range maxEvents + 10 {
		s.server.cluster.Publish(leaderEvent(itoa(i)), leaderEvent(itoa(i)))
	}
	for from, want := range map[string]int{"0": 400, "x": 400, "10": 410, "400": 410} {
		if a := s.call("GET", "/v1/events?from="+from, ""); a.status != want {
			t.Errorf("from=%s: %d %s", from, a.status, a.body)
		}
	}
	var gone api.Error
	if err := json.Unmarshal([]byte(s.call("GET", "/v1/events?from=10", "").body), &gone); err != nil || gone.Error.ResumeFrom != 11 {
		t.Errorf("resume from %d, %v", gone.Error.ResumeFrom, err)
	}
	head, stream := s.lines("/v1/events", "Accept: text/event-stream", "Last-Event-ID: 264")
	if head.header.Get("Content-Type") != "text/event-stream" {
		t.Errorf("SSE is %s", head.header.Get("Content-Type"))
	}
	for _, want := range []string{"id: 265\n", "data: {\"seq\":265,", "\n", "id: 266\n", "data: {\"seq\":266,"} {
		if line, err := stream.ReadString('\n'); err != nil || !strings.HasPrefix(line, want) {
			t.Fatalf("SSE: %q, %v; want %q", line, err, want)
		}
	}
}

// Who waits is told when the agent stops.
func TestEventsEnd(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	var answer interface{ Error() string }
	err := s.client.Events(t.Context(), func(api.ClusterEvent) error { go s.stop(); return nil })
	if answer = err; answer == nil || !strings.Contains(answer.Error(), "stop") {
		t.Errorf("the stream ended with %v", err)
	}
}
