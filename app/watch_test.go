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
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/raft"
)

// publish makes one change at index with so many commands, named by index and
// position.
func publish(h *History, index raft.Index, commands int) {
	c := kv.Change{Index: index, Term: 1}
	for i := range commands {
		c.Events = append(c.Events, kv.Event{Kind: kv.EventCommand, Value: fmt.Appendf(nil, "%d.%d", index, i)})
	}
	h.Publish(c)
}

func TestHistoryReads(t *testing.T) {
	h := NewHistory(HistoryLimits{Events: 4})
	steps := []struct {
		publish raft.Index // 0: none
		events  int
		from    raft.Index
		want    string // indexes read
		next    raft.Index
		waits   bool
		resume  raft.Index // of the error
	}{
		{from: 1, next: 1, waits: true},
		{publish: 1, events: 1, from: 1, want: "[1]", next: 2},
		{publish: 2, events: 0, from: 2, next: 3, waits: true},
		{publish: 3, events: 2, from: 1, want: "[1 3]", next: 4},
		{from: 3, want: "[3]", next: 4},
		{from: 9, next: 9, waits: true},
		{publish: 4, events: 1, from: 2, want: "[3 4]", next: 5},
		{publish: 5, events: 1, from: 1, resume: 2, next: 1}, // five events: the first goes
		{from: 2, want: "[3 4 5]", next: 6},
		{publish: 6, events: 1, from: 3, resume: 4, next: 3}, // both of index 3 go
		{from: 4, want: "[4 5 6]", next: 7},
		{publish: 7, events: 9, from: 7, want: "[7]", next: 8}, // the newest stays, whatever its size
		{from: 6, resume: 7, next: 6},
		{publish: 20, events: 0, from: 8, resume: 20, next: 8}, // a gap
		{from: 20, next: 21, waits: true},
		{publish: 21, events: 1, from: 20, want: "[21]", next: 22},
	}
	for i, s := range steps {
		if s.publish > 0 {
			publish(h, s.publish, s.events)
		}
		batch, next, changed, err := h.read(s.from)
		var indexes []raft.Index
		for _, c := range batch {
			indexes = append(indexes, c.Index)
		}
		var compacted *compactedError
		if errors.As(err, &compacted) != (s.resume > 0) || compacted != nil && compacted.resumeFrom != s.resume {
			t.Errorf("step %d: %v", i, err)
		}
		got := ""
		if batch != nil {
			got = fmt.Sprint(indexes)
		}
		if got != s.want || next != s.next || (changed != nil) != s.waits {
			t.Errorf("step %d: %q, next %d, waits %v", i, got, next, changed != nil)
		}
	}
}

func TestHistoryIsBoundedInBytes(t *testing.T) {
	const limit = 10_000
	h := NewHistory(HistoryLimits{Bytes: limit})
	rng := rand.New(rand.NewPCG(1, 2))
	for i := range raft.Index(5000) {
		h.Publish(kv.Change{Index: i + 1, Events: []kv.Event{{Kind: kv.EventPut, Key: "k", Value: make([]byte, rng.IntN(2000))}}})
		size, events := 0, 0
		for _, c := range h.changes[h.head:] {
			size, events = size+sizeOf(c), events+len(c.Events)
		}
		if size != h.bytes || size > limit || events != h.events || len(h.changes) > 2*limit/eventOverhead {
			t.Fatalf("index %d: %d bytes, counted %d; %d events, counted %d; %d slots", i+1, size, h.bytes, events, h.events, len(h.changes))
		}
	}
}

func TestHistoryBatchesAreBounded(t *testing.T) {
	h := NewHistory(HistoryLimits{})
	for i := range raft.Index(1000) {
		publish(h, i+1, 1)
	}
	for i := range raft.Index(100) {
		h.Publish(kv.Change{Index: 1001 + i, Events: []kv.Event{{Kind: kv.EventPut, Value: make([]byte, batchBytes/2)}}})
	}
	from := raft.Index(1)
	for from <= 1100 {
		batch, next, _, err := h.read(from)
		if err != nil {
			from = err.(*compactedError).resumeFrom
			continue
		}
		size := 0
		for _, c := range batch {
			size += sizeOf(c)
		}
		if len(batch) == 0 || len(batch) > batchChanges || size > batchBytes && len(batch) > 1 || next <= from {
			t.Fatalf("from %d: %d changes of %d bytes, next %d", from, len(batch), size, next)
		}
		from = next
	}
}

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

func BenchmarkPublish(b *testing.B) {
	for _, watchers := range []int{0, 1, 64} {
		b.Run(fmt.Sprint(watchers, " watchers"), func(b *testing.B) {
			h := NewHistory(HistoryLimits{})
			done := make(chan struct{})
			var wg sync.WaitGroup
			for range watchers {
				wg.Go(func() {
					from := raft.Index(1)
					for {
						_, next, changed, err := h.read(from)
						if from = next; err != nil {
							from = err.(*compactedError).resumeFrom
						} else if changed != nil {
							select {
							case <-changed:
							case <-done:
								return
							}
						}
					}
				})
			}
			events := []kv.Event{{Kind: kv.EventCommand, Value: []byte("21.5")}}
			b.ReportAllocs()
			i := raft.Index(0)
			for b.Loop() {
				i++
				h.Publish(kv.Change{Index: i, Term: 1, Events: events})
			}
			close(done)
			wg.Wait()
		})
	}
}
