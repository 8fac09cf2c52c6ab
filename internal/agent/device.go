package agent

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/discovery"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/release"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// ticksPerHeartbeat is how finely the core divides time.
const ticksPerHeartbeat = 10

// snapshotShare is the part of limits.log_bytes after which a snapshot takes
// the place of the log: often enough that the log stays far from its limit
// while a member catches up, seldom enough to spare the card.
const snapshotShare = 4

// trailShare is the part of limits.log_bytes that stays behind a snapshot, so
// that a member which was away for a moment need not be sent all of it.
const trailShare = 16

// device is everything that needs the cluster's key.
type device struct {
	cfg  config.Config
	log  *slog.Logger
	self raft.NodeID
	// replaces is who this device was before it lost its storage.
	replaces []raft.NodeID
	keys     *keyRing
	comms    *transports
	server   *server.Server
	moved    chan struct{} // capacity 1: the addresses of this device changed

	mu          sync.Mutex
	found       discovery.Status
	leaderHeard time.Time // when the leader that was lost last was last heard; zero: none was
}

// runDevice makes the device of its parts and runs it until ctx ends or a part
// fails.
func (a *agent) runDevice(ctx context.Context, ring seal.Ring) error {
	d, err := a.newDevice(ring)
	if err != nil {
		return fmt.Errorf("start the device: %w", err)
	}
	defer d.comms.Close()
	a.setDevice(d)
	ctx, stop := context.WithCancel(ctx)
	defer stop()
	parts := []func(context.Context) error{d.runServer, d.awaitTwin, d.discover, d.takeHints, d.exchangeKeys, d.rememberAddresses}
	errs := make(chan error, len(parts))
	for _, run := range parts {
		go func() { errs <- run(ctx) }()
	}
	for range parts {
		err = errors.Join(err, <-errs)
		stop()
	}
	return err
}

// takeHints tells the server what the broker says of other devices.
func (d *device) takeHints(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case h := <-d.comms.hints:
			// Both only fail when all ends.
			if h.found {
				_ = d.server.Discovered(ctx, h.id)
			} else {
				_ = d.server.LeaderSuspected(ctx, h.id)
			}
		}
	}
}

func (a *agent) newDevice(ring seal.Ring) (*device, error) {
	id := a.opened.Identity
	window, adaptive, err := a.cfg.Flash.Window()
	if err != nil {
		return nil, err // Validate would not have let it pass
	}
	comms, err := openTransports(a.cfg, ring, id.ID, id.Boot, a.log)
	if err != nil {
		return nil, err
	}
	d := &device{cfg: a.cfg, log: a.log, self: id.ID, replaces: id.Replaces, keys: newKeyRing(ring, comms.sealed), comms: comms, moved: make(chan struct{}, 1)}
	tick := max(a.cfg.Timing.Heartbeat/ticksPerHeartbeat, time.Millisecond)
	d.server, err = server.New(server.Config{
		Core: raft.Config{
			ID:              id.ID,
			HeartbeatTicks:  int(a.cfg.Timing.Heartbeat / tick),
			ElectionTicks:   int(a.cfg.Timing.Election / tick),
			Random:          rand.IntN,
			Boot:            id.Boot,
			Level:           spokenLevel(),
			CommandLevel:    restore.Level,
			Founding:        foundingConfig(a.cfg, id),
			ProposalBase:    proposalBase(id.ID, id.Boot),
			MaxCommandBytes: a.cfg.Limits.CommandBytes + kv.MaxOverhead + once.MaxOverhead,
			MaxLogBytes:     a.cfg.Limits.LogBytes,
			MaxTrailBytes:   a.cfg.Limits.LogBytes / trailShare,
		},
		Tick: tick, Name: a.cfg.Name, Version: release.Version(), Session: newSession(), Wall: wall, SnapshotBytes: a.cfg.Limits.LogBytes / snapshotShare,
		ManualJoin: a.cfg.Join == config.JoinManual, MaxVoters: a.cfg.MaxVoters, DeadAfter: a.cfg.DeadAfter, Replaces: id.Replaces,
		CommitWindow: window, AdaptiveWindow: adaptive,
	}, server.Parts{Comms: comms, Log: &diskReporter{Log: a.db, log: a.log, dir: a.cfg.DataDir}, App: a.top, Monitor: &reporter{log: a.log, self: id.ID, lost: d.lostLeader, told: a.changed, grace: a.cfg.Timing.Election}}, a.opened.Stored)
	if err != nil {
		return nil, errors.Join(err, comms.Close())
	}
	return d, nil
}

// runServer runs the server; one that turns out to be a copy of another device
// never starts again.
func (d *device) runServer(ctx context.Context) error {
	return latchTwin(d.cfg.DataDir, d.server.Run(ctx))
}

// proposalBase spreads the proposals of devices and boots over all IDs.
func proposalBase(id raft.NodeID, boot uint64) uint64 {
	h := sha256.Sum256(binary.BigEndian.AppendUint64([]byte(id), boot))
	return binary.BigEndian.Uint64(h[:])
}

// discover announces the device and tells comms whom it finds.
func (d *device) discover(ctx context.Context) error {
	moved := func() {
		d.comms.udp.Moved()
		select {
		case d.moved <- struct{}{}:
		default:
		}
		_ = d.server.Discovered(ctx, "") // it only fails when all ends
	}
	switch {
	case d.comms.udp == nil:
		<-ctx.Done()
		return nil
	case d.cfg.Discovery == config.DiscoveryOff:
		for changed := discovery.Watch(ctx); ; {
			select {
			case <-changed:
				moved()
			case <-ctx.Done():
				return nil
			}
		}
	}
	return discovery.Run(ctx, discovery.Config{
		Self: d.self, Cluster: d.cfg.Cluster, Port: d.comms.udp.Port(), Interfaces: d.cfg.UDP.Interfaces,
		Found: func(p discovery.Peer) {
			d.comms.udp.Hint(p.ID, p.Addrs)
			_ = d.server.Discovered(ctx, p.ID) // it only fails when all ends
		},
		Changed: moved,
		Missing: func() bool { return d.missing(ctx) },
		Report: func(s discovery.Status) {
			d.mu.Lock()
			defer d.mu.Unlock()
			d.found = s
		},
		Logger: d.log,
	})
}

// silenceLimit is how long a member may be silent before it counts as missing.
func (d *device) silenceLimit() time.Duration { return 2 * d.cfg.Timing.Election }

// missing reports whether a device is still to be found: any, while this one
// belongs to no cluster; else a member that should be heard and is not.
func (d *device) missing(ctx context.Context) bool {
	st, err := d.server.Status(ctx)
	if err != nil {
		return false
	}
	if _, member := st.Config.Member(d.self); !member {
		return true
	}
	if st.Role != raft.Leader {
		// A follower hears only the leader.
		return st.Leader == ""
	}
	heard := d.heard()
	for _, m := range st.Config.Members {
		if ago, ok := heard[m.ID]; m.ID != d.self && (!ok || ago > d.silenceLimit()) {
			return true
		}
	}
	return false
}

// heard is how long ago each device was last heard.
func (d *device) heard() map[raft.NodeID]time.Duration {
	heard := map[raft.NodeID]time.Duration{}
	for id, c := range d.comms.contacts() {
		if c.heard {
			heard[id] = c.lastHeard
		}
	}
	return heard
}

// reporter logs what an operator wants to know of.
type reporter struct {
	log  *slog.Logger
	self raft.NodeID
	lost func(leader raft.NodeID) // told when it is the leader no more
	told func(server.Change)      // told of each change; nil: nobody is
	last server.Change
	// grace is how long there may be no leader without a line in the log: one
	// that hands over leaves a moment without any.
	grace time.Duration
	alone *time.Timer // will tell that there is no leader

	foreignTold time.Time
}

// Changed implements server.Monitor. Candidacies come and go and are not told.
func (r *reporter) Changed(c server.Change) {
	if r.alone != nil && c.Leader != "" {
		r.alone.Stop()
		r.alone = nil
	}
	if r.last.Leader != "" && c.Leader != r.last.Leader {
		r.lost(r.last.Leader)
	}
	switch {
	case c.Leader != r.last.Leader && c.Leader == r.self:
		r.log.Info("this device leads", "term", c.Term)
	case c.Leader != r.last.Leader && c.Leader != "":
		r.log.Info("a leader is known", "leader", c.Leader, "name", nameOf(c.Config, c.Leader), "term", c.Term)
	case c.Leader != r.last.Leader && r.last.Leader != "":
		r.alone = time.AfterFunc(r.grace, func() {
			r.log.Warn("no leader is known: see edgeraft status", "since_term", c.Term, "for", r.grace)
		})
	}
	if c.Cluster != r.last.Cluster && r.last.Config != nil {
		r.log.Info("this device belongs to a cluster", "cluster_id", c.Cluster)
	}
	if c.Config != r.last.Config && len(c.Config.Members) > 0 {
		r.log.Info("the configuration is", "members", len(c.Config.Members), "voters", c.Config.Voters())
	}
	if r.told != nil {
		r.told(c)
	}
	if c.Foreign != r.last.Foreign && time.Since(r.foreignTold) > foreignEvery {
		r.foreignTold = time.Now()
		r.log.Error(foreignText(c.Cluster, c.Foreign), "cluster_id", c.Cluster, "other", c.Foreign, "heard_from", c.ForeignFrom)
	}
	r.last = c
}

func nameOf(c *raft.Configuration, id raft.NodeID) string {
	m, _ := c.Member(id)
	return m.Name
}
