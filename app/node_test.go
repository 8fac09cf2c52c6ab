package app

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"go.uber.org/goleak"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/raft"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// instantNode commits at once what is proposed, or fails with err. It stands
// in for a cluster where only the socket is tested.
type instantNode struct {
	mu    sync.Mutex
	store *kv.Store
	app   *once.App    // around store
	top   *restore.App // around app
	now   raft.Time    // stamped on every entry
	lost  int          // so many answers get lost: committed, but ErrOutcomeUnknown
	index raft.Index
	err   error // of everything but Status
	hold  chan struct{}
	// badChange: membership changes do not fit.
	badChange bool
	status    api.Status
	changes   []raft.Change
	joined    []string
}

func newInstantNode(history *History, limits once.Limits) *instantNode {
	store := kv.New(kv.Options{Observe: history.Publish, Restored: history.Restored})
	app := once.NewLimited(store, limits)
	return &instantNode{store: store, app: app, top: restore.New(app)}
}

func (n *instantNode) fail(err error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.err = err
}

// failure waits while the node is held, and until the context ends at most.
func (n *instantNode) failure(ctx context.Context) error {
	n.mu.Lock()
	hold := n.hold
	n.mu.Unlock()
	if hold != nil {
		select {
		case <-hold:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.err
}

func (n *instantNode) Propose(ctx context.Context, command []byte) (Applied, error) {
	if err := n.failure(ctx); err != nil {
		return Applied{}, err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	n.index++
	e := raft.Entry{Index: n.index, Term: 3, Time: n.now, Kind: raft.EntryCommand, Data: command}
	applied := Applied{Index: e.Index, Term: e.Term, Result: n.top.Apply(e)}
	if n.lost > 0 {
		n.lost--
		return Applied{}, fmt.Errorf("propose: %w", raft.ErrOutcomeUnknown)
	}
	return applied, nil
}

func (n *instantNode) ClusterTime() raft.Time {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.now
}

// pass lets cluster time go by; the leader proposes what falls due.
func (n *instantNode) pass(ms raft.Time) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.now += ms
	for {
		at, command := n.top.Due()
		if command == nil || n.now <= at {
			return
		}
		n.index++
		n.top.Apply(raft.Entry{Index: n.index, Term: 3, Time: n.now, Kind: raft.EntryCommand, Data: command})
	}
}

func (n *instantNode) Barrier(ctx context.Context) error { return n.failure(ctx) }

func (n *instantNode) Status(context.Context) (api.Status, error) {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.status, nil
}

func (n *instantNode) ChangeMember(ctx context.Context, c raft.Change) error {
	if err := n.failure(ctx); err != nil {
		return err
	}
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.badChange {
		return fmt.Errorf("change: %w", raft.ErrBadChange)
	}
	n.changes = append(n.changes, c)
	return nil
}

func (n *instantNode) Transfer(ctx context.Context, to raft.NodeID) (raft.NodeID, error) {
	if to == "" {
		to = "chosenchosenchos"
	}
	return to, n.failure(ctx)
}

func (n *instantNode) Init(ctx context.Context) (api.Setup, error) {
	return api.Setup{ClusterID: "c", Key: "k"}, n.failure(ctx)
}

func (n *instantNode) Join(ctx context.Context, key string) (api.Setup, error) {
	n.mu.Lock()
	n.joined = append(n.joined, key)
	n.mu.Unlock()
	return api.Setup{ClusterID: "c"}, n.failure(ctx)
}

// panicSpotter fails the test when net/http logs that it caught a panic.
type panicSpotter struct{ t *testing.T }

func (p panicSpotter) Write(b []byte) (int, error) {
	if strings.Contains(string(b), "panic") {
		p.t.Errorf("%s", b)
	}
	return len(b), nil
}

// socket is a served socket and what is behind it.
type socket struct {
	t       *testing.T
	path    string
	node    *instantNode
	history *History
	server  *Server
	client  *client.Client
	stop    func() // ends Serve and waits for it; may be called twice
}

func serve(t *testing.T, limits Limits, history HistoryLimits) *socket {
	t.Helper()
	s := &socket{t: t, path: filepath.Join(t.TempDir(), "s")}
	s.history = NewHistory(history)
	s.node = newInstantNode(s.history, once.Limits{Keys: 4})
	log := slog.New(slog.NewTextHandler(panicSpotter{t}, nil))
	s.server = New(Config{Node: s.node, Founder: s.node, Archive: s.node, Store: s.node.store, History: s.history, Limits: limits, Log: log})
	l, err := Listen(s.path, "edgeraft")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- s.server.Serve(ctx, l) }()
	s.stop = sync.OnceFunc(func() {
		cancel()
		if err := <-done; err != nil {
			t.Errorf("Serve: %v", err)
		}
	})
	s.client = client.New(s.path)
	t.Cleanup(func() {
		s.client.Close()
		s.stop()
	})
	return s
}

// raw sends bytes as they are, and returns all that comes back until the
// server closes the connection. The sending side is closed if half is set.
func (s *socket) raw(text string, half bool) string {
	s.t.Helper()
	conn, err := net.Dial("unix", s.path)
	if err != nil {
		s.t.Fatal(err)
	}
	defer conn.Close()
	go func() {
		// A server that has refused stops reading: an error here is its right.
		_, _ = io.WriteString(conn, text)
		if half {
			_ = conn.(*net.UnixConn).CloseWrite()
		}
	}()
	answer, err := io.ReadAll(conn)
	if err != nil && len(answer) == 0 {
		s.t.Fatalf("reading the answer to %.100q: %v", text, err)
	}
	return string(answer)
}

// answer is an HTTP answer, read whole.
type answer struct {
	status int
	header http.Header
	body   string
}

// call sends one request whose target is taken as it is.
func (s *socket) call(method, target, body string, headers ...string) answer {
	s.t.Helper()
	var req strings.Builder
	req.WriteString(method + " " + target + " HTTP/1.1\r\nHost: x\r\nConnection: close\r\n")
	for _, h := range headers {
		req.WriteString(h + "\r\n")
	}
	if body != "" {
		req.WriteString("Content-Length: " + itoa(len(body)) + "\r\n")
	}
	return parse(s.t, s.raw(req.String()+"\r\n"+body, false))
}
