package config

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// Limits of what a configuration may hold.
const (
	maxClusterName = 32  // bytes; it is part of an mDNS name
	maxSocketPath  = 107 // bytes: sun_path of unix(7) less its final NUL
	maxPeers       = raft.MaxMembers
	maxInterfaces  = 16
	maxIfName      = 15 // bytes: IFNAMSIZ less its final NUL
	maxHostName    = 253
	maxVoters      = 9

	minHeartbeat = 20 * time.Millisecond
	maxHeartbeat = time.Minute
	maxElection  = 10 * time.Minute

	// minDeaths is how many election timeouts a voter must be silent at least to
	// count as dead: a restart must not cost it its vote.
	minDeaths    = 4
	maxDeadAfter = 365 * 24 * time.Hour

	MaxCommandBytes  = 1 << 20 // the contract's upper limit
	minLogBytes      = 1 << 20
	maxLogBytes      = 1 << 30
	maxHistoryBytes  = 1 << 28
	maxHistoryEvents = 1 << 20
)

func checkName(c *Config) error {
	if n := len(c.Name); n == 0 || n > raft.MaxNameLen {
		return fmt.Errorf("has %d bytes; give it 1 to %d", n, raft.MaxNameLen)
	}
	if !utf8.ValidString(c.Name) || strings.ContainsFunc(c.Name, func(r rune) bool { return !unicode.IsPrint(r) }) {
		return fmt.Errorf("%q has characters that can't be shown; use letters, digits and dashes", c.Name)
	}
	return nil
}

func checkCluster(c *Config) error {
	bad := func(r rune) bool { return (r < 'a' || r > 'z') && (r < '0' || r > '9') && r != '-' }
	if n := len(c.Cluster); n == 0 || n > maxClusterName || strings.ContainsFunc(c.Cluster, bad) {
		return fmt.Errorf("%q does not fit; use 1 to %d of a-z, 0-9 and -", c.Cluster, maxClusterName)
	}
	return nil
}

func checkDataDir(c *Config) error { return checkPath(c.DataDir) }
func checkKeyFile(c *Config) error { return checkPath(c.KeyFile) }

func checkSocket(c *Config) error {
	if n := len(c.Socket); n > maxSocketPath {
		return fmt.Errorf("the path has %d bytes, but a Unix socket's may have %d; choose a shorter one", n, maxSocketPath)
	}
	return checkPath(c.Socket)
}

// checkPath refuses what can't be a path. It does not look at the disk: that
// is for whoever opens it.
func checkPath(path string) error {
	switch {
	case path == "":
		return fmt.Errorf("is empty, and there is no home directory to derive it from; set it, or HOME")
	case strings.ContainsRune(path, 0):
		return fmt.Errorf("%q holds a NUL, which no path can", path)
	}
	return nil
}

func checkTransports(c *Config) error {
	for i, t := range c.Transports {
		switch {
		case t != TransportUDP && t != TransportMQTT:
			return fmt.Errorf(`%q is not a transport; use "udp", "mqtt" or both`, t)
		case slices.Contains(c.Transports[:i], t):
			return fmt.Errorf(`names %q twice`, t)
		case t == TransportMQTT && len(c.MQTT.Brokers) == 0:
			return fmt.Errorf(`"mqtt" needs a broker; set mqtt.brokers`)
		}
	}
	if len(c.Transports) == 0 {
		return fmt.Errorf(`names none; use "udp", "mqtt" or both`)
	}
	return nil
}

func checkListen(c *Config) error {
	host, _, err := splitPort(c.UDP.Listen, 0)
	if err != nil {
		return err
	}
	if host == "" {
		return nil
	}
	if _, err := netip.ParseAddr(host); err != nil {
		return fmt.Errorf(`%q is not an IP address; use one of this device, or none as in ":7521"`, host)
	}
	return nil
}

func checkMetricsListen(c *Config) error {
	if c.Metrics.Listen == "" {
		return nil
	}
	host, _, err := splitPort(c.Metrics.Listen, 0)
	if err != nil {
		return err
	}
	if ip, err := netip.ParseAddr(host); host != "localhost" && (err != nil || !ip.IsLoopback()) {
		return fmt.Errorf(`%q is not a loopback address, and whoever can connect is answered; use one as in "127.0.0.1:7522"`, host)
	}
	return nil
}

func checkInterfaces(c *Config) error {
	if n := len(c.UDP.Interfaces); n > maxInterfaces {
		return fmt.Errorf("names %d interfaces; %d at most", n, maxInterfaces)
	}
	bad := func(r rune) bool { return r <= ' ' || r > '~' || r == '/' }
	for _, name := range c.UDP.Interfaces {
		if name == "" || len(name) > maxIfName || strings.ContainsFunc(name, bad) {
			return fmt.Errorf("%q can't be an interface; `ip link` shows their names", name)
		}
	}
	return nil
}

func checkPeers(c *Config) error {
	if n := len(c.Peers); n > maxPeers {
		return fmt.Errorf("names %d devices; %d at most", n, maxPeers)
	}
	bad := func(r rune) bool { return r <= ' ' || r > '~' }
	for _, peer := range c.Peers {
		host, _, err := splitPort(peer, 1)
		if err != nil {
			return err
		}
		if host == "" || len(host) > maxHostName || strings.ContainsFunc(host, bad) {
			return fmt.Errorf(`%q names no host; use host:port, as in "10.0.0.7:7521"`, peer)
		}
	}
	return nil
}

// splitPort splits host:port and wants a number of at least minPort as port.
func splitPort(address string, minPort int) (string, int, error) {
	host, text, err := net.SplitHostPort(address)
	if err != nil {
		return "", 0, fmt.Errorf(`%q is not host:port; use the form "10.0.0.7:7521" or "[fe80::1]:7521"`, address)
	}
	port, err := strconv.Atoi(text)
	if err != nil || port < minPort || port > 65535 {
		return "", 0, fmt.Errorf("%q has port %q; use %d to 65535", address, text, minPort)
	}
	return host, port, nil
}

func checkBootstrapExpect(c *Config) error {
	if n := c.BootstrapExpect; n != 0 && (n < 2 || n > raft.MaxExpect) {
		return fmt.Errorf("is %d; use 2 to %d, or 0 to found a cluster with edgeraft init", n, raft.MaxExpect)
	}
	return nil
}

func checkDeadAfter(c *Config) error {
	if d, least := c.DeadAfter, minDeaths*c.Timing.Election; d != 0 && (d < least || d > maxDeadAfter) {
		return fmt.Errorf("is %v; use %v (%d times timing.election) to %v, or 0s for never", d, least, minDeaths, maxDeadAfter)
	}
	return nil
}

func checkMaxVoters(c *Config) error {
	if n := c.MaxVoters; n < 1 || n > maxVoters || n%2 == 0 {
		return fmt.Errorf("is %d; use an odd number from 1 to %d (an even number survives no more failures)", n, maxVoters)
	}
	return nil
}

func checkHeartbeat(c *Config) error {
	if d := c.Timing.Heartbeat; d < minHeartbeat || d > maxHeartbeat {
		return fmt.Errorf("is %v; use %v to %v", d, minHeartbeat, maxHeartbeat)
	}
	return nil
}

func checkElection(c *Config) error {
	least := 2 * c.Timing.Heartbeat
	if d := c.Timing.Election; d < least {
		return fmt.Errorf("is %v, so one lost heartbeat could start an election; use at least %v, twice timing.heartbeat", d, least)
	} else if d > maxElection {
		return fmt.Errorf("is %v; use %v at most", d, maxElection)
	}
	return nil
}

func checkCommitWindow(c *Config) error {
	d, _, err := c.Flash.Window()
	if err != nil || d < 0 || d > server.MaxCommitWindow {
		return fmt.Errorf("%q is not %s, nor a time such as 20ms up to %v", c.Flash.CommitWindow, windowAdaptive, server.MaxCommitWindow)
	}
	return nil
}

func checkCommandBytes(c *Config) error { return inRange(c.Limits.CommandBytes, 1, MaxCommandBytes) }

func checkLogBytes(c *Config) error {
	if err := inRange(c.Limits.LogBytes, minLogBytes, maxLogBytes); err != nil {
		return err
	}
	if least := 4 * c.Limits.CommandBytes; c.Limits.LogBytes < least {
		return fmt.Errorf("is %d, too little for commands of limits.command_bytes; use at least %d", c.Limits.LogBytes, least)
	}
	return nil
}

func checkHistoryBytes(c *Config) error {
	return inRange(c.Limits.WatchHistoryBytes, c.Limits.CommandBytes, maxHistoryBytes)
}

func checkHistoryEvents(c *Config) error {
	return inRange(c.Limits.WatchHistoryEvents, 1, maxHistoryEvents)
}

func inRange(n, least, most int) error {
	if n < least || n > most {
		return fmt.Errorf("is %d; use %d to %d", n, least, most)
	}
	return nil
}

// oneOf makes the check of a setting that has a few possible values.
func oneOf(value func(*Config) string, allowed ...string) func(*Config) error {
	return func(c *Config) error {
		if v := value(c); !slices.Contains(allowed, v) {
			return fmt.Errorf("%q is not possible; use one of %s", v, strings.Join(allowed, ", "))
		}
		return nil
	}
}
