package app

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"sync"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/kv"
)

// Config is what a Server is made of. Node, Founder, Store and History are
// required.
type Config struct {
	Node    Node
	Founder Founder
	Keys    KeyKeeper // nil: the keys cannot be changed
	Archive Archive   // nil: there are no backups
	Rescuer Rescuer   // nil: nothing is recovered
	Store   *kv.Store
	History *History // the one whose Publish observes Store
	Events  *Events  // nil for none: a device that never changes
	Limits  Limits
	Log     *slog.Logger // for what goes wrong inside net/http; nil for nowhere
}

// Server answers the socket. Its limits hold for all listeners together.
type Server struct {
	node    Node
	founder Founder
	keys    KeyKeeper
	archive Archive
	rescuer Rescuer
	store   *kv.Store
	history *History
	cluster *Events
	limits  Limits
	log     *slog.Logger

	requests chan struct{} // a slot for each request in flight
	watchers chan struct{} // a slot for each watcher
	backups  chan struct{} // one slot
	restores chan struct{} // one slot

	foundingMu sync.Mutex
	founding   founding

	stopOnce sync.Once
	stopping chan struct{} // closed when watchers must end
}

// New returns a Server that does not serve yet.
func New(c Config) *Server {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.Events == nil {
		c.Events = NewEvents()
	}
	limits := c.Limits.withDefaults()
	return &Server{
		node:     c.Node,
		founder:  c.Founder,
		keys:     c.Keys,
		archive:  c.Archive,
		rescuer:  c.Rescuer,
		store:    c.Store,
		history:  c.History,
		cluster:  c.Events,
		limits:   limits,
		log:      c.Log,
		requests: make(chan struct{}, limits.MaxRequests),
		watchers: make(chan struct{}, limits.MaxWatchers),
		backups:  make(chan struct{}, 1),
		restores: make(chan struct{}, 1),
		stopping: make(chan struct{}),
	}
}

// Serve answers requests on l until ctx ends, then closes l, ends the
// watchers, gives requests in flight shutdownGrace to finish, and returns nil.
// Any other end is an error. A Server serves once: when one Serve ends, its
// watchers do everywhere.
func (s *Server) Serve(ctx context.Context, l net.Listener) error { return s.serve(ctx, l, s) }

func (s *Server) serve(ctx context.Context, l net.Listener, handler http.Handler) error {
	base, abandon := context.WithCancel(context.WithoutCancel(ctx))
	defer abandon()
	server := &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: headerTimeout,
		IdleTimeout:       idleTimeout,
		MaxHeaderBytes:    maxHeaderBytes,
		ErrorLog:          slog.NewLogLogger(s.log.Handler(), slog.LevelWarn),
		// OPTIONS * too is answered in the form of the contract.
		DisableGeneralOptionsHandler: true,
		BaseContext:                  func(net.Listener) context.Context { return base },
	}
	served := make(chan error, 1)
	go func() { served <- server.Serve(bound(l, s.limits.MaxConnections)) }()
	select {
	case err := <-served:
		s.endWatchers()
		return fmt.Errorf("serving the socket %s: %w", l.Addr(), errors.Join(err, server.Close()))
	case <-ctx.Done():
	}
	s.endWatchers()
	grace, cancel := context.WithTimeout(base, shutdownGrace)
	defer cancel()
	err := server.Shutdown(grace)
	if errors.Is(err, context.DeadlineExceeded) {
		err = server.Close()
	}
	<-served
	if err != nil && !errors.Is(err, net.ErrClosed) {
		return fmt.Errorf("closing the socket %s: %w", l.Addr(), err)
	}
	return nil
}

func (s *Server) endWatchers() { s.stopOnce.Do(func() { close(s.stopping) }) }

// ServeHTTP answers one request. It does not use http.ServeMux, which cleans
// paths and redirects, and so would change keys.
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if err := s.answer(w, r); err != nil {
		writeFailure(w, err)
	}
}

func (s *Server) answer(w http.ResponseWriter, r *http.Request) error {
	req := &request{w: w, r: r, control: http.NewResponseController(w)}
	if err := req.limitBody(); err != nil {
		return err
	}
	e, err := req.route()
	if err != nil {
		return req.refuse(err)
	}
	if !e.exempt {
		if !acquire(s.requests) {
			f := fail(http.StatusTooManyRequests, api.CodeTooMany,
				"%d requests are in flight, which is the limit; try again, more slowly", cap(s.requests))
			f.RetryAfterMS = retryBusyMS
			return req.refuse(f)
		}
		defer release(s.requests)
	}
	if err := req.read(e, s.limits); err != nil {
		return req.refuse(err)
	}
	if err := req.allowAnswer(s.limits.WriteTimeout); err != nil {
		return err
	}
	return req.keyedFailure(e.serve(s, req))
}

// acquire takes a slot if one is free.
func acquire(slots chan struct{}) bool {
	select {
	case slots <- struct{}{}:
		return true
	default:
		return false
	}
}

func release(slots chan struct{}) { <-slots }
