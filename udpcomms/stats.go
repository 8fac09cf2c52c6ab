package udpcomms

import (
	"errors"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
)

// drop is a reason for which something was dropped.
type drop int

const (
	dropTooShort drop = iota
	dropTooLong
	dropVersion
	dropWrongKey
	dropAuth
	dropReplay
	dropOldBoot
	dropUnproved
	dropTwin
	dropControl
	dropNotForUs
	dropOwn
	dropMalformed
	dropForged
	dropReceiveFull
	dropIncomplete
	dropDuplicateFragment
	dropAssemblyFull
	dropTooManyPeers
	dropQueueFull
	dropControlFull
	dropNoAddress
	dropUnsendable
	dropSendFailed
	dropSendFull
	dropReadFailed
	dropLateEcho
	dropReasons // how many there are
)

// dropNames are the keys of Stats.Dropped.
var dropNames = [dropReasons]string{
	dropTooShort:          "too_short",          // received: not ours
	dropTooLong:           "too_long",           // received: beyond MaxDatagram
	dropVersion:           "version",            // received: not ours, or of another version
	dropWrongKey:          "wrong_key",          // received: sealed with another key
	dropAuth:              "auth",               // received: forged, damaged, or another cluster name
	dropReplay:            "replay",             // received: repeated by the network or an attacker
	dropOldBoot:           "old_boot",           // received: from before the sender's restart
	dropUnproved:          "unproved",           // received: kept until its sender proves that it is no recording
	dropTwin:              "twin",               // received: of another device with this one's ID
	dropControl:           "control",            // received: authentic, between Sealers, not understood
	dropNotForUs:          "not_for_us",         // received: sealed or addressed to another device
	dropOwn:               "own",                // received: our own packet
	dropMalformed:         "malformed",          // received: authentic, but breaks the format
	dropForged:            "forged_sender",      // received: in the name of another device
	dropReceiveFull:       "receive_full",       // received: nobody took it from Received in time
	dropIncomplete:        "incomplete",         // received: a large message of which fragments stayed missing
	dropDuplicateFragment: "duplicate_fragment", // received: a fragment that was there already
	dropAssemblyFull:      "assembly_full",      // received: too many large messages at once
	dropTooManyPeers:      "too_many_peers",     // either way: the address book is full
	dropQueueFull:         "queue_full",         // to send: an older message gave way to a newer one
	dropControlFull:       "control_full",       // to send: too many answers waited
	dropNoAddress:         "no_address",         // to send: it is not known where the device is
	dropUnsendable:        "unsendable",         // to send: the message breaks a rule of the caller's
	dropSendFailed:        "send_failed",        // to send: the network refused the packet
	dropSendFull:          "send_full",          // to send: the interface takes less than goes out
	dropReadFailed:        "read_failed",        // the socket reported an error
	dropLateEcho:          "late_echo",          // received: an answer to an earlier probe
}

// sealDrop is the reason for an error of seal.Open, and whether it tells of a
// stranger: a sender that does not, or not any more, belong to the cluster.
func sealDrop(err error) (reason drop, stranger bool) {
	switch {
	case errors.Is(err, seal.ErrReplay):
		return dropReplay, false
	case errors.Is(err, seal.ErrOwn):
		return dropOwn, false
	case errors.Is(err, seal.ErrNotForUs):
		return dropNotForUs, false
	case errors.Is(err, seal.ErrTooShort):
		return dropTooShort, true
	case errors.Is(err, seal.ErrVersion):
		return dropVersion, true
	case errors.Is(err, seal.ErrWrongKey):
		return dropWrongKey, true
	case errors.Is(err, seal.ErrOldBoot):
		return dropOldBoot, true
	case errors.Is(err, seal.ErrUnproved):
		return dropUnproved, false
	case errors.Is(err, seal.ErrTwin):
		return dropTwin, true
	case errors.Is(err, seal.ErrControl):
		return dropControl, false
	}
	return dropAuth, true
}

// Stats counts since Listen.
type Stats struct {
	SentPackets, SentBytes         uint64 // UDP payload that the kernel took
	ReceivedPackets, ReceivedBytes uint64 // UDP payload, from anyone
	// Dropped counts by reason what was not sent, not taken, or not handed on.
	// Only reasons that occurred are in it.
	Dropped map[string]uint64
	// LastStranger is the last sender whose packet could not be opened.
	LastStranger Stranger
	// LastError is the newest error of the socket, "" when there was none.
	LastError string
}

// Stranger is a sender whose packets cannot be opened, such as a device with
// another key. Address and reason are unproven.
type Stranger struct {
	Addr   netip.AddrPort // not valid when there was none
	Reason error          // of package seal; nil when there was none
	Ago    time.Duration
}

// counters is what Stats reports. It is safe for concurrent use.
type counters struct {
	sentPackets, sentBytes         atomic.Uint64
	receivedPackets, receivedBytes atomic.Uint64
	dropped                        [dropReasons]atomic.Uint64

	mu         sync.Mutex
	stranger   Stranger
	strangerAt time.Time
	lastError  string
	logAfter   [2]time.Time // by logTopic
}

// logTopic is a subject on which there is at most one log line per logEvery.
type logTopic int

const (
	logStranger logTopic = iota
	logUnsendable
)

func (c *counters) drop(reason drop) { c.dropped[reason].Add(1) }

// failed counts an error of the socket.
func (c *counters) failed(reason drop, err error) {
	c.drop(reason)
	c.mu.Lock()
	defer c.mu.Unlock()
	c.lastError = err.Error()
}

// met records a stranger.
func (c *counters) met(addr netip.AddrPort, reason error, now time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.stranger, c.strangerAt = Stranger{Addr: addr, Reason: reason}, now
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
	s.LastStranger, s.LastError = c.stranger, c.lastError
	if s.LastStranger.Addr.IsValid() {
		s.LastStranger.Ago = now.Sub(c.strangerAt)
	}
	return s
}
