package discovery

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Config is what Run needs. Self, Port and Found are required.
type Config struct {
	Self raft.NodeID
	// Cluster is the cluster's name. Only devices that announce the same one
	// (in lower case, with '-' for what is not a letter or digit) are found.
	Cluster string
	// Port is where this device's transport listens, 1 to 65535.
	Port int
	// Interfaces names those to use. Empty: all that are up, have multicast
	// and do not look like containers or tunnels.
	Interfaces []string
	// Found is told of every device heard, again in every round, as its
	// addresses may have changed. It is called from the goroutine of Run, never
	// concurrently, and must not block.
	Found func(Peer)
	// Missing says whether a device is still wanted (nil: always). While it
	// does, the search goes on every few seconds, later with pauses of up to
	// 15 s; else about every 45 s. It is called as Found is.
	Missing func() bool
	// Changed, when not nil, is told when the interfaces or addresses of this
	// device have changed, as Found is.
	Changed func()
	// Report, when not nil, is given the state after every round, as Found is.
	Report func(Status)
	// Logger, when not nil, gets a line when discovery starts or stops working
	// (info, warn) and what was ignored (debug).
	Logger *slog.Logger
}

// Peer is a hint that a device may be reached at one of some addresses.
type Peer struct {
	ID raft.NodeID
	// Addrs holds 1 to 8 addresses, the likeliest first. IPv6 link-local ones
	// carry their zone.
	Addrs []netip.AddrPort
}

// Status is the state of discovery after a round.
type Status struct {
	// Interfaces are those in use.
	Interfaces []string
	// Rounds counts the rounds since the start, also those that failed.
	Rounds uint64
	// LastRound is when a round last ended without error; zero before the first.
	LastRound time.Time
	// Peers counts the other devices of the cluster heard in the last 3 rounds.
	Peers int
	// Others are names of other clusters whose devices were heard in the last 3
	// rounds, in order, as announced, at most 4. They are claims of unknown senders.
	Others []string
	// Refused counts announcements that were malformed or beyond a limit.
	Refused uint64
	// Err is why the last round failed, nil when it did not.
	Err error
}

var errNoInterface = errors.New("no network interface is up with multicast and an address: " +
	"connect one, name it in udp.interfaces, or configure peers by address")

// Run announces this device and searches for others until ctx ends, then takes
// the announcement back and returns nil. It returns an error at once when cfg
// is wrong; trouble with the network is retried without end, with backoff, and
// shown in Status. When it returns, at most timers of some seconds are left of
// its goroutines.
func Run(ctx context.Context, cfg Config) error {
	switch {
	case !cfg.Self.Valid():
		return fmt.Errorf("discovery: %q is not a node ID", cfg.Self)
	case cfg.Port < 1 || cfg.Port > 65535:
		return fmt.Errorf("discovery: announcing port %d: want 1 to 65535", cfg.Port)
	case cfg.Found == nil:
		return errors.New("discovery: Found is nil: nobody to tell what is found")
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	s := &search{cfg: cfg, label: clusterLabel(cfg.Cluster), heard: make(map[raft.NodeID]uint64), others: make(map[string]uint64)}
	s.run(ctx)
	return nil
}

// search is the state of Run. All of it belongs to one goroutine.
type search struct {
	cfg   Config
	label string

	watch  <-chan struct{} // the kernel tells that interfaces changed
	links  []link
	server *announcement // nil: nothing announced
	ipv4   bool          // browse by IPv4 alone, as IPv6 failed on these links

	pace   pace
	heard  map[raft.NodeID]uint64 // the round in which each was last heard
	others map[string]uint64      // likewise, for other clusters; at most maxOthers
	status Status
}

func (s *search) run(ctx context.Context) {
	defer s.retract()
	s.watch = Watch(ctx)
	s.pace.restart(time.Now())
	for ctx.Err() == nil {
		s.refresh()
		began := time.Now()
		window := s.pace.window()
		err := s.oneRound(ctx, window)
		if s.interrupted(s.links) {
			continue
		}
		if ctx.Err() != nil {
			return
		}
		s.note(err)
		s.askMissing() // the pause depends on it
		// A round that ended early, by failure or flood, must not start the
		// next one sooner.
		s.wait(ctx, s.pace.pause(time.Now(), err)+window-time.Since(began))
	}
}

// refresh looks at the interfaces and, when they changed, makes sockets and
// announcement anew.
func (s *search) refresh() {
	links, err := readLinks(s.cfg.Interfaces)
	if err != nil || slices.EqualFunc(links, s.links, link.equal) {
		return // what the kernel does not tell now, it tells in the next round
	}
	s.cfg.Logger.Info("discovery: network interfaces changed", "interfaces", linkNames(links))
	s.retract()
	s.links, s.ipv4 = links, false
	s.pace.restart(time.Now())
	if s.cfg.Changed != nil {
		s.cfg.Changed()
	}
}

// interrupted reports whether the interfaces are others than those in use.
func (s *search) interrupted(used []link) bool {
	links, err := readLinks(s.cfg.Interfaces)
	return err == nil && !slices.EqualFunc(links, used, link.equal)
}

// oneRound announces, if that is not done, and searches for one window.
func (s *search) oneRound(ctx context.Context, window time.Duration) error {
	s.status.Rounds++
	if len(s.links) == 0 {
		return errNoInterface
	}
	if s.server == nil {
		server, err := announce(s.cfg.Self, s.label, s.cfg.Port, s.links)
		if err != nil {
			return err
		}
		s.server = server
	}
	return s.browse(ctx, window)
}

// note keeps what came of a round and tells it where it changes something.
func (s *search) note(err error) {
	old := func(round uint64) bool { return s.status.Rounds-round >= freshRounds }
	maps.DeleteFunc(s.heard, func(_ raft.NodeID, round uint64) bool { return old(round) })
	maps.DeleteFunc(s.others, func(_ string, round uint64) bool { return old(round) })
	switch was := s.status.Err; {
	case err == nil && was != nil:
		s.cfg.Logger.Info("discovery: works again", "interfaces", linkNames(s.links))
	case err != nil && was == nil:
		s.cfg.Logger.Warn("discovery: does not work, will be retried", "error", err)
	}
	if err == nil {
		s.status.LastRound = time.Now()
	}
	s.status.Err = err
	s.status.Peers, s.status.Others = len(s.heard), slices.Sorted(maps.Keys(s.others))
	s.status.Interfaces = linkNames(s.links)
	if s.cfg.Report != nil {
		s.cfg.Report(s.status)
	}
}

func (s *search) retract() {
	if s.server == nil {
		return
	}
	if !s.server.retract() {
		s.cfg.Logger.Warn("discovery: the announcement could not be taken back in time; others forget it by themselves")
	}
	s.server = nil
}
