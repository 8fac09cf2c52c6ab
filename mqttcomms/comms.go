package mqttcomms

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// Config is what Start needs.
type Config struct {
	Cluster string // its name, part of the topics
	Self    raft.NodeID
	Seal    *seal.Sealer // for Self
	Access  Access
	// KeepAlive is in whole seconds, from MinKeepAlive to MaxKeepAlive. A broker
	// that is silent for one and a half of it is given up, and gives up a device
	// that is.
	KeepAlive time.Duration
	// Expiry is how old a message may get, here and at the broker, where it
	// counts in whole seconds: about the election timeout.
	Expiry time.Duration
	// MaxPacket is the most bytes of an MQTT packet that are sent, from MinPacket
	// to MaxPacket; 0: DefaultPacket. The broker may demand less.
	MaxPacket int
	// Found is told of devices that are announced as connected, and Lost of those
	// that lost their connection; nil: nobody is. Both are unproven hints. They
	// must not block.
	Found, Lost func(raft.NodeID)
	// Logger, when not nil, is told how the connection fares.
	Logger *slog.Logger

	homeFirst time.Duration // instead of the constant, for tests
}

func (cfg *Config) complete() error {
	switch {
	case !cfg.Self.Valid() || cfg.Seal == nil || cfg.Cluster == "":
		return errors.New("the configuration lacks this device's ID, its keys, or the cluster's name")
	case len(cfg.Access.Brokers) == 0:
		return errors.New("no broker is given (mqtt.brokers)")
	case len(cfg.Access.Brokers) > MaxBrokers:
		return fmt.Errorf("%d brokers are given; %d at most (mqtt.brokers)", len(cfg.Access.Brokers), MaxBrokers)
	case len(cfg.Access.User) > maxUser:
		return fmt.Errorf("the user has more than %d bytes (mqtt.user)", maxUser)
	case cfg.Access.PasswordFile != "" && cfg.Access.User == "":
		return errors.New("there is a password but no user (mqtt.user)")
	case (cfg.Access.CertFile == "") != (cfg.Access.KeyFile == ""):
		return errors.New("a certificate needs its key, and a key its certificate (mqtt.cert_file, mqtt.key_file)")
	case cfg.KeepAlive < MinKeepAlive || cfg.KeepAlive > MaxKeepAlive || cfg.KeepAlive%time.Second != 0:
		return fmt.Errorf("the keep-alive is %v; use whole seconds from %v to %v (mqtt.keepalive)", cfg.KeepAlive, MinKeepAlive, MaxKeepAlive)
	case cfg.Expiry <= 0:
		return errors.New("messages must be allowed some age")
	}
	if cfg.MaxPacket == 0 {
		cfg.MaxPacket = DefaultPacket
	}
	if cfg.MaxPacket < MinPacket || cfg.MaxPacket > MaxPacket {
		return fmt.Errorf("packets of %d bytes; use %d to %d (mqtt.max_packet)", cfg.MaxPacket, MinPacket, MaxPacket)
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.New(slog.DiscardHandler)
	}
	return cfg.Access.Check()
}

// Comms sends and receives messages through a broker. All methods are safe for
// concurrent use.
type Comms struct {
	cfg      Config
	self     raft.NodeID
	topics   topics
	brokers  []broker
	received chan raft.Message
	queue    *queue
	parts    parts
	// packetLimit is Config.MaxPacket, or less where a broker turned out not to
	// take as much. It is run's.
	packetLimit int
	stats       *counters

	ctx    context.Context // ends with Close
	cancel context.CancelFunc
	wg     sync.WaitGroup

	mu             sync.Mutex
	closed         bool
	peers          map[raft.NodeID]*peer // at most maxPeers
	anyHeard       time.Time             // when any device was last heard
	nextPayload    uint32                // tells payloads apart that go in parts
	status         Status
	since          time.Time     // of status.Connected
	outageLines    int           // log lines since a connection lasted
	outageLine     time.Time     // the last of them
	lonelyPatience time.Duration // how long the next connection may be without others
}

// Start checks cfg and begins to connect. That no broker can be reached is no
// error: it is tried until Close.
func Start(cfg Config) (*Comms, error) {
	if err := cfg.complete(); err != nil {
		return nil, fmt.Errorf("start MQTT: %w", err)
	}
	c := &Comms{
		cfg: cfg, self: cfg.Self, topics: topicsOf(cfg.Cluster),
		stats:    newCounters(),
		received: make(chan raft.Message, maxReceived),
		queue:    newQueue(), packetLimit: cfg.MaxPacket,
		peers: map[raft.NodeID]*peer{},
		// A random start: parts from before and after a restart must not be taken
		// for those of one payload.
		nextPayload: rand.Uint32(),
		since:       time.Now(), lonelyPatience: lonelyFirst,
	}
	for _, text := range cfg.Access.Brokers {
		b, err := parseBroker(text)
		if err != nil {
			return nil, fmt.Errorf("start MQTT: %w", err)
		}
		c.brokers = append(c.brokers, b)
	}
	c.ctx, c.cancel = context.WithCancel(context.Background())
	c.wg.Go(c.run)
	return c, nil
}

// Received delivers messages that are proved to come from the device they name
// as their sender, and are for this device; a Join may be for anyone. Who does
// not take them in time loses the newest. It is never closed.
func (c *Comms) Received() <-chan raft.Message { return c.received }

// Stats returns the counts since Start.
func (c *Comms) Stats() Stats { return c.stats.Totals(time.Now()) }

// Close says goodbye to the broker, if that is connected, ends everything and
// waits for its goroutines. What waits to be sent is dropped. Further calls of
// Close do nothing, of Send neither.
func (c *Comms) Close() error {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.wg.Wait()
	return nil
}

// Status is how the connection fares.
type Status struct {
	Connected bool
	Broker    string        // the one connected to, or tried last
	For       time.Duration // for how long it has been so
	// Error is why there is no connection, or why the last one ended; for
	// people, "" when there was nothing.
	Error string
	// Refused tells what the broker does not let this device do, with the topic;
	// at most 8.
	Refused []string
	// MaxPacket is the most bytes of a packet that are sent, and KeepAlive the
	// keep-alive in force; 0 before the first connection.
	MaxPacket int
	KeepAlive time.Duration
}

// Status returns how the connection fares.
func (c *Comms) Status() Status {
	c.mu.Lock()
	defer c.mu.Unlock()
	s := c.status
	s.Refused = append([]string(nil), s.Refused...)
	s.For = time.Since(c.since)
	return s
}

// connected notes that there is a connection.
func (c *Comms) connected(s *session) {
	c.mu.Lock()
	c.status = Status{Connected: true, Broker: s.broker.String(), Error: c.status.Error, MaxPacket: s.maxPacket, KeepAlive: s.keepAlive}
	c.since, c.anyHeard = time.Now(), time.Now()
	c.mu.Unlock()
	if c.stats.MayLog(logConnected, time.Now()) {
		c.cfg.Logger.Info("connected to the MQTT broker", "broker", s.broker, "max_packet", s.maxPacket)
	}
}

// settled notes that a connection lasted, so that the end of it is news.
func (c *Comms) settled() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.outageLines = 0
}

// disconnected notes that there is no connection, and why.
func (c *Comms) disconnected(b broker, err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	was := c.status
	if was.Connected {
		c.since = time.Now()
		for _, p := range c.peers {
			p.present = false
		}
	}
	c.status.Connected, c.status.Broker, c.status.Error = false, b.String(), err.Error()
	changed := (was.Connected || was.Error != c.status.Error) && (c.outageLines < maxOutageLines || time.Since(c.outageLine) > outageLogEvery)
	if c.ctx.Err() == nil && changed {
		c.outageLines++
		c.outageLine = time.Now()
		c.cfg.Logger.Warn("no connection to the MQTT broker", "broker", b, "error", err)
	}
}

// refuse notes that the broker does not let this device do something.
func (c *Comms) refuse(what string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, known := range c.status.Refused {
		if known == what {
			return
		}
	}
	if len(c.status.Refused) < maxRefused {
		c.status.Refused = append(c.status.Refused, what)
		c.cfg.Logger.Error("the MQTT broker refuses something that is needed", "refused", what)
	}
}
