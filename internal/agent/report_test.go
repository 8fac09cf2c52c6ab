package agent

import (
	"log/slog"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// lines is a log that goroutines may share.
type lines struct {
	mu   sync.Mutex
	text strings.Builder
}

func (l *lines) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(p)
}

func (l *lines) count(what string) int {
	l.mu.Lock()
	defer l.mu.Unlock()
	return strings.Count(l.text.String(), what)
}

// A moment without a leader, as when one hands over, is no line in the log; a
// longer one is.
func TestNoLeaderIsReported(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		log := &lines{}
		r := &reporter{log: slog.New(slog.NewTextHandler(log, nil)), self: "self", lost: func(raft.NodeID) {}, grace: time.Second}
		see := func(leader raft.NodeID) { r.Changed(server.Change{Leader: leader, Config: &raft.Configuration{}}) }
		see("a")
		see("")
		<-time.After(900 * time.Millisecond)
		see("b")
		<-time.After(time.Minute)
		if n := log.count("no leader is known"); n != 0 {
			t.Errorf("a hand-over was reported as the loss of the leader %d times", n)
		}
		see("")
		<-time.After(1100 * time.Millisecond)
		if n := log.count("no leader is known"); n != 1 {
			t.Errorf("the loss of the leader was reported %d times", n)
		}
		see("a")
	})
}
