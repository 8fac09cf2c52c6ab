// Package seal is the authenticated encryption of the datagrams between
// devices, and the cluster key it rests on.
//
// # Keys
//
// Every device of a cluster holds the same 32-byte Key. The cluster's secret is
// HKDF-SHA256 (RFC 5869) of it with the cluster's name as salt, so that two
// clusters that were given one key by mistake still do not understand each
// other. From the secret comes one subkey for each session: a sender, its boot
// number and 8 random bytes it drew at that boot. A nonce counts the packets of
// one session, so no pair of subkey and nonce can be used twice, not even by a
// device whose database, and with it the boot number, was set back.
//
// The key is shared: whoever holds it can speak in the name of any device. The
// sender's ID is authenticated against everyone else.
//
// # Packet
//
//	byte  0      version, 1
//	byte  1      key ID: tells other keys apart, 1 in 256 alike
//	byte  2-11   sender
//	byte 12-21   recipient, all zero: whoever gets it
//	byte 22-29   boot number   ┐
//	byte 30-37   random        ┘ session
//	byte 38-45   counter, from 1
//	byte 46-     ciphertext, then the tag of 16 bytes
//
// Numbers are big-endian. The header is sent in the clear and authenticated as
// associated data of ChaCha20-Poly1305 (RFC 8439). The nonce is bytes 34 to 45:
// half of the random part, which is constant in a session, and the counter.
//
// # Replay
//
// A receiver takes each counter of a session once. It remembers the newest
// WindowSize counters; what is older is refused unseen. It keeps sessions of a
// sender's highest boot number only: a packet of a lower one is refused
// (ErrOldBoot), one of a higher one, once authenticated, replaces them.
//
// Two sessions of the same boot number come about when a device was restored
// from a copy. Forgetting one for the other would let an attacker who recorded
// both replay each in turn, forever. So they stand side by side, each with its
// window, and none is forgotten until the boot number grows; beyond
// maxSessions of them further ones are refused (ErrTooMany).
//
// What was received is remembered in memory only. After a restart of the
// receiver, packets recorded earlier are taken once more, until the true
// sender is heard again if they are of an older boot. Raft tolerates repeated
// and late messages; nothing else may rely on more.
package seal
