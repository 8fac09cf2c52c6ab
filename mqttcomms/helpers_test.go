package mqttcomms

import (
	"bytes"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/hooks/auth"
	"github.com/mochi-mqtt/server/v2/listeners"
	"go.uber.org/goleak"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice = raft.NodeID("abaaaaaaaaaaaaaa")
	bob   = raft.NodeID("bbbbbbbbbbbbbbb2")
	carol = raft.NodeID("ccccccccccccccc7")
	dora  = raft.NodeID("ddddddddddddddd3")
)

// patience is how long a test waits for what must come. It only decides when a
// broken test ends.
const patience = 20 * time.Second

var testKey = seal.NewKey()

func newSealer(t testing.TB, k seal.Key, self raft.NodeID, boot uint64) *seal.Sealer {
	t.Helper()
	s, err := seal.New(k, "test", self, boot)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// embedded is a broker in this process.
type embedded struct {
	*mochi.Server
	url  string
	once sync.Once
}

// newBroker starts a broker that ends with the test. address is "127.0.0.1:0"
// unless it is to be one that was there before.
func newBroker(t testing.TB, address string, hook mochi.Hook, change ...func(*mochi.Options)) *embedded {
	t.Helper()
	opt := &mochi.Options{
		InlineClient: true, Logger: slog.New(slog.NewTextHandler(io.Discard, nil)), Capabilities: mochi.NewDefaultServerCapabilities(),
	}
	for _, f := range change {
		f(opt)
	}
	s := mochi.New(opt)
	if hook == nil {
		hook = new(auth.AllowHook)
	}
	if err := s.AddHook(hook, nil); err != nil {
		t.Fatal(err)
	}
	l := listeners.NewTCP(listeners.Config{ID: "t", Address: address})
	if err := s.AddListener(l); err != nil {
		t.Fatal(err)
	}
	go s.Serve()
	e := &embedded{Server: s, url: "mqtt://" + l.Address()}
	t.Cleanup(e.stop)
	return e
}

func (e *embedded) stop() { e.once.Do(func() { _ = e.Close() }) }

func (e *embedded) address() string { return strings.TrimPrefix(e.url, "mqtt://") }

// start starts a Comms that ends with the test. Change may alter its Config.
func start(t testing.TB, url string, self raft.NodeID, change ...func(*Config)) *Comms {
	t.Helper()
	cfg := Config{
		Cluster: "test", Self: self, Seal: newSealer(t, testKey, self, 1), Access: Access{Brokers: []string{url}},
		KeepAlive: 2 * time.Second, Expiry: 3 * time.Second,
	}
	for _, f := range change {
		f(&cfg)
	}
	c, err := Start(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { c.Close() })
	return c
}

// up waits until all are connected.
func up(t testing.TB, all ...*Comms) {
	t.Helper()
	for _, c := range all {
		eventually(t, string(c.self)+" is connected", func() error {
			if s := c.Status(); !s.Connected {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
}

func eventually(t testing.TB, what string, ready func() error) {
	t.Helper()
	deadline := time.NewTimer(patience)
	defer deadline.Stop()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for {
		err := ready()
		if err == nil {
			return
		}
		select {
		case <-tick.C:
		case <-deadline.C:
			t.Fatalf("not within %v: %s: %v", patience, what, err)
		}
	}
}

func note(from, to raft.NodeID, n uint64) raft.Message {
	return raft.Message{From: from, To: to, Term: 1, Body: raft.ReadRequest{Seq: n}}
}

// beat is a heartbeat of a leader.
func beat(from, to raft.NodeID, commit raft.Index) raft.Message {
	return raft.Message{From: from, To: to, Term: 1, Body: raft.AppendRequest{PrevIndex: 9, PrevTerm: 1, Commit: commit}}
}

// large is a message with one command of so many bytes.
func large(from, to raft.NodeID, size int, n raft.Index) raft.Message {
	return raft.Message{From: from, To: to, Term: 1, Body: raft.AppendRequest{PrevIndex: n, PrevTerm: 1, Entries: []raft.Entry{
		{Index: n + 1, Term: 1, Kind: raft.EntryCommand, Data: bytes.Repeat([]byte{byte(n)}, size)},
	}}}
}

func receive(t testing.TB, c *Comms) raft.Message {
	t.Helper()
	select {
	case m := <-c.Received():
		return m
	case <-time.After(patience):
		t.Fatalf("%s received nothing; %+v %+v", c.self, c.Status(), c.Stats())
		return raft.Message{}
	}
}

func wantSame(t testing.TB, got, want raft.Message) {
	t.Helper()
	if !reflect.DeepEqual(got, want) {
		t.Fatalf("got %+v, want %+v", got, want)
	}
}

// refused says whether the status tells of a refusal with this in it.
func refused(c *Comms, part string) error {
	for _, r := range c.Status().Refused {
		if strings.Contains(r, part) {
			return nil
		}
	}
	return fmt.Errorf("refused: %q", c.Status().Refused)
}

// lines collects log lines.
type lines struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.buf.String()
}

func withLog(l *lines) func(*Config) {
	return func(c *Config) { c.Logger = slog.New(slog.NewTextHandler(l, nil)) }
}

// freePort is an address on which nothing listens.
func freePort(t testing.TB) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return l.Addr().String()
}

// writeFile makes a file that ends with the test.
func writeFile(t testing.TB, text string, mode os.FileMode) string {
	t.Helper()
	path := filepath.Join(t.TempDir(), "file")
	if err := os.WriteFile(path, []byte(text), mode); err != nil {
		t.Fatal(err)
	}
	return path
}

func replaceFile(t testing.TB, path, text string) {
	t.Helper()
	if err := os.WriteFile(path+".new", []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(path+".new", path); err != nil {
		t.Fatal(err)
	}
}
