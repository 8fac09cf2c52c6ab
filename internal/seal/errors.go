package seal

import "errors"

// The ways in which Open refuses a packet. The reaction to all is to drop the
// packet and count it.
var (
	// ErrTooShort: no sealed packet is that short. Something else was sent here.
	ErrTooShort = errors.New("too short for a packet of edgeraft")
	// ErrVersion: another version of the packet, or another program's packet.
	ErrVersion = errors.New("not a packet of this version of edgeraft")
	// ErrWrongKey: sealed with another cluster key.
	ErrWrongKey = errors.New("sealed with another cluster key")
	// ErrAuth: forged, damaged, or sealed under another cluster name.
	ErrAuth = errors.New("authentication failed: forged, damaged, or of another cluster name")
	// ErrOwn: our own packet came back to us.
	ErrOwn = errors.New("our own packet")
	// ErrNotForUs: sealed for another device.
	ErrNotForUs = errors.New("sealed for another device")
	// ErrReplay: taken before, or so late that this cannot be told any more.
	ErrReplay = errors.New("repeated or much delayed")
	// ErrOldBoot: of a boot of the sender that a later one has replaced. If it
	// goes on, the sender runs on an old copy of its database.
	ErrOldBoot = errors.New("from before the sender's last restart, or its database is an old copy")
	// ErrTooMany: a limit on senders, or on sessions of one boot number of a
	// sender, is reached. Restarting this device forgets them.
	ErrTooMany = errors.New("too many senders, or sessions of one sender")
)

// ErrExhausted: a session has sealed all the packets it may. A restart of the
// agent begins a new one; at a million packets a second it takes 146,000 years.
var ErrExhausted = errors.New("the packet counter is exhausted; restart the agent")
