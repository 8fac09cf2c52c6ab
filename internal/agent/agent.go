// Package agent is the program that runs on a device: it wires the core and its
// driver, the log, the transports, discovery, the applications and the socket, and
// sees to the key, the founding, the rescue and what the device tells of itself.
// Run is all of that; the functions named Offline do to the files of a device what
// the socket's requests of that name do while an agent runs.
package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgeraft/edgeraft/app"
	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/app/restore"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// agent is the device as the socket sees it (app.Node). It answers from the
// start; once it has a key there is a device behind it.
type agent struct {
	cfg     config.Config
	log     *slog.Logger
	level   *slog.LevelVar // of log
	manager *supervisor
	started time.Time
	store   *kv.Store
	app     *once.App    // around store
	top     *restore.App // around app
	history *app.History
	events  *app.Events
	// lastChange is what changed told of; its alone.
	lastChange server.Change
	db         *boltlog.Log
	opened     boltlog.Opened

	keyBrought chan seal.Key // takes one
	haveKey    atomic.Bool   // the device is up or starting

	rescue rescue

	mu       sync.Mutex
	setup    sync.Mutex // held by Init, Join, Recover and StartOver, one at a time
	device   *device    // nil until there is a key
	deviceUp chan struct{}
}

func newAgent(cfg config.Config, logger *slog.Logger, level *slog.LevelVar, db *boltlog.Log, opened boltlog.Opened) *agent {
	history := app.NewHistory(app.HistoryLimits{
		Events: cfg.Limits.WatchHistoryEvents, Bytes: cfg.Limits.WatchHistoryBytes,
	})
	store := kv.New(kv.Options{Observe: history.Publish, Restored: history.Restored})
	keyed := once.New(store)
	return &agent{
		cfg: cfg, log: logger, level: level, manager: newSupervisor(logger),
		started: time.Now(), db: db, opened: opened,
		history: history, events: app.NewEvents(), store: store, app: keyed, top: restore.New(keyed),
		keyBrought: make(chan seal.Key, 1),
		deviceUp:   make(chan struct{}),
	}
}

// current returns the device, or nil while there is no key.
func (a *agent) current() *device {
	a.mu.Lock()
	defer a.mu.Unlock()
	return a.device
}

func (a *agent) setDevice(d *device) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.device = d
	close(a.deviceUp)
}

// errNoKey is what needs a cluster gets while there is not even a key.
func errNoKey(doing string) error {
	return fmt.Errorf("%s: without a cluster key %w", doing, raft.ErrNotFounded)
}

// Propose implements app.Node.
func (a *agent) Propose(ctx context.Context, command []byte) (app.Applied, error) {
	d := a.current()
	if d == nil {
		return app.Applied{}, errNoKey("propose")
	}
	applied, err := d.server.Propose(ctx, command)
	return app.Applied(applied), err
}

// Barrier implements app.Node.
func (a *agent) Barrier(ctx context.Context) error {
	d := a.current()
	if d == nil {
		return errNoKey("read")
	}
	return d.server.Barrier(ctx)
}

// ChangeMember implements app.Node.
func (a *agent) ChangeMember(ctx context.Context, change raft.Change) error {
	d := a.current()
	if d == nil {
		return errNoKey("change the membership")
	}
	return d.server.ChangeMember(ctx, change)
}

// Transfer implements app.Node.
func (a *agent) Transfer(ctx context.Context, to raft.NodeID) (raft.NodeID, error) {
	d := a.current()
	if d == nil {
		return "", errNoKey("hand over leadership")
	}
	return d.server.Transfer(ctx, to)
}

// ClusterTime implements app.Node.
func (a *agent) ClusterTime() raft.Time {
	d := a.current()
	if d == nil {
		return 0
	}
	return d.server.ClusterTime()
}

// Init implements app.Founder: it makes a key unless there is one, founds the
// cluster, and waits until it works.
func (a *agent) Init(ctx context.Context) (api.Setup, error) {
	a.setup.Lock()
	defer a.setup.Unlock()
	d := a.current()
	if d == nil {
		key, err := initialKey(a.cfg)
		if err != nil {
			return api.Setup{}, err
		}
		if d, err = a.bringKey(ctx, key); err != nil {
			return api.Setup{}, err
		}
	}
	cluster := newClusterID()
	if err := d.server.Found(ctx, cluster); err != nil {
		return api.Setup{}, err
	}
	a.log.Info("founded a cluster", "cluster_id", cluster)
	if err := d.server.Barrier(ctx); err != nil {
		return api.Setup{}, fmt.Errorf("wait for the new cluster: %w", err)
	}
	return api.Setup{ClusterID: cluster.String(), Key: d.keys.ring().First().Text()}, nil
}

// Join implements app.Founder: it takes the key, with which the device then looks
// for its cluster.
func (a *agent) Join(ctx context.Context, text string) (api.Setup, error) {
	key, err := seal.ParseKey(text)
	if err != nil {
		return api.Setup{}, fmt.Errorf("join: %w: %w", app.ErrBadKey, err)
	}
	a.setup.Lock()
	defer a.setup.Unlock()
	if d := a.current(); d != nil {
		if d.keys.ring().Has(key) {
			return api.Setup{}, nil
		}
		return api.Setup{}, fmt.Errorf("join: this device has another key (%s); if this is a new key of the same cluster, use edgeraft join --add; if that was the wrong one, edgeraft join --replace-key: %w",
			a.cfg.KeyFile, raft.ErrAlreadyFounded)
	}
	if err := storeKey(a.cfg, key); err != nil {
		return api.Setup{}, fmt.Errorf("join: %w", err)
	}
	_, err = a.bringKey(ctx, key)
	return api.Setup{}, err
}

// bringKey hands the key to the task that waits for it, and returns when the
// device is up.
func (a *agent) bringKey(ctx context.Context, key seal.Key) (*device, error) {
	select {
	case a.keyBrought <- key:
	default: // an earlier caller did, and gave up waiting
	}
	select {
	case <-a.deviceUp:
		return a.current(), nil
	case <-ctx.Done():
		return nil, fmt.Errorf("start with the new key: %w", raft.ErrStopped)
	}
}

// initialKey returns the key in the configured file, or makes one there.
func initialKey(cfg config.Config) (seal.Key, error) {
	key, err := seal.ReadKeyFile(cfg.KeyFile)
	if errors.Is(err, fs.ErrNotExist) {
		key = seal.NewKey()
		err = storeKey(cfg, key)
	}
	if err != nil {
		return seal.Key{}, fmt.Errorf("make the cluster key: %w", err)
	}
	return key, nil
}

// storeKey writes the key to its file, whose directory it makes if need be. It
// never replaces another key.
func storeKey(cfg config.Config, key seal.Key) error {
	if err := os.MkdirAll(filepath.Dir(cfg.KeyFile), 0o700); err != nil {
		return fmt.Errorf("make the directory of the key: %w", err)
	}
	return seal.WriteKeyFile(cfg.KeyFile, key, false)
}

func newClusterID() raft.ClusterID {
	var b [16]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	return raft.ClusterIDFrom(b)
}
