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
//	byte  0      version: 1 for the caller, 2 between Sealers
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
// (ErrOldBoot), and its sender told that it runs on an old copy of its database,
// should it go on (superseded.go). Two sessions of the same boot number come about when a device
// was restored from a copy; they stand side by side, each with its window.
//
// That memory ends with the receiver. So a session counts only once it has
// proved to go on: a packet of another one is kept for a moment (ErrUnproved)
// and answered with a challenge, a control packet (version 2) that holds a nonce
// which this receiver never used before, and how long ago it drew it. The sender
// answers with the nonce, under its session, and with the counter from which on
// its packets are younger than that. What came before is refused for ever, what
// was kept and is younger is taken. So nothing that an earlier run of the
// receiver can have taken is taken by a later one, no packet in the network is
// lost for it, and the first packets after a start wait one round trip. Between
// running devices it costs nothing.
//
// There is no table of pending challenges that could be filled: all have one
// nonce. A challenge is never longer than the packet that caused it, and an
// answer not longer than the challenge, so nobody can have more sent than they
// send. A session is forgotten only together with the nonce.
//
// # Nonces after a restart
//
// A pair of subkey and nonce would repeat only if a session did, which is ID,
// boot number and random part. The boot number is on stable storage before the
// first packet, and no clock has a part in it; so after an ordinary restart
// sessions differ even where the random source gives the same again. After the
// database was set back the boot number repeats, and the random part differs.
// Both would have to fail at once. The nonces of challenges hold the boot number
// too.
//
// # Rotation
//
// A device opens packets with each key of its Ring, and seals with the first
// that the recipient has. It knows that from the recipient's Report, else from
// the key that the recipient uses; as long as it knows nothing it seals with one
// at random. So members need not get the new key at the same time, nor in any
// order, and no two that have a key in common lose each other.
package seal
