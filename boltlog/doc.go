// Package boltlog keeps the log, the hard state and the device's identity on
// stable storage, in one bbolt file DIR/log.db. What Save has returned nil for
// survives a power cut; after any error of Save nothing is written any more.
//
// A device that forgets its vote must not come back as the one that cast it.
// So the identity is also in the small file DIR/identity: where that exists, a
// missing or empty database is an error and never a fresh start. A damaged
// file is an error too, found before bbolt maps it: a fault in the map would
// kill the process.
package boltlog
