package config

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/mqttcomms"
)

// MQTTConfig is what the MQTT transport needs. Nothing in it is secret but what
// the files hold.
type MQTTConfig struct {
	Brokers      []string // URLs, tried in this order
	User         string
	PasswordFile string        // "" for no password
	CAFile       string        // "" for the system's
	CertFile     string        // "" for none
	KeyFile      string        // of CertFile
	KeepAlive    time.Duration // 0: by transports
	MaxPacket    int           // bytes
}

// Timing where messages go through a broker, unless it is configured. It may take
// a device one and a half keep-alives to notice that its connection is dead, and
// a moment to make another; that should cost no leader.
const (
	mqttHeartbeat = time.Second
	mqttElection  = 3 * time.Second
	// The keep-alive where MQTT is the only transport, so that the devices' own
	// messages keep the connection alive and proven, and where it is a second one,
	// on which hardly anything else is sent.
	keepAliveAlone  = 2 * time.Second
	keepAliveSecond = 20 * time.Second
)

// Uses reports whether a transport is among those configured.
func (c *Config) Uses(transport string) bool { return slices.Contains(c.Transports, transport) }

// settle sets what was not set and depends on other settings.
func (c *Config) settle(origins map[string]string) {
	if !c.Uses(TransportMQTT) {
		return
	}
	if origins["timing.heartbeat"] == "" && origins["timing.election"] == "" {
		c.Timing.Heartbeat, c.Timing.Election = mqttHeartbeat, mqttElection
	}
}

// Access is how to get at the brokers.
func (c *Config) Access() mqttcomms.Access {
	return mqttcomms.Access{
		Brokers: c.MQTT.Brokers, User: c.MQTT.User, PasswordFile: c.MQTT.PasswordFile,
		CAFile: c.MQTT.CAFile, CertFile: c.MQTT.CertFile, KeyFile: c.MQTT.KeyFile,
	}
}

// KeepAlive is the keep-alive to ask the broker for.
func (c *Config) KeepAlive() time.Duration {
	switch {
	case c.MQTT.KeepAlive != 0:
		return c.MQTT.KeepAlive
	case c.Uses(TransportUDP):
		return keepAliveSecond
	}
	return keepAliveAlone
}

func checkBrokers(c *Config) error {
	if n := len(c.MQTT.Brokers); n > mqttcomms.MaxBrokers {
		return fmt.Errorf("names %d brokers; %d at most", n, mqttcomms.MaxBrokers)
	}
	var errs []error
	for _, b := range c.MQTT.Brokers {
		errs = append(errs, mqttcomms.ParseBroker(b))
	}
	return errors.Join(errs...)
}

func checkMQTTUser(c *Config) error {
	if c.MQTT.User == "" && c.MQTT.PasswordFile != "" {
		return errors.New("is empty, but there is a password (mqtt.password_file); set it")
	}
	return nil
}

func checkPasswordFile(c *Config) error { return checkOptionalPath(c.MQTT.PasswordFile) }
func checkCAFile(c *Config) error       { return checkOptionalPath(c.MQTT.CAFile) }

func checkCertFile(c *Config) error {
	if c.MQTT.CertFile == "" && c.MQTT.KeyFile != "" {
		return errors.New("is empty, but there is a key for it (mqtt.key_file); set both or none")
	}
	return checkOptionalPath(c.MQTT.CertFile)
}

func checkCertKeyFile(c *Config) error {
	if c.MQTT.KeyFile == "" && c.MQTT.CertFile != "" {
		return errors.New("is empty, but there is a certificate that needs it (mqtt.cert_file); set both or none")
	}
	return checkOptionalPath(c.MQTT.KeyFile)
}

func checkOptionalPath(path string) error {
	if path == "" {
		return nil
	}
	return checkPath(path)
}

func checkKeepAlive(c *Config) error {
	d := c.MQTT.KeepAlive
	if d != 0 && (d < mqttcomms.MinKeepAlive || d > mqttcomms.MaxKeepAlive || d%time.Second != 0) {
		return fmt.Errorf("is %v; use whole seconds from %v to %v, or 0s to have it chosen", d, mqttcomms.MinKeepAlive, mqttcomms.MaxKeepAlive)
	}
	return nil
}

func checkMaxPacket(c *Config) error {
	return inRange(c.MQTT.MaxPacket, mqttcomms.MinPacket, mqttcomms.MaxPacket)
}
