package app

import (
	"context"
	"errors"
	"io"
	"net"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
)

// What arrives broken gets a clear answer or none, changes nothing, and leaves
// the socket working.
func TestBrokenRequests(t *testing.T) {
	const limit = 1000
	cases := []struct {
		name, text string
		half       bool // the sender closes its side after it
		status     string
	}{
		{"nothing", "", true, ""},
		{"noise", "\x00\xff\x16\x03\x01\r\n\r\n", false, "400"},
		{"half a line", "GET /v1/sta", true, "400"},
		{"no headers' end", "GET /v1/status HTTP/1.1\r\nHost: x\r\n", true, "400"},
		{"a bad escape", "GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n", false, "400"},
		{"a NUL in the path", "GET /v1/kv/a\x00 HTTP/1.1\r\nHost: x\r\n\r\n", false, "400"},
		{"HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", false, "404"},
		{"a truncated body", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", true, "400"},
		{"a truncated chunk", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nabc", true, "400"},
		{"a bad chunk", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\nxyz\r\n\r\n", false, "400"},
		{"a bad length", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: -1\r\n\r\n", false, "400"},
		{"two lengths", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", false, "400"},
		{"a body said to be large", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc", false, "413"},
		{"a large body", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 1001\r\n\r\n" + strings.Repeat("x", limit+1), false, "413"},
		{"a large body in chunks", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 11) + "0\r\n\r\n", false, "413"},
		{"a large body that never ends", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("64\r\n"+strings.Repeat("x", 100)+"\r\n", 9000), false, "413"},
		{"a body where none belongs", "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n1\r\nx\r\n0\r\n\r\n", false, "400"},
		{"large headers", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 64<<10) + "\r\n\r\n", false, "431"},
		{"a long path", "GET /v1/kv/" + strings.Repeat("x", 64<<10) + " HTTP/1.1\r\nHost: x\r\n\r\n", false, "431"},
	}
	s := serve(t, Limits{MaxValueBytes: limit}, HistoryLimits{})
	for _, c := range cases {
		got := s.raw(c.text, c.half)
		if status, _, _ := strings.Cut(strings.TrimPrefix(got, "HTTP/1.1 "), " "); status != c.status {
			t.Errorf("%s: %.200q, want status %q", c.name, got, c.status)
		}
	}
	if s.node.index != 0 {
		t.Errorf("%d commands were proposed", s.node.index)
	}
	if got := s.call("PUT", "/v1/kv/a", strings.Repeat("x", limit)); got.status != 200 {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestRequestsInFlightAreBounded(t *testing.T) {
	s := serve(t, Limits{MaxRequests: 2}, HistoryLimits{})
	hold := make(chan struct{})
	s.node.hold = hold
	done := make(chan error, 2)
	for range cap(done) {
		go func() {
			_, err := s.client.Propose(context.Background(), []byte("x"))
			done <- err
		}()
	}
	for len(s.server.requests) < cap(s.server.requests) {
		// Both must be in; a status in between gives them time to get there.
		if got := s.call("GET", "/v1/status", ""); got.status != 200 {
			t.Fatalf("status of a busy agent: %+v", got)
		}
	}
	if got := s.call("GET", "/v1/kv/a", ""); got.status != 429 || got.code(t) != "too_many_requests" {
		t.Errorf("one too many: %+v", got)
	}
	close(hold)
	for range cap(done) {
		if err := <-done; err != nil {
			t.Errorf("one within the limit: %v", err)
		}
	}
	if got := s.call("GET", "/v1/kv?consistency=stale", ""); got.status != 200 {
		t.Errorf("afterwards: %+v", got)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		inner := &pipeListener{conns: make(chan net.Conn, 3), done: make(chan struct{})}
		for range cap(inner.conns) {
			ours, theirs := net.Pipe()
			defer ours.Close()
			inner.conns <- theirs
		}
		l := bound(inner, 2)
		accepted := make(chan net.Conn, cap(inner.conns))
		ended := make(chan error, 1)
		go func() {
			for {
				conn, err := l.Accept()
				if err != nil {
					ended <- err
					return
				}
				accepted <- conn
			}
		}()
		synctest.Wait()
		if n := len(accepted); n != 2 {
			t.Fatalf("%d connections accepted at first", n)
		}
		first := <-accepted
		first.Close()
		first.Close() // gives its slot back once only
		synctest.Wait()
		if n := len(accepted); n != 2 {
			t.Errorf("%d more accepted once one was closed", n-1)
		}
		l.Close()
		if err := <-ended; !errors.Is(err, net.ErrClosed) {
			t.Error(err)
		}
		(<-accepted).Close()
		(<-accepted).Close()
	})
}

// pipeListener hands over ends of net.Pipe, so that time can be simulated.
type pipeListener struct {
	conns chan net.Conn
	done  chan struct{}
}

func (l *pipeListener) Accept() (net.Conn, error) {
	select {
	case c := <-l.conns:
		return c, nil
	case <-l.done:
		return nil, net.ErrClosed
	}
}

func (l *pipeListener) Close() error   { close(l.done); return nil }
func (l *pipeListener) Addr() net.Addr { return &net.UnixAddr{Name: "pipe", Net: "unix"} }

// inSimulatedTime serves one connection in a bubble of simulated time. The
// test gets the caller's end.
func inSimulatedTime(t *testing.T, test func(conn net.Conn, s *Server, history *History)) {
	synctest.Test(t, func(t *testing.T) {
		history := NewHistory(HistoryLimits{})
		node := newInstantNode(history, once.Limits{})
		s := New(Config{Node: node, Founder: node, Store: node.store, History: history})
		l := &pipeListener{conns: make(chan net.Conn, 1), done: make(chan struct{})}
		ctx, cancel := context.WithCancel(t.Context())
		served := make(chan error, 1)
		go func() { served <- s.Serve(ctx, l) }()
		ours, theirs := net.Pipe()
		l.conns <- theirs
		test(ours, s, history)
		ours.Close()
		cancel()
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
}

func TestWhatNeverArrivesIsNotWaitedFor(t *testing.T) {
	for _, c := range []struct{ name, text, want string }{
		{"nothing", "", ""},
		{"half a header", "GET /v1/status HT", ""},
		{"half a body", "PUT /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\nabc", "did not arrive within 10s"},
		{"an unwanted body", "GET /v1/kv/a HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", "no body"},
	} {
		inSimulatedTime(t, func(conn net.Conn, _ *Server, _ *History) {
			start := time.Now()
			if _, err := io.WriteString(conn, c.text); err != nil {
				t.Error(err)
			}
			got, err := io.ReadAll(conn)
			if err != nil || !strings.Contains(string(got), c.want) {
				t.Errorf("%s: %q, %v", c.name, got, err)
			}
			if took := time.Since(start); took > bodyTimeout+time.Second {
				t.Errorf("%s: cut off after %v of simulated time", c.name, took)
			}
		})
	}
}

func TestAnIdleConnectionIsClosed(t *testing.T) {
	inSimulatedTime(t, func(conn net.Conn, _ *Server, _ *History) {
		start := time.Now()
		if _, err := io.WriteString(conn, "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Error(err)
		}
		if _, err := io.ReadAll(conn); err != nil {
			t.Error(err)
		}
		if took := time.Since(start); took < idleTimeout/2 || took > 2*idleTimeout {
			t.Errorf("closed after %v of simulated time", took)
		}
	})
}

// A proposal may take longer than a body may: the deadline for the body must
// not end it.
func TestASlowProposalIsNotCutOff(t *testing.T) {
	inSimulatedTime(t, func(conn net.Conn, s *Server, _ *History) {
		hold := make(chan struct{})
		s.node.(*instantNode).hold = hold
		time.AfterFunc(50*time.Second, func() { close(hold) })
		if _, err := io.WriteString(conn, "PUT /v1/kv/a?timeout=60s HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 1\r\n\r\nx"); err != nil {
			t.Error(err)
		}
		got, err := io.ReadAll(conn)
		if err != nil || !strings.HasPrefix(string(got), "HTTP/1.1 200") {
			t.Errorf("%q, %v", got, err)
		}
	})
}

func TestAStuckWatcherIsDropped(t *testing.T) {
	inSimulatedTime(t, func(conn net.Conn, s *Server, history *History) {
		if _, err := io.WriteString(conn, "GET /v1/watch HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Error(err)
		}
		synctest.Wait() // it writes the header, and nobody reads it
		history.Publish(kv.Change{Index: 1, Events: []kv.Event{{Kind: kv.EventCommand, Value: []byte("x")}}})
		if n := len(s.watchers); n != 1 {
			t.Errorf("%d watchers", n)
		}
		<-time.After(s.limits.WriteTimeout + time.Second) // simulated
		synctest.Wait()
		if n := len(s.watchers); n != 0 {
			t.Errorf("%d watchers after the deadline for writing", n)
		}
	})
}

func TestShutdown(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	hold := make(chan struct{})
	s.node.hold = hold
	proposed := make(chan error, 1)
	go func() {
		_, err := s.client.Propose(context.Background(), []byte("x"))
		proposed <- err
	}()
	for len(s.server.requests) == 0 {
		s.call("GET", "/healthz", "")
	}
	stopped := make(chan struct{})
	go func() {
		s.stop()
		close(stopped)
	}()
	<-s.server.stopping
	close(hold)
	if err := <-proposed; err != nil {
		t.Errorf("a proposal in flight at the end: %v", err)
	}
	<-stopped
	if _, err := net.Dial("unix", s.path); err == nil {
		t.Error("the socket still answers")
	}
}

func TestShutdownDoesNotWaitForEver(t *testing.T) {
	inSimulatedTime(t, func(conn net.Conn, s *Server, _ *History) {
		s.node.(*instantNode).hold = make(chan struct{}) // for ever
		if _, err := io.WriteString(conn, "POST /v1/init?timeout=60s HTTP/1.1\r\nHost: x\r\n\r\n"); err != nil {
			t.Error(err)
		}
		synctest.Wait()
		if len(s.requests) != 1 {
			t.Errorf("%d requests in flight", len(s.requests))
		}
	}) // which ends Serve, and fails if anything is left blocked
}
