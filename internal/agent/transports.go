package agent

import (
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/paths"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/mqttcomms"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/udpcomms"
)

// transports is how this device reaches others: what is configured of UDP and
// MQTT, as one transport that takes the best path to each.
type transports struct {
	udp  *udpcomms.Comms  // nil where it is not used
	mqtt *mqttcomms.Comms // likewise
	*paths.Comms
	sealed []sealedPath
	// hints are what the broker says of others. More than fit are forgotten.
	hints chan hint
}

// sealedPath is the keys of a transport, and how what they sealed is sent.
type sealedPath struct {
	sealer *seal.Sealer
	send   func(to raft.NodeID, packet []byte)
}

// hint is that a device was found, or lost its connection. It is unproven.
type hint struct {
	id    raft.NodeID
	found bool
}

// maxHints is how many hints wait to be looked at.
const maxHints = 64

// openTransports starts what is configured for a device.
func openTransports(cfg config.Config, ring seal.Ring, self raft.NodeID, boot uint64, logger *slog.Logger) (t *transports, err error) {
	t = &transports{hints: make(chan hint, maxHints)}
	defer func() {
		if err != nil {
			err = errors.Join(err, t.Close())
		}
	}()
	combined := paths.Config{
		// An answer that is late by half of what lies between a heartbeat and an
		// election leaves time for another path.
		Patience: (cfg.Timing.Election - cfg.Timing.Heartbeat) / 2,
		Changed: func(id raft.NodeID, path string) {
			logger.Debug("another path is used", "device", id, "path", path)
		},
	}
	for _, name := range cfg.Transports {
		// Each has keys of its own: what was recorded of one is no packet of
		// another.
		sealer, err := seal.New(ring.First(), cfg.Cluster, self, boot)
		if err == nil {
			err = sealer.SetRing(ring)
		}
		if err != nil {
			return t, err
		}
		var send func(raft.NodeID, []byte)
		var path paths.Path
		switch name {
		case config.TransportUDP:
			t.udp, err = udpcomms.Listen(udpcomms.Config{Listen: cfg.UDP.Listen, Self: self, Seal: sealer, Seeds: cfg.Peers, Logger: logger})
			path, send = t.udp, t.udp.SendSealed
		case config.TransportMQTT:
			t.mqtt, err = t.startMQTT(cfg, self, sealer, logger)
			path, send = t.mqtt, t.mqtt.SendSealed
		}
		if err != nil {
			return t, err
		}
		t.sealed = append(t.sealed, sealedPath{sealer, send})
		combined.Paths = append(combined.Paths, paths.Named{Name: name, Path: path})
	}
	t.Comms, err = paths.New(combined)
	return t, err
}

func (t *transports) startMQTT(cfg config.Config, self raft.NodeID, sealer *seal.Sealer, logger *slog.Logger) (*mqttcomms.Comms, error) {
	tell := func(found bool) func(raft.NodeID) {
		return func(id raft.NodeID) {
			select {
			case t.hints <- hint{id, found}:
			default:
			}
		}
	}
	return mqttcomms.Start(mqttcomms.Config{
		Cluster: cfg.Cluster, Self: self, Seal: sealer,
		Access:    cfg.Access(),
		KeepAlive: cfg.KeepAlive(), Expiry: cfg.Timing.Election, MaxPacket: cfg.MQTT.MaxPacket,
		Found: tell(true), Lost: tell(false), Logger: logger,
	})
}

// Close ends all transports.
func (t *transports) Close() error {
	if t.Comms != nil {
		t.Comms.Close()
	}
	var errs []error
	if t.udp != nil {
		errs = append(errs, t.udp.Close())
	}
	if t.mqtt != nil {
		errs = append(errs, t.mqtt.Close())
	}
	return errors.Join(errs...)
}

// contact is how a device is reached.
type contact struct {
	heard     bool
	lastHeard time.Duration
	address   string
	transport string // the path in use, or the one by which it was heard last
	roundTrip time.Duration
	paths     []api.Path
}

// contacts tells of every device that is known.
func (t *transports) contacts() map[raft.NodeID]contact {
	addresses := map[raft.NodeID]string{}
	ids := map[raft.NodeID]bool{}
	if t.udp != nil {
		for _, p := range t.udp.Peers() {
			ids[p.ID] = true
			if p.Heard {
				addresses[p.ID] = p.Addr.String()
			}
		}
	}
	broker := ""
	if t.mqtt != nil {
		broker = t.mqtt.Status().Broker
		for _, p := range t.mqtt.Peers() {
			ids[p.ID] = true
		}
	}
	out := make(map[raft.NodeID]contact, len(ids))
	for id := range ids {
		c := t.contact(id)
		switch c.transport {
		case config.TransportUDP:
			c.address = addresses[id]
		case config.TransportMQTT:
			c.address = broker
		}
		out[id] = c
	}
	return out
}

func (t *transports) contact(id raft.NodeID) (c contact) {
	now := time.Now()
	var newest time.Time
	used := false
	for _, l := range t.Links(id) {
		p := api.Path{Transport: l.Path, Used: l.Used, Broken: l.Broken, RoundTripUS: l.RoundTrip.Microseconds()}
		if !l.Heard.IsZero() {
			ms := now.Sub(l.Heard).Milliseconds()
			p.LastContactMS = &ms
		}
		c.paths = append(c.paths, p)
		if l.Used || !used && l.Heard.After(newest) {
			c.transport, c.roundTrip = l.Path, l.RoundTrip
		}
		used = used || l.Used
		if l.Heard.After(newest) {
			newest = l.Heard
		}
	}
	if c.heard = !newest.IsZero(); c.heard {
		c.lastHeard = now.Sub(newest)
	}
	return c
}

// stranger is why packets of somebody cannot be read, and from where, where that
// was lately; nil else.
func (t *transports) stranger() (from string, reason error) {
	if t.udp != nil {
		if s := t.udp.Stats().LastStranger; s.Reason != nil && s.Ago < strangerFor {
			return s.Addr.String(), s.Reason
		}
	}
	if t.mqtt != nil {
		if s := t.mqtt.Stats().LastStranger; s.Reason != nil && s.Ago < strangerFor {
			return "the MQTT broker", s.Reason
		}
	}
	return "", nil
}

// traffic is what all transports did.
func (t *transports) traffic() api.Traffic {
	out := api.Traffic{Dropped: map[string]uint64{}}
	add := func(sentPackets, sentBytes, receivedPackets, receivedBytes uint64, dropped map[string]uint64) {
		out.SentPackets += sentPackets
		out.SentBytes += sentBytes
		out.ReceivedPackets += receivedPackets
		out.ReceivedBytes += receivedBytes
		maps.Copy(out.Dropped, dropped) // no reason is in two of them
	}
	if t.udp != nil {
		s := t.udp.Stats()
		add(s.SentPackets, s.SentBytes, s.ReceivedPackets, s.ReceivedBytes, s.Dropped)
	}
	if t.mqtt != nil {
		s := t.mqtt.Stats()
		add(s.SentPackets, s.SentBytes, s.ReceivedPackets, s.ReceivedBytes, s.Dropped)
	}
	return out
}

// brokerStatus is how the connection to the broker fares, nil without MQTT.
func (t *transports) brokerStatus() *api.MQTT {
	if t.mqtt == nil {
		return nil
	}
	s := t.mqtt.Status()
	return &api.MQTT{
		Connected: s.Connected, Broker: s.Broker, ForMS: s.For.Milliseconds(), Error: s.Error, Refused: s.Refused,
		MaxPacket: s.MaxPacket, KeepAliveMS: s.KeepAlive.Milliseconds(),
	}
}

// brokerWarnings says what is wrong with the broker.
func brokerWarnings(m *api.MQTT, self raft.NodeID) (ws []api.Warning) {
	if m == nil {
		return nil
	}
	if !m.Connected {
		why := m.Error
		if why == "" {
			why = "not yet"
		}
		ws = append(ws, api.Warning{Code: "mqtt_disconnected", Next: "sudo edgeraft doctor   (it tries the broker)", Message: fmt.Sprintf("No connection to the MQTT broker %s for %v: %s.",
			m.Broker, (time.Duration(m.ForMS) * time.Millisecond).Round(time.Second), why)})
	}
	for _, what := range slices.Sorted(slices.Values(m.Refused)) {
		ws = append(ws, api.Warning{Code: "mqtt_refused", Next: "sudo nano /etc/mosquitto/acl   (on the broker, or wherever its access control is; docs/mqtt.md has the lines)", Message: fmt.Sprintf("The MQTT broker does not allow %s. Its access control must let the client %s use the topics in docs/mqtt.md.", what, self)})
	}
	return ws
}
