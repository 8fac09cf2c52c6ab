// Package kv is the built-in state machine: a key/value state in memory, and
// opaque commands, which it passes on to whoever watches.
//
// It is deterministic: every device applies the same committed entries in the
// same order and must come to the same state, so nothing but the entries
// decides: no clock, no chance, no configuration. Every limit that applies
// after commitment is therefore a constant of the format, and changing one
// needs a new format number.
//
// Commands begin with one byte, the format:
//
//	1  an opaque command: the rest is the program's own
//	2  an operation on keys: a CBOR map, see record
//	3  nothing follows: what has expired is removed
//
// A key put with a TTL expires by the cluster time that the leader stamped on
// the entries (raft.Time): every entry, whatever it is, first removes the keys
// whose deadline lies before its own time. So all devices remove the same keys
// at the same index, and never too early; a key is there until an entry removed
// it. Due has the leader propose command 3 when no other entry comes.
//
// Numbers of formats, operations and fields are never reused.
package kv
