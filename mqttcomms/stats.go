package mqttcomms

import (
	"errors"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/traffic"
)

// drop is a reason for which something was dropped.
type drop int

const (
	dropTopic drop = iota
	dropRetained
	dropSealed
	dropReplay
	dropOldBoot
	dropUnproved
	dropTwin
	dropControl
	dropNotForUs
	dropMalformed
	dropForged
	dropReceiveFull
	dropIncomplete
	dropAssemblyFull
	dropLateEcho
	dropTooManyPeers
	dropQueueFull
	dropStale
	dropUnsendable
	dropTooLong
	dropReasons // how many there are
	noDrop      = dropReasons
)

// dropNames are the keys of Stats.Dropped.
var dropNames = [dropReasons]string{
	dropTopic:        "mqtt_topic",         // received: on a topic that was not subscribed to
	dropRetained:     "mqtt_retained",      // received: retained, which no message of ours is
	dropSealed:       "mqtt_sealed",        // received: not ours, of another key or name, or damaged
	dropReplay:       "mqtt_replay",        // received: repeated
	dropOldBoot:      "mqtt_old_boot",      // received: from before the sender's restart
	dropUnproved:     "mqtt_unproved",      // received: kept until its sender proves that it is no recording
	dropTwin:         "mqtt_twin",          // received: of another device with this one's ID
	dropControl:      "mqtt_control",       // received: authentic, between Sealers, not understood
	dropNotForUs:     "mqtt_not_for_us",    // received: for another device
	dropMalformed:    "mqtt_malformed",     // received: authentic, but breaks the format
	dropForged:       "mqtt_forged_sender", // received: in the name of another device
	dropReceiveFull:  "mqtt_receive_full",  // received: nobody took it from Received in time
	dropIncomplete:   "mqtt_incomplete",    // received: a large message of which a part is missing
	dropAssemblyFull: "mqtt_assembly_full", // received: too many large messages at once
	dropLateEcho:     "mqtt_late_echo",     // received: an answer to an earlier probe
	dropTooManyPeers: "mqtt_too_many_peers",
	dropQueueFull:    "mqtt_queue_full", // to send: an older message gave way to a newer one
	dropStale:        "mqtt_stale",      // to send: it waited too long for the broker
	dropUnsendable:   "mqtt_unsendable", // to send: the message breaks a rule of the caller's
	dropTooLong:      "mqtt_too_long",   // to send: the broker's limit leaves no room for it
}

// sealDrop is the reason for an error of seal.Open, and whether it tells of a
// stranger.
func sealDrop(err error) (reason drop, stranger bool) {
	switch {
	case errors.Is(err, seal.ErrReplay):
		return dropReplay, false
	case errors.Is(err, seal.ErrNotForUs):
		return dropNotForUs, false
	case errors.Is(err, seal.ErrOldBoot):
		return dropOldBoot, true
	case errors.Is(err, seal.ErrUnproved):
		return dropUnproved, false
	case errors.Is(err, seal.ErrTwin):
		return dropTwin, true
	case errors.Is(err, seal.ErrControl):
		return dropControl, false
	}
	return dropSealed, true
}

// Stats is what was counted since Start. Packets and bytes are MQTT's, without TLS
// and TCP; where a stranger is, a broker does not tell.
type Stats = traffic.Totals

type counters = traffic.Counters[drop]

func newCounters() *counters { return traffic.NewCounters[drop](dropNames[:], logTopics) }

// The topics on which there is not more than a log line now and then.
const (
	logStranger = iota
	logConnected
	logUnsendable
	logTopics
)
