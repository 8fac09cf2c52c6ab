// Package wire turns messages, log entries and the hard state into bytes and
// back. It is the only importer of the CBOR module.
//
// Everything is core deterministic CBOR (RFC 8949 §4.2.1) behind one version
// byte:
//
//	message     version, map {1: kind, 2: cluster, 3: from, 4: to, 5: term, 6: body}
//	entry       version, array [index, term, kind, id, data, members], CRC32C
//	hard state  version, array [cluster, term, vote, commit], CRC32C
//
// A message's body is a map with small integers for keys, and fields that are
// zero are absent: a newer peer may add fields, and an older one ignores them.
// What is stored is strict: another field is another version. The checksum is
// big-endian and covers everything before it, the version included, because
// CBOR has none and flash flips bits. In messages an entry has the same array,
// without version and checksum: the envelope and the transport's authenticated
// encryption cover it.
//
// A member of a configuration is [id, name, role], a forwarded proposal is
// [seq, id, data]. Numbers of versions, kinds and fields are never reused.
//
// Encoding refuses what decoding would refuse, so that nothing is stored that
// cannot be read again. Decoding reads untrusted bytes: it checks lengths
// before it allocates, it never panics, and what it returns shares no memory
// with its input. All functions are safe for concurrent use.
package wire
