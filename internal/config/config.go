// Package config is everything that can be set about an agent: from defaults, the
// configuration file, the environment and flags, in that order, with one table
// (Settings) that knows each setting's name, meaning and limits.
package config

import (
	"errors"
	"time"

	"github.com/edgeraft/edgeraft/mqttcomms"
)

// Config is everything that can be set about an agent. It comes from
// Load, which leaves only values that Validate accepts. Every field has
// one row in the table settings, which is where its name, its meaning and its
// limits are.
type Config struct {
	Name       string   // the device's label, 1 to raft.MaxNameLen bytes
	Cluster    string   // which cluster to belong to, [a-z0-9-]{1,32}
	DataDir    string   // directory of the database
	Socket     string   // path of the Unix socket
	KeyFile    string   // path of the cluster key
	Transports []string // how members talk to each other: TransportUDP, TransportMQTT
	UDP        UDPConfig
	MQTT       MQTTConfig
	Peers      []string // host:port of devices to try besides those discovered
	Discovery  string   // discoveryMDNS or DiscoveryOff
	Join       string   // joinAuto or JoinManual
	// BootstrapExpect is how many blank devices found the cluster together, 2 to
	// raft.MaxExpect; 0: one founds it, with init.
	BootstrapExpect int
	MaxVoters       int // odd, 1 to 9
	// DeadAfter is the silence after which a learner takes a voter's place; 0:
	// none does.
	DeadAfter time.Duration
	Timing    TimingConfig
	Flash     FlashConfig
	Limits    LimitsConfig
	Metrics   MetricsConfig
	Log       LogConfig
}

// UDPConfig is what the UDP transport needs.
type UDPConfig struct {
	Listen     string   // address:port; an empty address means all, port 0 any free one
	Interfaces []string // network interfaces to discover on; empty means all fit ones
}

// TimingConfig holds the clock of Raft. All devices of a cluster should agree.
type TimingConfig struct {
	Heartbeat time.Duration // between two heartbeats of a leader
	Election  time.Duration // silence after which a follower asks for an election, at least 2 x Heartbeat
}

// FlashConfig is about the wear of the card.
type FlashConfig struct {
	// CommitWindow is how long entries wait for others before they are written
	// together: a duration, or windowAdaptive.
	CommitWindow string
}

// Window is the commit window: how long, and whether it is to adapt.
func (c FlashConfig) Window() (d time.Duration, adaptive bool, err error) {
	if c.CommitWindow == windowAdaptive {
		return 0, true, nil
	}
	d, err = time.ParseDuration(c.CommitWindow)
	return d, false, err
}

// LimitsConfig bounds what the agent keeps and accepts, in bytes and events.
type LimitsConfig struct {
	CommandBytes       int // of one command or value
	LogBytes           int // of the log in memory
	WatchHistoryBytes  int // of past events kept for watchers that resume
	WatchHistoryEvents int // number of past events kept for watchers that resume
}

// MetricsConfig is about scrapers.
type MetricsConfig struct {
	Listen string // loopback address:port; "" for none
}

// LogConfig is about what the agent prints while it runs.
type LogConfig struct {
	Level string // debug, info, warn or error
}

// The values of discovery and join.
const (
	discoveryMDNS = "mdns" // announce and browse with multicast DNS
	DiscoveryOff  = "off"  // use the configured peers only
	joinAuto      = "auto" // join a cluster of this key and name as soon as one is found
	JoinManual    = "manual"
)

// windowAdaptive lets what comes, and how long a write takes, decide.
const windowAdaptive = "adaptive"

// The transports.
const (
	TransportUDP  = "udp"
	TransportMQTT = "mqtt"
)

// Default is the configuration of a device on which nothing was set.
// Fields for which the host offers no default stay empty, which Validate
// reports unless something sets them.
func Default(h Host) Config {
	c := Config{
		Name:       defaultName(h.Name),
		Cluster:    "default",
		Transports: []string{TransportUDP},
		UDP:        UDPConfig{Listen: ":7521"},
		MQTT:       MQTTConfig{MaxPacket: mqttcomms.DefaultPacket},
		Discovery:  discoveryMDNS,
		Join:       joinAuto,
		MaxVoters:  5,
		DeadAfter:  10 * time.Minute,
		Timing:     TimingConfig{Heartbeat: 500 * time.Millisecond, Election: 1200 * time.Millisecond},
		Flash:      FlashConfig{CommitWindow: "0s"},
		Limits: LimitsConfig{
			CommandBytes:       64 << 10,
			LogBytes:           64 << 20,
			WatchHistoryBytes:  4 << 20,
			WatchHistoryEvents: 4096,
		},
		Log: LogConfig{Level: "info"},
	}
	c.DataDir, c.Socket, c.KeyFile = h.dataDir(), h.socket(), h.keyFile()
	return c
}

// Validate reports every value that is out of its limits, in the order of the
// table, each with what to do about it.
func (c *Config) Validate() error {
	return c.validate(func(string) string { return "" })
}

// validate is Validate, with origin naming where the setting of a key came
// from ("" when that is not known).
func (c *Config) validate(origin func(key string) string) error {
	var errs []error
	for _, s := range Settings {
		if err := s.check(c); err != nil {
			errs = append(errs, settingError{key: s.Key, origin: origin(s.Key), err: err})
		}
	}
	return errors.Join(errs...)
}

// settingError is one setting that can't be used.
type settingError struct {
	key    string // as in the configuration file
	origin string // file and line, variable or flag; "" when it is a default
	err    error
}

func (e settingError) Error() string {
	if e.origin == "" {
		return e.key + ": " + e.err.Error()
	}
	return e.origin + ": " + e.key + ": " + e.err.Error()
}

func (e settingError) Unwrap() error { return e.err }
