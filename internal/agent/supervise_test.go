package agent

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// told is a service manager that counts what it is told.
type told struct{ fed int }

func (m *told) supervisor(log *slog.Logger, deadline time.Duration) *supervisor {
	return &supervisor{log: log, deadline: deadline, notify: func(state string) {
		if state == "WATCHDOG=1" {
			m.fed++
		}
	}}
}

// TestFeed: the watchdog is fed while the loop turns, however slow the card is;
// not while the loop hangs, nor once a write has been stuck for too long.
func TestFeed(t *testing.T) {
	for _, c := range []struct {
		name    string
		writing time.Duration // how long the write has lasted when the test begins
		hang    bool
		fed     int // in a minute, with a deadline of 30 s
	}{
		{"idle", 0, false, 7},
		{"a card that takes half a minute", 30 * time.Second, false, 7},
		{"a card that takes four minutes", 4*time.Minute - time.Second, false, 7},
		{"a card that becomes stuck", 5*time.Minute - 25*time.Second, false, 3},
		{"a card that is stuck", time.Hour, false, 0},
		{"a loop that hangs", 0, true, 0},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				ctx, stop := context.WithCancel(t.Context())
				began := time.Now()
				m := &told{}
				var log strings.Builder
				s := m.supervisor(slog.New(slog.NewTextHandler(&log, nil)), 30*time.Second)
				done := make(chan struct{})
				go func() {
					defer close(done)
					s.feed(ctx, func(ctx context.Context) (time.Duration, error) {
						if c.hang {
							<-ctx.Done()
							return 0, ctx.Err()
						}
						if c.writing == 0 {
							return 0, nil
						}
						return c.writing + time.Since(began), nil
					})
				}()
				<-time.After(time.Minute)
				synctest.Wait()
				if m.fed != c.fed {
					t.Errorf("fed %d times, want %d", m.fed, c.fed)
				}
				if stuck := strings.Count(log.String(), "level=ERROR"); stuck > 1 || (stuck == 1) != (c.writing > 0 && c.fed < 7) {
					t.Errorf("it logged %s", log.String())
				}
				stop()
				<-done
			})
		})
	}
}

// TestNotify: what the agent tells reaches the socket that is named in the
// environment.
func TestNotify(t *testing.T) {
	path := filepath.Join(t.TempDir(), "notify")
	manager, err := net.ListenUnixgram("unixgram", &net.UnixAddr{Name: path, Net: "unixgram"})
	if err != nil {
		t.Fatal(err)
	}
	defer manager.Close()
	t.Setenv("NOTIFY_SOCKET", path)
	t.Setenv("WATCHDOG_USEC", "6000000")
	t.Setenv("WATCHDOG_PID", "")
	s := newSupervisor(slog.New(slog.DiscardHandler))
	if s.deadline != 6*time.Second || !Supervised() {
		t.Errorf("the watchdog's deadline is %v", s.deadline)
	}
	self, other := raft.NodeIDFrom([10]byte{1}), raft.NodeIDFrom([10]byte{2})
	config := &raft.Configuration{Members: []raft.Member{{ID: self, Name: "attic"}, {ID: other, Name: "cellar\nREADY=1"}}}
	for _, c := range []struct {
		change server.Change
		want   string
	}{
		{server.Change{Config: &raft.Configuration{}}, "Looks for the other devices of its cluster"},
		{server.Change{Config: config, Leader: self, Term: 3}, "Leads 2 members in term 3"},
		{server.Change{Config: config, Leader: other, Term: 3}, fmt.Sprintf("Follows cellar READY=1 (%s), one of 2 members, in term 3", other[:8])},
		{server.Change{Config: config}, "No leader is known; there are 2 members"},
	} {
		s.tellChange(self, c.change)
		buf := make([]byte, 1024)
		n, err := manager.Read(buf)
		if got := string(buf[:n]); err != nil || got != "STATUS="+c.want {
			t.Errorf("the manager was told %q, %v; want %q", got, err, c.want)
		}
	}
}
