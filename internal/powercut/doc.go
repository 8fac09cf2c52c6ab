// Package powercut is a disk for tests that loses power. A Disk is a file
// system in memory, mounted with FUSE, that records every write, truncation,
// change of a name and sync in order. A History of the recording says at each
// position what was durable and what was in flight, and makes of it the states
// in which a real disk could come back: nothing in flight arrived, or all, or
// any part of it in any order, torn at 512 bytes, or as garbage. Everything is
// decided by seeds.
//
// The model is strict: data and size of a file become durable by its own fsync
// or fdatasync, and a name by the fsync of its directory, whatever else is
// synced in between.
//
// It is for tests only: no package of the product may import it. Its own tests
// are the power-cut campaign of boltlog.
package powercut
