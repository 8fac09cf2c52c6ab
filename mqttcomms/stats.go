package mqttcomms

import (
	"errors"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
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

// Stats counts since Start. Packets and bytes are MQTT's, without TLS and TCP.
type Stats struct {
	SentPackets, SentBytes         uint64
	ReceivedPackets, ReceivedBytes uint64
	// Dropped counts by reason what was not sent, not taken, or not handed on.
	// Only reasons that occurred are in it.
	Dropped map[string]uint64
	// Stranger is why the last packet that could not be opened could not, an error
	// of package seal, nil when there was none; StrangerAgo is how long ago that was.
	Stranger    error
	StrangerAgo time.Duration
}

// counters is what Stats reports. It is safe for concurrent use.
type counters struct {
	sentPackets, sentBytes         atomic.Uint64
	receivedPackets, receivedBytes atomic.Uint64
	dropped                        [dropReasons]atomic.Uint64

	mu         sync.Mutex
	stranger   error
	strangerAt time.Time
	logAfter   [logTopics]time.Time
}

// logTopic is a subject on which there is at most one log line per logEvery.
type logTopic int

const (
	logStranger logTopic = iota
	logConnected
	logUnsendable
	logTopics
)

func (c *counters) drop(reason drop) {
	if reason < dropReasons {
		c.dropped[reason].Add(1)
	}
}

func (c *counters) met(reason error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stranger, c.strangerAt = reason, now
}

// mayLog reports whether it is time for another line on the topic.
func (c *counters) mayLog(topic logTopic, now time.Time) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if now.Before(c.logAfter[topic]) {
		return false
	}
	c.logAfter[topic] = now.Add(logEvery)
	return true
}

// snapshot returns the counts. Each is exact; together they may be of slightly
// different instants.
func (c *counters) snapshot(now time.Time) Stats {
	s := Stats{
		SentPackets: c.sentPackets.Load(), SentBytes: c.sentBytes.Load(),
		ReceivedPackets: c.receivedPackets.Load(), ReceivedBytes: c.receivedBytes.Load(),
		Dropped: map[string]uint64{},
	}
	for reason := range dropReasons {
		if n := c.dropped[reason].Load(); n > 0 {
			s.Dropped[dropNames[reason]] = n
		}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if s.Stranger = c.stranger; s.Stranger != nil {
		s.StrangerAgo = now.Sub(c.strangerAt)
	}
	return s
}
