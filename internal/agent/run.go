package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"path/filepath"
	"sync"

	"github.com/coreos/go-systemd/v22/daemon"
	"github.com/edgeraft/edgeraft/app"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/release"
	"github.com/edgeraft/edgeraft/internal/seal"
)

// socketGroup may use the socket, where the system has such a group.
const socketGroup = "edgeraft"

// Run runs the agent until ctx ends (then it returns nil) or something
// fails that only a restart can mend. load reads the configuration again.
func Run(ctx context.Context, cfg config.Config, load func() (config.Config, error), stderr io.Writer, env map[string]string) error {
	for {
		err := runAgentOnce(ctx, cfg, load, stderr, env)
		if !errors.Is(err, errAgain) || ctx.Err() != nil {
			return err
		}
	}
}

// runAgentOnce runs it until that, or until it must begin anew: then it returns
// errAgain.
func runAgentOnce(ctx context.Context, cfg config.Config, load func() (config.Config, error), stderr io.Writer, env map[string]string) (err error) {
	if err := actAsOwner(cfg.DataDir, filepath.Dir(cfg.Socket)); err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	setProcessors()
	level := new(slog.LevelVar)
	setLevel(level, cfg.Log.Level)
	logger := newLogger(level, stderr, env)
	if err := refuseTwin(cfg.DataDir); err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	db, opened, err := openStorage(cfg, logger)
	if err != nil {
		return fmt.Errorf("start the agent: %w", explainStorage(err, cfg.DataDir))
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	listener, err := app.Listen(cfg.Socket, socketGroup)
	if err != nil {
		return fmt.Errorf("start the agent: %w", err)
	}
	scrapes, err := listenForScrapes(cfg.Metrics.Listen)
	if err != nil {
		return errors.Join(fmt.Errorf("start the agent: %w", err), listener.Close())
	}
	a := newAgent(cfg, logger, level, db, opened)
	logger.Info("started", "version", release.Version(), "id", opened.Identity.ID, "name", cfg.Name,
		"cluster", cfg.Cluster, "socket", cfg.Socket, "log_entries", len(opened.Stored.Entries))
	return a.run(ctx, listener, scrapes, load)
}

// openStorage opens the database. Where it is damaged or gone, this device makes
// itself a new one, which takes its own old place in the cluster: nobody may be
// there to do it, and what it forgot the others have.
func openStorage(cfg config.Config, logger *slog.Logger) (*boltlog.Log, boltlog.Opened, error) {
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

// listenForScrapes listens for scrapers, unless address is "": then it returns nil.
func listenForScrapes(address string) (net.Listener, error) {
	if address == "" {
		return nil, nil
	}
	l, err := net.Listen("tcp", address)
	if err != nil {
		return nil, fmt.Errorf("listen for scrapers (metrics.listen): %w", err)
	}
	return l, nil
}

// run serves the socket from the start and, once there is a key, the cluster.
// scrapes is nil where there is no address for them.
func (a *agent) run(ctx context.Context, listener, scrapes net.Listener, load func() (config.Config, error)) error {
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	server := app.New(app.Config{
		Node: a, Founder: a, Keys: a, Archive: a, Rescuer: a, Store: a.store, History: a.history, Events: a.events, Log: a.log,
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
	if scrapes != nil {
		task(func(ctx context.Context) error { return server.ServeScrapes(ctx, scrapes) })
	}
	deviceCtx := a.rescue.begin(ctx, stop)
	task(func(context.Context) error {
		defer close(a.rescue.deviceEnded)
		ring, err := a.awaitKey(deviceCtx)
		if err != nil || deviceCtx.Err() != nil {
			return err
		}
		a.haveKey.Store(true)
		return a.runDevice(deviceCtx, ring)
	})
	task(func(ctx context.Context) error { a.manager.feed(ctx, a.progress); return nil })
	task(func(ctx context.Context) error {
		a.manager.reloadOnHangup(ctx, func() { a.reload(load) })
		return nil
	})
	// The socket has its queue, so whoever connects from now on is served.
	a.manager.notify(daemon.SdNotifyReady)
	<-ctx.Done()
	if errors.Is(context.Cause(ctx), errAgain) {
		a.manager.status("Begins anew")
		tasks.Wait()
		return errAgain
	}
	a.manager.notify(daemon.SdNotifyStopping)
	a.manager.status("Stops")
	tasks.Wait()
	if err := context.Cause(ctx); !errors.Is(err, context.Canceled) {
		a.log.Error("stopped", "error", err)
		return err
	}
	a.log.Info("stopped")
	return nil
}

// awaitKey reads the keys from their file, or waits for init or join to bring one.
func (a *agent) awaitKey(ctx context.Context) (seal.Ring, error) {
	ring, err := seal.ReadRing(a.cfg.KeyFile)
	if err == nil {
		return ring, nil
	}
	if !errors.Is(err, fs.ErrNotExist) {
		return seal.Ring{}, fmt.Errorf("start the agent: %w", err)
	}
	a.log.Info("waiting for a cluster key: edgeraft init or edgeraft join", "key_file", a.cfg.KeyFile)
	a.manager.status("Waits for a cluster key: edgeraft init (first device), or edgeraft join KEY (all others)")
	select {
	case key := <-a.keyBrought:
		return seal.NewRing(key)
	case <-ctx.Done():
		return seal.Ring{}, nil
	}
}
