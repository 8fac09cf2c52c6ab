package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
)

// watchAgent answers status with an applied index and a cluster, and each
// watch in turn with the next of its streams, then breaks the connection.
type watchAgent struct {
	applied string
	cluster string
	ended   func() // called when the streams are used up

	mu      sync.Mutex
	streams []string
	from    []string // the queries of the watches
}

func (a *watchAgent) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if r.URL.Path == "/v1/status" {
		fmt.Fprintf(w, `{"node":{"applied":%s},"cluster":{"id":%q}}`, a.applied, a.cluster)
		return
	}
	a.from = append(a.from, r.URL.RawQuery)
	if len(a.streams) == 0 {
		a.ended()
		return
	}
	stream := a.streams[0]
	a.streams = a.streams[1:]
	if code, answer, ok := strings.Cut(stream, " "); ok && code == "503" {
		w.WriteHeader(http.StatusServiceUnavailable)
		_, _ = io.WriteString(w, answer)
		return
	}
	_, _ = io.WriteString(w, stream)
	_ = http.NewResponseController(w).Flush()
	panic(http.ErrAbortHandler)
}

// event is a line of a stream.
func event(index int, key string, more bool) string {
	return fmt.Sprintf(`{"index":%d,"term":1,"kind":"put","key":%q,"value":"v","more":%v}`+"\n", index, key, more)
}

// TestWatchResumes breaks the stream at all kinds of places and wants every
// event once.
func TestWatchResumes(t *testing.T) {
	tests := []struct {
		name    string
		args    string
		streams []string
		queries []string
		want    string
	}{
		{
			"between indexes", "--from 5",
			[]string{event(5, "a", false) + event(8, "b", false), event(9, "c", false)},
			[]string{"from=5", "from=9", "from=10"},
			"5  put  a = v\n8  put  b = v\n9  put  c = v\n",
		}, {
			"within an index, twice", "--from 5",
			[]string{
				event(6, "a", true) + event(6, "b", true),
				event(6, "a", true) + event(6, "b", true) + event(6, "c", true),
				event(6, "a", true) + event(6, "b", true) + event(6, "c", true) + event(6, "d", false) + event(7, "e", false),
			},
			[]string{"from=5", "from=6", "from=6", "from=8"},
			"6  put  a = v\n6  put  b = v\n6  put  c = v\n6  put  d = v\n7  put  e = v\n",
		}, {
			"within a repeated event", "--from 5",
			[]string{event(6, "a", true) + event(6, "b", true), event(6, "a", true), event(6, "a", true) + event(6, "b", true) + event(6, "c", false)},
			[]string{"from=5", "from=6", "from=6", "from=7"},
			"6  put  a = v\n6  put  b = v\n6  put  c = v\n",
		}, {
			"before the first event of a watch from now on", "",
			[]string{"", event(42, "a", false)},
			[]string{"from=41", "from=41", "from=43"},
			"42  put  a = v\n",
		}, {
			"in the middle of a line", "--from 5 --prefix x/",
			[]string{event(5, "x/a", false) + event(6, "x/b", false)[:20], event(6, "x/b", false)},
			[]string{"from=5&prefix=x%2F", "from=6&prefix=x%2F", "from=7&prefix=x%2F"},
			"5  put  x/a = v\n6  put  x/b = v\n",
		}, {
			"because the agent stops, and then has no leader", "--from 5",
			[]string{
				event(5, "a", false) + `{"error":{"code":"stopping","message":"the agent is stopping"}}` + "\n",
				`503 {"error":{"code":"no_leader","message":"no leader is known"}}`,
				event(6, "b", false),
			},
			[]string{"from=5", "from=6", "from=6", "from=7"},
			"5  put  a = v\n6  put  b = v\n",
		}, {
			"because the agent stops, having looked further than the last event", "--from 5",
			[]string{
				event(5, "a", false) + `{"error":{"code":"stopping","message":"the agent is stopping","resume_from":30}}` + "\n",
				event(31, "b", true) + `{"error":{"code":"stopping","message":"the agent is stopping","resume_from":32}}` + "\n",
				event(31, "b", true) + event(31, "c", false),
			},
			[]string{"from=5", "from=30", "from=31", "from=32"},
			"5  put  a = v\n31  put  b = v\n31  put  c = v\n",
		}, {
			"because it was slow, but the agent has the rest", "--from 5",
			[]string{
				event(5, "a", false) + `{"error":{"code":"compacted","message":"too slow","resume_from":6}}` + "\n",
				event(6, "b", false),
			},
			[]string{"from=5", "from=6", "from=7"},
			"5  put  a = v\n6  put  b = v\n",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			ctx, cancel := context.WithCancel(context.Background())
			defer cancel()
			handler := &watchAgent{applied: "40", cluster: "c", streams: tt.streams, ended: cancel}
			agent := serveFake(t, "", handler.ServeHTTP)
			var stdout, stderr bytes.Buffer
			args := append([]string{"watch", "--socket", agent.socket}, strings.Fields(tt.args)...)
			code := run(ctx, args, nil, &stdout, &stderr, []string{"HOME=" + t.TempDir()})
			if code != 0 || stdout.String() != tt.want {
				t.Errorf("exit code %d, printed:\n%swant:\n%s(%s)", code, stdout.String(), tt.want, stderr.String())
			}
			if got := strings.Join(handler.from, " "); got != strings.Join(tt.queries, " ") {
				t.Errorf("asked for %q, want %q", got, tt.queries)
			}
			if !strings.Contains(stderr.String(), "trying again, to go on from index") ||
				!strings.Contains(stderr.String(), "the agent answers again; going on from index") {
				t.Errorf("stderr does not tell: %s", stderr.String())
			}
		})
	}
}

// TestWatchOverARestart has the socket itself gone for a while.
func TestWatchOverARestart(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	socket := filepath.Join(t.TempDir(), "s")
	first := serveFake(t, socket, (&watchAgent{applied: "0", cluster: "c", streams: []string{event(1, "a", false)}, ended: func() {}}).ServeHTTP)

	stdout := &countingWriter{after: 1, then: func() {}}
	stdout.then = sync.OnceFunc(func() { // the first event is printed: the agent dies
		go first.stop()
	})
	// The first complaint about a socket that nobody serves starts the second agent.
	stderr := &noticeWriter{wanted: "can't be reached", then: func() {
		serveFake(t, socket, (&watchAgent{applied: "1", cluster: "c", streams: []string{event(2, "b", false)}, ended: cancel}).ServeHTTP)
	}}
	code := run(ctx, []string{"watch", "--socket", socket, "--json"}, nil, stdout, stderr, []string{"HOME=" + t.TempDir()})
	if want := event(1, "a", false) + event(2, "b", false); code != 0 || stdout.String() != want {
		t.Errorf("exit code %d, printed:\n%swant:\n%s(%s)", code, stdout.String(), want, stderr.String())
	}
}

// noticeWriter calls then when the wanted text is written for the first time.
type noticeWriter struct {
	bytes.Buffer
	wanted string
	then   func()
}

func (n *noticeWriter) Write(b []byte) (int, error) {
	before := strings.Contains(n.Buffer.String(), n.wanted)
	size, err := n.Buffer.Write(b)
	if !before && strings.Contains(n.Buffer.String(), n.wanted) {
		n.then()
	}
	return size, err
}

func TestWatchEndsWhereItCannotGoOn(t *testing.T) {
	tests := []struct {
		name    string
		streams []string
		args    string
		cluster string // after the first watch
		code    int
		stderr  string
	}{
		{"events are lost", []string{`{"error":{"code":"compacted","message":"begin at index 9","resume_from":9}}` + "\n"}, "", "c", 1, "begin at index 9 (compacted)"},
		{"another cluster", []string{event(5, "a", false)}, "", "d", 1, "belongs to another cluster now"},
		{"away for too long", []string{event(5, "a", false)}, "--give-up 0s", "c", 3, "gave up after 0s"},
		{"an answer that is no event", []string{"nonsense\n"}, "", "c", 1, "not the expected JSON"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			handler := &watchAgent{applied: "40", cluster: "c", streams: tt.streams, ended: func() { t.Error("it went on") }}
			agent := serveFake(t, "", func(w http.ResponseWriter, r *http.Request) {
				if r.URL.Path == "/v1/watch" {
					handler.mu.Lock()
					handler.cluster = tt.cluster
					handler.mu.Unlock()
				}
				handler.ServeHTTP(w, r)
			})
			got := agent.run(t, "", append([]string{"watch", "--from", "5"}, strings.Fields(tt.args)...)...)
			if got.code != tt.code || !strings.Contains(got.stderr, tt.stderr) {
				t.Errorf("%+v", got)
			}
		})
	}
}

func TestEventLine(t *testing.T) {
	tests := []struct {
		event api.Event
		want  string
	}{
		{api.Event{Index: 7, Kind: "command", Bytes: api.BytesOf([]byte("valve\n\x1b3"))}, `7  command  valve\n\x1b3`},
		{api.Event{Index: 7, Kind: "command", Bytes: api.BytesOf([]byte("\xff\x00"))}, `7  command  \xff\x00`},
		{api.Event{Index: 8, Kind: "put", Key: "a\rb", Bytes: api.BytesOf([]byte("x"))}, `8  put  a\rb = x`},
		{api.Event{Index: 9, Kind: "delete", Key: "a"}, `9  delete  a`},
	}
	for _, tt := range tests {
		if got := eventLine(tt.event); got != tt.want {
			t.Errorf("got %q, want %q", got, tt.want)
		}
	}
}

func TestExitCodes(t *testing.T) {
	tests := map[error]int{
		nil:                        0,
		errSilentNo:                1,
		&client.Error{Status: 503}: 1,
		usageError{"u"}:            2,
		configError{io.EOF}:        2,
		fmt.Errorf("x: %w", client.ErrUnreachable):                            3,
		fmt.Errorf("x: %w", client.ErrInterrupted):                            3,
		fmt.Errorf("%w: %w", client.ErrInterrupted, context.Canceled):         1,
		fmt.Errorf("%w: %w", client.ErrInterrupted, context.DeadlineExceeded): 1,
		&net.OpError{Op: "read", Err: io.ErrClosedPipe}:                       3,
		&net.OpError{Op: "listen", Err: io.ErrClosedPipe}:                     1, // of `edgeraft run`
		exitStatus(7): 7,
	}
	for err, want := range tests {
		if got := exitCode(err); got != want {
			t.Errorf("%v: %d, want %d", err, got, want)
		}
	}
}
