// Package boltlog keeps the log, the hard state and the device's identity on
// stable storage, in one bbolt file DIR/log.db. What Save has returned nil for
// survives a power cut; after any error of Save nothing is written any more.
//
// Cards die of small synced writes. So a save is not a transaction, which bbolt
// makes of two pages at least and two syncs: it is a sector of 4 KiB, written in
// place into the ring, a value that was made once and that bbolt never touches
// again, and one sync. The rules that make that safe:
//
//   - A sector that holds something acknowledged is never written over: each
//     save takes new ones. A full ring is sealed: one transaction puts its
//     content into chunks, of whole pages, and raises the epoch. Only when it is
//     durable the ring is used from the start; sectors of an ended epoch are dead.
//   - Every sector has the hard state, its place in the ring and in the epoch's
//     stream, and a checksum over those, the ring's ID and the records. A save of
//     several sectors counts only when it is whole.
//   - Opening makes durable what a crash left in the page cache, proves that the
//     ring is where it is taken to be, replays it up to the first gap, and seals.
//     A process never continues the epoch of another one.
//   - A gap with nothing behind it is a save that a power cut interrupted, and is
//     forgotten. A gap with a later save behind it, or a chunk that cannot be
//     read, is damage of what was acknowledged, and an error. Close puts
//     something behind the last save.
//   - The file is written full of zeros when it is made, so that a save costs the
//     file system no transaction of its own.
//
// A device that forgets its vote must not come back as the one that cast it.
// So the identity is also in the small file DIR/identity: where that exists, a
// missing or empty database is an error and never a fresh start. A damaged
// file is an error too, found before bbolt maps it: a fault in the map would
// kill the process.
//
// A copy of the file is whole only when it is taken between two saves: the ring
// and the transaction that it belongs to must be of one moment.
package boltlog
