package udpcomms

import (
	"errors"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/traffic"
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

// Stats is what was counted since Listen. Packets are datagrams, bytes their
// payload.
type Stats = traffic.Totals

type counters = traffic.Counters[drop]

func newCounters() *counters { return traffic.NewCounters[drop](dropNames[:], logTopics) }

// The topics on which there is not more than a log line now and then.
const (
	logStranger = iota
	logUnsendable
	logTopics
)
