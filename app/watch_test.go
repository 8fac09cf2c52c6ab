package app

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"reflect"
	"strings"
	"sync"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/raft"
)

// show is an event as "index kind key value".
func show(e api.Event) string {
	value, _ := e.Data() // a delete has none
	return strings.TrimSpace(fmt.Sprintf("%d %s %s %s", e.Index, e.Kind, e.Key, value))
}

var errEnough = errors.New("enough")

// take watches until it has n events.
func take(t *testing.T, c *client.Client, opts client.WatchOptions, n int) []api.Event {
	t.Helper()
	var events []api.Event
	err := c.Watch(t.Context(), opts, func(e api.Event) error {
		if events = append(events, e); len(events) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("watching from %d: %v", opts.From, err)
	}
	return events
}

func TestWatchShowsPastAndLive(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.call("POST", "/v1/propose", "<on>")
	s.call("PUT", "/v1/kv/a/1", "\xff")
	s.call("POST", "/v1/txn", `{"then":[{"op":"put","key":"b","value":"x"},{"op":"put","key":"a/2","value":""},{"op":"delete","key":"a/1"}]}`)
	s.call("DELETE", "/v1/kv/zz", "")
	s.call("PUT", "/v1/kv/a/3?if_index=7", "no")
	s.call("DELETE", "/v1/kv/b", "")
	cases := []struct {
		opts client.WatchOptions
		want []string
	}{
		{client.WatchOptions{From: 1}, []string{"1 command  <on>", "2 put a/1 \xff", "3 put b x", "3 put a/2", "3 delete a/1", "6 delete b"}},
		{client.WatchOptions{From: 3}, []string{"3 put b x", "3 put a/2", "3 delete a/1", "6 delete b"}},
		{client.WatchOptions{From: 4}, []string{"6 delete b"}},
		{client.WatchOptions{From: 1, Prefix: "a/"}, []string{"2 put a/1 \xff", "3 put a/2", "3 delete a/1"}},
	}
	for _, c := range cases {
		var got []string
		for _, e := range take(t, s.client, c.opts, len(c.want)) {
			got = append(got, show(e))
		}
		if !reflect.DeepEqual(got, c.want) {
			t.Errorf("%+v: %q", c.opts, got)
		}
	}
	got := take(t, s.client, client.WatchOptions{From: 1, Prefix: "a/"}, 3)
	if got[0].More || !got[1].More || got[2].More || got[2].Term != 3 {
		t.Errorf("%+v", got)
	}
}

// lines connects a watcher by hand, and returns its header and a reader of what
// follows once the header is there.
func (s *socket) lines(target string, headers ...string) (answer, *bufio.Reader) {
	s.t.Helper()
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	s.t.Cleanup(func() { conn.Close() })
	req := "GET " + target + " HTTP/1.0\r\n" // no chunks
	for _, h := range headers {
		req += h + "\r\n"
	}
	if _, err := io.WriteString(conn, req+"\r\n"); err != nil {
		s.t.Fatal(err)
	}
	r := bufio.NewReader(conn)
	head := ""
	for !strings.HasSuffix(head, "\r\n\r\n") {
		line, err := r.ReadString('\n')
		if err != nil {
			s.t.Fatalf("%v after %q", err, head)
		}
		head += line
	}
	return parse(s.t, head), r
}

func next(t *testing.T, r *bufio.Reader) string {
	t.Helper()
	line, err := r.ReadString('\n')
	if err != nil && !errors.Is(err, io.EOF) {
		t.Fatal(err)
	}
	return line
}

func TestWatchWithoutFromShowsOnlyWhatIsNew(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.call("PUT", "/v1/kv/old", "x")
	head, r := s.lines("/v1/watch")
	if head.header.Get("Content-Type") != "application/x-ndjson" || head.header.Get(api.HeaderApplied) != "1" {
		t.Errorf("%v", head.header)
	}
	s.call("PUT", "/v1/kv/new", "<y>")
	if got, want := next(t, r), `{"index":2,"term":3,"kind":"put","key":"new","value":"<y>"}`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWatchFromTheFutureWaits(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	_, r := s.lines("/v1/watch?from=3")
	for range 3 {
		s.call("POST", "/v1/propose", "x")
	}
	if got, want := next(t, r), `{"index":3,"term":3,"kind":"command","value":"x"}`+"\n"; got != want {
		t.Errorf("%s, want %s", got, want)
	}
}

func TestWatchAsServerSentEvents(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	s.call("POST", "/v1/propose", "x\ny")
	s.call("POST", "/v1/txn", `{"then":[{"op":"put","key":"a","value":"1"},{"op":"delete","key":"a"}]}`)
	const sse = "Accept: text/event-stream"
	want := map[string]string{
		"":                 "id: 1\ndata: {\"index\":1,\"term\":3,\"kind\":\"command\",\"value\":\"x\\ny\"}\n\n",
		"Last-Event-ID: 1": "data: {\"index\":2,\"term\":3,\"kind\":\"put\",\"key\":\"a\",\"value\":\"1\",\"more\":true}\n\nid: 2\ndata: {\"index\":2,\"term\":3,\"kind\":\"delete\",\"key\":\"a\"}\n\n",
	}
	for header, text := range want {
		headers := []string{sse}
		if header != "" {
			headers = append(headers, header)
		}
		head, r := s.lines("/v1/watch?from=1", headers...)
		got := ""
		for len(got) < len(text) {
			got += next(t, r)
		}
		if got != text || head.header.Get("Content-Type") != "text/event-stream" {
			t.Errorf("%s: %q, want %q", header, got, text)
		}
	}
	if got := s.call("GET", "/v1/watch", "", sse, "Last-Event-ID: x"); got.status != 400 || got.code(t) != "bad_request" {
		t.Errorf("a bad Last-Event-ID: %+v", got)
	}
	_, r := s.lines("/v1/watch", sse)
	s.stop()
	if got := next(t, r) + next(t, r); !strings.HasPrefix(got, "event: end\ndata: {\"error\":{\"code\":\"stopping\"") {
		t.Errorf("at the end: %q", got)
	}
}

func TestWatchOfWhatIsGone(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{Events: 2})
	for range 5 {
		s.call("POST", "/v1/propose", "x")
	}
	err := s.client.Watch(t.Context(), client.WatchOptions{From: 2}, func(api.Event) error { return nil })
	var answer *client.Error
	if !errors.As(err, &answer) || answer.Status != 410 || answer.Code != api.CodeCompacted || answer.ResumeFrom != 4 {
		t.Fatalf("%#v", err)
	}
	if got := take(t, s.client, client.WatchOptions{From: answer.ResumeFrom}, 2); got[0].Index != 4 {
		t.Errorf("%+v", got)
	}
}

func TestASlowWatcherIsCutOffAndCanResume(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{Bytes: 256 << 10})
	value := strings.Repeat("x", 32<<10)
	_, r := s.lines("/v1/watch?from=1")
	for range 100 { // far more than the history and the socket's buffer hold
		s.call("POST", "/v1/propose", value)
	}
	var seen uint64
	for {
		line := next(t, r)
		var event api.Event
		decode(t, line, &event)
		if event.Error == nil {
			if event.Index != seen+1 {
				t.Fatalf("index %d after %d", event.Index, seen)
			}
			seen = event.Index
			continue
		}
		if event.Error.Code != api.CodeCompacted || event.Error.ResumeFrom <= seen+1 {
			t.Fatalf("after %d: %s", seen, line)
		}
		resume(t, s.client, event.Error.ResumeFrom)
		break
	}
	if rest := next(t, r); rest != "" {
		t.Errorf("after the end: %.100s", rest)
	}
}

// resume watches from an index, or from where the answer says if more is gone
// since that index was named.
func resume(t *testing.T, c *client.Client, from uint64) {
	t.Helper()
	for range 2 {
		var first uint64
		err := c.Watch(t.Context(), client.WatchOptions{From: from}, func(e api.Event) error {
			first = e.Index
			return errEnough
		})
		var answer *client.Error
		switch {
		case errors.Is(err, errEnough) && first == from:
			return
		case errors.As(err, &answer) && answer.Code == api.CodeCompacted:
			from = answer.ResumeFrom
		default:
			t.Fatalf("resumed from %d at %d: %v", from, first, err)
		}
	}
	t.Errorf("index %d is gone too, though nothing was added", from)
}

func TestWatchersAreBounded(t *testing.T) {
	s := serve(t, Limits{MaxWatchers: 1, MaxRequests: 1}, HistoryLimits{})
	_, r := s.lines("/v1/watch")
	if got := s.call("GET", "/v1/watch", ""); got.status != 429 || got.code(t) != "too_many_requests" {
		t.Errorf("one too many: %+v", got)
	}
	s.call("PUT", "/v1/kv/a", "x") // watchers take no request's slot
	if got := next(t, r); !strings.Contains(got, `"a"`) {
		t.Errorf("%q", got)
	}
}

// Whatever is appended, and however often a watcher reconnects, it sees every
// event once and in order, as long as it follows the rule of Client.Watch.
func TestWatchResumesWithoutGapOrRepeat(t *testing.T) {
	const changes, watchers = 400, 4
	s := serve(t, Limits{}, HistoryLimits{})
	var want []string
	var wg sync.WaitGroup
	got := make([][]string, watchers)
	for i := range watchers {
		wg.Go(func() { got[i] = reconnecting(t, s, uint64(i), changes) })
	}
	rng := rand.New(rand.NewPCG(7, 7))
	for i := range raft.Index(changes) {
		n := rng.IntN(4) // with 0, an entry without events
		if i == changes-1 {
			n = 1
		}
		publish(s.history, i+1, n)
		for j := range n {
			want = append(want, fmt.Sprintf("%d command  %d.%d", i+1, i+1, j))
		}
	}
	wg.Wait()
	for i := range got {
		if !reflect.DeepEqual(got[i], want) {
			t.Errorf("watcher %d saw %d events, %d were published; %q", i, len(got[i]), len(want), got[i])
		}
	}
}

// reconnecting watches until it has seen the index last, and hangs up after a
// random number of events again and again. Events of an index that it has only
// in part are seen anew.
func reconnecting(t *testing.T, s *socket, seed uint64, last uint64) []string {
	rng := rand.New(rand.NewPCG(3, seed))
	var seen, part []string
	from := uint64(1)
	for from <= last {
		left := rng.IntN(20) + 1
		part = nil
		err := s.client.Watch(context.Background(), client.WatchOptions{From: from}, func(e api.Event) error {
			part = append(part, show(e))
			if !e.More {
				seen, part, from = append(seen, part...), nil, e.Index+1
			}
			if left--; left == 0 || from > last {
				return errEnough
			}
			return nil
		})
		if !errors.Is(err, errEnough) {
			t.Errorf("watching from %d: %v", from, err)
			return seen
		}
	}
	return seen
}
