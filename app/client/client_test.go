package client

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// agent serves a socket with handler. The calls against a real server are
// tested in package app; here is what a real one does not do.
func agent(t *testing.T, handler http.HandlerFunc) *Client {
	t.Helper()
	path := filepath.Join(t.TempDir(), "s")
	l, err := net.Listen("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	server := &http.Server{Handler: handler}
	done := make(chan struct{})
	go func() {
		_ = server.Serve(l) // always ErrServerClosed
		close(done)
	}()
	c := New(path)
	t.Cleanup(func() {
		c.Close()
		server.Close()
		<-done
	})
	return c
}

func TestUnreachable(t *testing.T) {
	dir := t.TempDir()
	stale := filepath.Join(dir, "stale")
	l, err := net.ListenUnix("unix", &net.UnixAddr{Name: stale, Net: "unix"})
	if err != nil {
		t.Fatal(err)
	}
	l.SetUnlinkOnClose(false)
	l.Close()
	cases := []struct {
		path  string
		cause error
		says  string
	}{
		{filepath.Join(dir, "none"), fs.ErrNotExist, "start the agent"},
		{stale, syscall.ECONNREFUSED, "start the agent"},
	}
	for _, c := range cases {
		_, err := New(c.path).Status(t.Context())
		if !errors.Is(err, ErrUnreachable) || !errors.Is(err, c.cause) || errors.Is(err, ErrInterrupted) ||
			!strings.Contains(err.Error(), c.path) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("%s: %v", c.path, err)
		}
	}
	denied := &dialError{socket: "/s", err: &net.OpError{Op: "dial", Err: os.NewSyscallError("connect", syscall.EACCES)}}
	if !errors.Is(denied, ErrUnreachable) || !strings.Contains(denied.Error(), "group edgeraft") {
		t.Errorf("permission denied: %v", denied)
	}
}

func TestErrorsOfTheAgent(t *testing.T) {
	cases := []struct {
		name, body string
		want       Error
	}{
		{"its own", `{"error":{"code":"no_leader","message":"no leader","retry_after_ms":500}}`,
			Error{503, api.ErrorDetail{Code: "no_leader", Message: "no leader", RetryAfterMS: 500}}},
		{"somebody else's", "<html>", Error{503, api.ErrorDetail{
			Message: "the agent answered 503 Service Unavailable without saying why; is the socket an edgeraft agent's?"}}},
	}
	for _, c := range cases {
		client := agent(t, func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(503)
			io.WriteString(w, c.body)
		})
		_, err := client.Members(t.Context())
		var got *Error
		if !errors.As(err, &got) || *got != c.want {
			t.Errorf("%s: %#v", c.name, err)
		}
	}
}

func TestALostAnswerLeavesTheOutcomeOfAChangeUnknown(t *testing.T) {
	client := agent(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	if _, err := client.Propose(t.Context(), []byte("x")); !errors.Is(err, ErrInterrupted) || errors.Is(err, ErrUnreachable) {
		t.Errorf("a proposal: %v", err)
	}
	if _, err := client.Put(t.Context(), "k", nil, PutOptions{}); !errors.Is(err, ErrInterrupted) {
		t.Errorf("a put: %v", err)
	}
	if _, err := client.Get(t.Context(), "k", GetOptions{}); err == nil || errors.Is(err, ErrInterrupted) {
		t.Errorf("a get: %v", err)
	}
}

func TestTheContextEndsACall(t *testing.T) {
	client := agent(t, func(_ http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body) // so that the server sees the caller leave
		<-r.Context().Done()
	})
	ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
	defer cancel()
	if _, err := client.Propose(ctx, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a proposal: %v", err)
	}
	if err := client.Watch(ctx, WatchOptions{}, nil); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a watch: %v", err)
	}
}

func TestAnswersAreBounded(t *testing.T) {
	client := agent(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set(api.HeaderIndex, "1")
		chunk := make([]byte, 1<<20)
		for range maxAnswerBytes/len(chunk) + 1 {
			if _, err := w.Write(chunk); err != nil {
				return
			}
		}
	})
	if _, err := client.Get(t.Context(), "k", GetOptions{}); err == nil || !strings.Contains(err.Error(), "larger than") {
		t.Errorf("a get: %v", err)
	}
	if err := client.Watch(t.Context(), WatchOptions{}, nil); err == nil || !strings.Contains(err.Error(), "too long") {
		t.Errorf("a watch: %v", err)
	}
}

func TestHowAWatchEnds(t *testing.T) {
	const event = `{"index":4,"term":1,"kind":"put","key":"a","value":"\"error\"","more":true}` + "\n"
	stop := errors.New("stop")
	cases := []struct {
		name, stream string
		each         error
		check        func(error) bool
	}{
		{"each ends it", event, stop, func(err error) bool { return err == stop }},
		{"the agent breaks off", event, nil, func(err error) bool { return errors.Is(err, io.ErrUnexpectedEOF) }},
		{"it was too slow", event + `{"error":{"code":"compacted","message":"m","resume_from":9}}` + "\n", nil, func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Status == 410 && e.ResumeFrom == 9
		}},
		{"the agent stops", event + `{"error":{"code":"stopping","message":"m","resume_from":5}}` + "\n", nil, func(err error) bool {
			var e *Error
			return errors.As(err, &e) && e.Status == 503 && e.ResumeFrom == 5
		}},
		{"noise", event + "noise\n", nil, func(err error) bool { return err != nil && strings.Contains(err.Error(), "JSON") }},
	}
	for _, c := range cases {
		var target string
		client := agent(t, func(w http.ResponseWriter, r *http.Request) {
			target = r.RequestURI
			io.WriteString(w, c.stream)
		})
		var seen []api.Event
		err := client.Watch(t.Context(), WatchOptions{From: 4, Prefix: "a b"}, func(e api.Event) error {
			seen = append(seen, e)
			return c.each
		})
		if !c.check(err) || len(seen) != 1 || seen[0].Index != 4 || *seen[0].Value != `"error"` || !seen[0].More {
			t.Errorf("%s: %v, %+v", c.name, err, seen)
		}
		if target != "/v1/watch?from=4&prefix=a+b" {
			t.Errorf("it asked for %s", target)
		}
	}
}

func TestRequests(t *testing.T) {
	seven := uint64(7)
	cases := []struct {
		call func(*Client, context.Context) error
		want string
	}{
		{func(c *Client, ctx context.Context) error {
			_, err := c.Put(ctx, "a/../%", nil, PutOptions{IfIndex: &seven, TTL: "30s"})
			return err
		}, "PUT /v1/kv/a%2F..%2F%25?if_index=7&ttl=30s "},
		{func(c *Client, ctx context.Context) error {
			_, err := c.Delete(ctx, "..", DeleteOptions{IfIndex: new(uint64)})
			return err
		}, "DELETE /v1/kv/..?if_index=0 "},
		{func(c *Client, ctx context.Context) error {
			_, err := c.List(ctx, "p", ListOptions{Stale: true, After: "a", Limit: 2})
			return err
		}, "GET /v1/kv?after=a&consistency=stale&limit=2&prefix=p "},
		{func(c *Client, ctx context.Context) error { _, err := c.Propose(ctx, []byte("x")); return err }, "POST /v1/propose x"},
		{func(c *Client, ctx context.Context) error { _, err := c.Txn(ctx, api.Txn{}); return err },
			`POST /v1/txn {"compare":null,"then":null,"else":null}`},
		{func(c *Client, ctx context.Context) error { return c.AddMember(ctx, "i", "") }, `POST /v1/members {"id":"i"}`},
		{func(c *Client, ctx context.Context) error { return c.PromoteMember(ctx, "i/j") }, "POST /v1/members/i%2Fj/promote "},
		{func(c *Client, ctx context.Context) error { return c.DemoteMember(ctx, "i") }, "POST /v1/members/i/demote "},
		{func(c *Client, ctx context.Context) error { return c.RemoveMember(ctx, "i") }, "DELETE /v1/members/i "},
		{func(c *Client, ctx context.Context) error { _, err := c.Init(ctx); return err }, "POST /v1/init "},
		{func(c *Client, ctx context.Context) error { _, err := c.Join(ctx, "k"); return err }, `POST /v1/join {"key":"k"}`},
		{func(c *Client, ctx context.Context) error { return c.Healthy(ctx) }, "GET /healthz "},
		{func(c *Client, ctx context.Context) error { return c.Ready(ctx) }, "GET /readyz "},
	}
	var got string
	client := agent(t, func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		got = fmt.Sprintf("%s %s %s", r.Method, r.RequestURI, body)
		io.WriteString(w, "{}")
	})
	for _, c := range cases {
		if err := c.call(client, t.Context()); err != nil || got != c.want {
			t.Errorf("%q, want %q; %v", got, c.want, err)
		}
	}
}
