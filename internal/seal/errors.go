package seal

import "errors"

// The ways in which Receive refuses a packet. The reaction to all is to drop the
// packet and count it, and to send the reply if there is one.
var (
	// ErrTooShort: no sealed packet is that short. Something else was sent here.
	ErrTooShort = errors.New("too short for a packet of edgeraft")
	// ErrVersion: another version of the packet, or another program's packet.
	ErrVersion = errors.New("not a packet of this version of edgeraft")
	// ErrWrongKey: sealed with another cluster key.
	ErrWrongKey = errors.New("sealed with another cluster key")
	// ErrAuth: forged, damaged, or sealed under another cluster name.
	ErrAuth = errors.New("authentication failed: forged, damaged, or of another cluster name")
	// ErrOwn: our own packet of this run came back to us. It is not authenticated.
	ErrOwn = errors.New("our own packet")
	// ErrTwin: another agent runs with this device's ID, at this moment: it has
	// proved it. Its data directory is a copy of ours, or ours of its.
	ErrTwin = errors.New("another device runs under this device's ID, with a copy of its data directory")
	// ErrNotForUs: sealed for another device.
	ErrNotForUs = errors.New("sealed for another device")
	// ErrUnproved: authentic, but nothing shows yet that it was not recorded
	// long ago. It is kept for a moment, until its sender answers the reply.
	ErrUnproved = errors.New("the sender has not proved yet that it is not a recording")
	// ErrReplay: taken before, or so late that this cannot be told any more.
	ErrReplay = errors.New("repeated or much delayed")
	// ErrOldBoot: of a boot of the sender that a later one has replaced. If it
	// goes on, the sender runs on an old copy of its database.
	ErrOldBoot = errors.New("from before the sender's last restart, or its database is an old copy")
	// ErrControl: authentic, but no packet between Sealers that is known here.
	ErrControl = errors.New("malformed, or of a later version of edgeraft")
)

// ErrExhausted: a session has sealed all the packets it may. A restart of the
// agent begins a new one; at a million packets a second it takes 146,000 years.
var ErrExhausted = errors.New("the packet counter is exhausted; restart the agent")
