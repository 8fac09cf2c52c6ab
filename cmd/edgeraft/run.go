package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"sync"

	"github.com/edgeraft/edgeraft/app"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/seal"
)

// socketGroup may use the socket, where the system has such a group.
const socketGroup = "edgeraft"

// runAgent runs the agent until ctx ends (then it returns nil) or something
// fails that only a restart can mend.
func runAgent(ctx context.Context, cfg Config, stderr io.Writer) (err error) {
	logger := newLogger(cfg.Log.Level, stderr)
	db, opened, err := openStorage(cfg, logger)
	if err != nil {
		return fmt.Errorf("start the agent: %w", explainStorage(err, cfg.DataDir))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	listener, err := app.Listen(cfg.Socket, socketGroup)
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	a := newAgent(cfg, logger, db, opened)
	logger.Info("started", "version", buildVersion(), "id", opened.Identity.ID, "name", cfg.Name,
		"cluster", cfg.Cluster, "socket", cfg.Socket, "log_entries", len(opened.Stored.Entries))
	return a.run(ctx, listener)
}

// openStorage opens the database. Where it is damaged or gone, this device makes
// itself a new one, which takes its own old place in the cluster: nobody may be
// there to do it, and what it forgot the others have.
func openStorage(cfg Config, logger *slog.Logger) (*boltlog.Log, boltlog.Opened, error) {
	opt := boltlog.Options{ClusterName: cfg.Cluster}
	db, opened, err := boltlog.Open(cfg.DataDir, opt)
	if !errors.Is(err, boltlog.ErrDamaged) && !errors.Is(err, boltlog.ErrLostDatabase) {
		return db, opened, err
	}
	logger.Error("this device lost its storage; with a new identity it takes its own place in the cluster again",
		"error", err, "data_dir", cfg.DataDir, "kept_as", boltlog.DamagedName)
	if again := boltlog.Replace(cfg.DataDir, opt); again != nil {
		return nil, boltlog.Opened{}, errors.Join(err, again)
	}
	return boltlog.Open(cfg.DataDir, opt)
}

// run serves the socket from the start and, once there is a key, the cluster.
func (a *agent) run(ctx context.Context, listener net.Listener) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	server := app.New(app.Config{
		Node: a, Founder: a, Store: a.store, History: a.history, Log: a.log,
		Limits: app.Limits{MaxValueBytes: a.cfg.Limits.CommandBytes},
	})
	var tasks sync.WaitGroup
	task := func(f func(context.Context) error) {
		tasks.Go(func() {
			if err := f(ctx); err != nil {
				stop(err)
			}
		})
	}
	task(func(ctx context.Context) error { return server.Serve(ctx, listener) })
	task(func(ctx context.Context) error {
		key, err := a.awaitKey(ctx)
		if err != nil || ctx.Err() != nil {
			return err
		}
		a.haveKey.Store(true)
		return a.runDevice(ctx, key)
	})
	<-ctx.Done()
	tasks.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		a.log.Error("stopped", "error", err)
		return err
	}
	a.log.Info("stopped")
	return nil
}

// awaitKey reads the key from its file, or waits for init or join to bring it.
func (a *agent) awaitKey(ctx context.Context) (seal.Key, error) {
	key, err := seal.ReadKeyFile(a.cfg.KeyFile)
	if err == nil {
		return key, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return seal.Key{}, fmt.Errorf("start the agent: %w", err)
	}
	a.log.Info("waiting for a cluster key: edgeraft init or edgeraft join", "key_file", a.cfg.KeyFile)
	select {
	case key := <-a.keyBrought:
		return key, nil
	case <-ctx.Done():
		return seal.Key{}, nil
	}
}

// newLogger logs to the journal, or whatever reads stderr.
func newLogger(level string, stderr io.Writer) *slog.Logger {
	var l slog.Level
	_ = l.UnmarshalText([]byte(level)) // the configuration was validated
	return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: l}))
}
