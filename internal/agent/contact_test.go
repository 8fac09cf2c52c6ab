package agent

import (
	"log/slog"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// What is read while there is no leader says since when.
func TestLeaderContact(t *testing.T) {
	const self, other raft.NodeID = "aliceaaaaaaaaaaa", "bobbbbbbbbbbbbbb"
	logger := slog.New(slog.DiscardHandler)
	cfg := config.Default(config.Host{Root: true})
	cfg.UDP.Listen = "127.0.0.1:0"
	ring, err := seal.NewRing(seal.NewKey())
	if err != nil {
		t.Fatal(err)
	}
	comms, err := openTransports(cfg, ring, self, 1, logger)
	if err != nil {
		t.Fatal(err)
	}
	defer comms.Close()
	d := &device{self: self, comms: comms}
	d.cfg.Timing.Election = time.Hour
	r := &reporter{log: logger, self: self, lost: d.lostLeader}
	see := func(leader raft.NodeID) { r.Changed(server.Change{Leader: leader, Config: &raft.Configuration{}}) }

	see("")
	if ago, ok := d.leaderContact(""); ok {
		t.Errorf("before there was a leader: %v", ago)
	}
	see(self)
	if ago, ok := d.leaderContact(self); !ok || ago != 0 {
		t.Errorf("on the leader: %v, %v", ago, ok)
	}
	see("")
	if ago, ok := d.leaderContact(""); !ok || ago < time.Hour || ago > 2*time.Hour {
		t.Errorf("after it found itself without followers: %v, %v", ago, ok)
	}
	if ago, ok := d.leaderContact(other); ok {
		t.Errorf("of a leader that was never heard: %v", ago)
	}
	see(other)
	see("")
	if ago, ok := d.leaderContact(""); !ok || ago > time.Minute {
		t.Errorf("after another led: %v, %v", ago, ok)
	}
}
