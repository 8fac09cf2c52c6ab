package config

import "strings"

// Setting is one thing that can be configured. The table settings drives the
// configuration file, the environment, the flags, the help and the checks, so
// that a setting is added in exactly one place (and its default in
// Default).
type Setting struct {
	Key   string // as in the configuration file: "udp.listen"
	Help  string // one line
	Field func(*Config) any
	check func(*Config) error
}

// Settings is every setting of this version. The field functions return
// *string, *int, *time.Duration or *[]string.
var Settings = []Setting{
	{"name", "the device's label", func(c *Config) any { return &c.Name }, checkName},
	{"cluster", "the cluster to belong to", func(c *Config) any { return &c.Cluster }, checkCluster},
	{"data_dir", "directory of the database", func(c *Config) any { return &c.DataDir }, checkDataDir},
	{"socket", "path of the agent's Unix socket", func(c *Config) any { return &c.Socket }, checkSocket},
	{"key_file", "file that holds the cluster key", func(c *Config) any { return &c.KeyFile }, checkKeyFile},
	{"transports", "how members talk to each other: udp, mqtt, or both", func(c *Config) any { return &c.Transports }, checkTransports},
	{"udp.listen", "address:port for UDP", func(c *Config) any { return &c.UDP.Listen }, checkListen},
	{"udp.interfaces", "network interfaces to discover on (none: all that fit)", func(c *Config) any { return &c.UDP.Interfaces }, checkInterfaces},
	{"mqtt.brokers", "URLs of MQTT 5 brokers, tried in this order: mqtt://HOST:1883, mqtts://HOST:8883", func(c *Config) any { return &c.MQTT.Brokers }, checkBrokers},
	{"mqtt.user", "user at the broker", func(c *Config) any { return &c.MQTT.User }, checkMQTTUser},
	{"mqtt.password_file", "file that holds the password at the broker, mode 0600", func(c *Config) any { return &c.MQTT.PasswordFile }, checkPasswordFile},
	{"mqtt.ca_file", "certificates (PEM) that vouch for the broker (none: the system's)", func(c *Config) any { return &c.MQTT.CAFile }, checkCAFile},
	{"mqtt.cert_file", "this device's certificate (PEM) for the broker", func(c *Config) any { return &c.MQTT.CertFile }, checkCertFile},
	{"mqtt.key_file", "the key (PEM) of mqtt.cert_file, mode 0600", func(c *Config) any { return &c.MQTT.KeyFile }, checkCertKeyFile},
	{"mqtt.keepalive", "silence after which broker and device ask for each other (0s: by transports)", func(c *Config) any { return &c.MQTT.KeepAlive }, checkKeepAlive},
	{"mqtt.max_packet", "most bytes of an MQTT packet", func(c *Config) any { return &c.MQTT.MaxPacket }, checkMaxPacket},
	{"peers", "host:port of devices to try besides those discovered", func(c *Config) any { return &c.Peers }, checkPeers},
	{"discovery", "mdns or off", func(c *Config) any { return &c.Discovery }, oneOf(func(c *Config) string { return c.Discovery }, discoveryMDNS, DiscoveryOff)},
	{"join", "auto or manual", func(c *Config) any { return &c.Join }, oneOf(func(c *Config) string { return c.Join }, joinAuto, JoinManual)},
	{"bootstrap_expect", "how many blank devices found the cluster together (0: one founds it, with init)", func(c *Config) any { return &c.BootstrapExpect }, checkBootstrapExpect},
	{"max_voters", "most voters of the cluster, odd", func(c *Config) any { return &c.MaxVoters }, checkMaxVoters},
	{"dead_after", "silence after which a learner takes a voter's place (0s: never)", func(c *Config) any { return &c.DeadAfter }, checkDeadAfter},
	{"timing.heartbeat", "time between a leader's heartbeats", func(c *Config) any { return &c.Timing.Heartbeat }, checkHeartbeat},
	{"timing.election", "silence after which a follower wants an election", func(c *Config) any { return &c.Timing.Election }, checkElection},
	{"flash.commit_window", "how long entries wait to be written together, or adaptive", func(c *Config) any { return &c.Flash.CommitWindow }, checkCommitWindow},
	{"limits.command_bytes", "largest command or value", func(c *Config) any { return &c.Limits.CommandBytes }, checkCommandBytes},
	{"limits.log_bytes", "most bytes of log in memory", func(c *Config) any { return &c.Limits.LogBytes }, checkLogBytes},
	{"limits.watch_history_bytes", "most bytes of past events kept for watchers", func(c *Config) any { return &c.Limits.WatchHistoryBytes }, checkHistoryBytes},
	{"limits.watch_history_events", "most past events kept for watchers", func(c *Config) any { return &c.Limits.WatchHistoryEvents }, checkHistoryEvents},
	{"metrics.listen", "loopback address:port that also serves /metrics, /healthz and /readyz (none: only the socket does)", func(c *Config) any { return &c.Metrics.Listen }, checkMetricsListen},
	{"log.level", "debug, info, warn or error", func(c *Config) any { return &c.Log.Level }, oneOf(func(c *Config) string { return c.Log.Level }, "debug", "info", "warn", "error")},
}

// FindSetting returns the setting of a key.
func FindSetting(key string) (Setting, bool) {
	for _, s := range Settings {
		if s.Key == key {
			return s, true
		}
	}
	return Setting{}, false
}

// EnvName is the environment variable of a setting: EDGERAFT_UDP_LISTEN.
func (s Setting) EnvName() string { return envPrefix + strings.ToUpper(keyWords.Replace(s.Key)) }

// FlagName is the flag of a setting, without dashes: udp-listen.
func (s Setting) FlagName() string {
	return strings.ReplaceAll(keyWords.Replace(s.Key), "_", "-")
}

// keyWords turns the key of a file into words joined by underscores.
var keyWords = strings.NewReplacer(".", "_")

// Nearest returns the candidate that differs least from the name, or "" when
// all differ by more than a third of it: too far to be a slip of the finger.
func Nearest(name string, candidates []string) string {
	best, bestDistance := "", len(name)/3+1
	for _, c := range candidates {
		if d := editDistance(name, c); d < bestDistance {
			best, bestDistance = c, d
		}
	}
	return best
}

// maxCompared bounds the work of editDistance: no known name is longer.
const maxCompared = 64

// editDistance is the Levenshtein distance in bytes; names longer than
// maxCompared differ entirely.
func editDistance(a, b string) int {
	if len(a) > maxCompared || len(b) > maxCompared {
		return max(len(a), len(b))
	}
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			next := min(row[j]+1, row[j+1]+1, diagonal+cost)
			diagonal, row[j+1] = row[j+1], next
		}
	}
	return row[len(b)]
}
