package main

import (
	"bytes"
	"context"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// fakeAgent serves a Unix socket with a handler of the test's and records the
// requests.
type fakeAgent struct {
	socket string
	server *httptest.Server

	mu       sync.Mutex
	requests []string // "PUT /v1/kv/a?if_index=3 body key k since 3"
}

// serveFake starts an agent on socket, or on a fresh one when that is "".
func serveFake(t *testing.T, socket string, handler http.HandlerFunc) *fakeAgent {
	t.Helper()
	if socket == "" {
		socket = filepath.Join(t.TempDir(), "s")
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	a := &fakeAgent{socket: socket}
	a.server = &httptest.Server{Listener: listener, Config: &http.Server{Handler: http.HandlerFunc(
		func(w http.ResponseWriter, r *http.Request) {
			body, err := io.ReadAll(r.Body)
			if err != nil {
				t.Error(err)
			}
			a.mu.Lock()
			line := r.Method + " " + r.URL.RequestURI() + " " + string(body)
			if key := r.Header.Get("Idempotency-Key"); key != "" {
				line += " key " + key + " since " + r.Header.Get("Edgeraft-Key-Since")
			}
			a.requests = append(a.requests, strings.TrimSpace(line))
			a.mu.Unlock()
			handler(w, r)
		})}}
	a.server.Start()
	t.Cleanup(a.stop)
	return a
}

// stop ends the agent as a crash does: connections break.
func (a *fakeAgent) stop() {
	a.server.CloseClientConnections()
	a.server.Close()
}

func (a *fakeAgent) seen() []string {
	a.mu.Lock()
	defer a.mu.Unlock()
	return append([]string(nil), a.requests...)
}

// outcome is what a command line did.
type outcome struct {
	code           int
	stdout, stderr string
}

// runLine runs a command line in this process, with an environment of its own.
func runLine(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	return runWith(t, nil, stdin, args...)
}

// run runs a command line that talks to the agent.
func (a *fakeAgent) run(t *testing.T, stdin string, args ...string) outcome {
	t.Helper()
	return runWith(t, []string{"EDGERAFT_SOCKET=" + a.socket}, stdin, args...)
}

func runWith(t *testing.T, env []string, stdin string, args ...string) outcome {
	t.Helper()
	var stdout, stderr bytes.Buffer
	env = append(env, "HOME="+t.TempDir(), "EDGERAFT_CONFIG="+os.DevNull)
	code := run(context.Background(), args, strings.NewReader(stdin), &stdout, &stderr, env)
	return outcome{code, stdout.String(), stderr.String()}
}

// answers makes a handler of fixed answers, by method and path with query. An
// answer may begin with a status and a space; without, it is 200.
func answers(table map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		answer, ok := table[r.Method+" "+r.URL.RequestURI()]
		if !ok {
			answer = `404 {"error":{"code":"not_found","message":"the fake has no ` + r.URL.Path + `"}}`
		}
		w.Header().Set("Edgeraft-Index", "7")
		if strings.HasSuffix(r.URL.Path, "/fleeting") {
			w.Header().Set("Edgeraft-Expires-In-Ms", "1500")
		}
		w.Header().Set("Edgeraft-Applied", "9")
		w.Header().Set("Edgeraft-Leader-Contact-Ms", "1200")
		if len(answer) > 4 && answer[3] == ' ' {
			status := map[string]int{"404": 404, "409": 409, "503": 503}[answer[:3]]
			w.WriteHeader(status)
			answer = answer[4:]
		}
		_, _ = io.WriteString(w, answer)
	}
}
