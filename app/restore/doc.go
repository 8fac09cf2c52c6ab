// Package restore lets commands in the log replace the whole replicated state by
// that of a backup, on all devices at the same index. It wraps an App of
// raft/server. No command may be as large as a state, so the state comes in
// pieces: each device stages them beside its state, and nothing changes until
// one last command, when all pieces are there and have the checksum that it
// names. What is staged is replicated state itself, and in the snapshots: a
// leader may change, and a device may come in, half way through.
//
// One restore is staged at a time, of at most MaxBytes. One that gets no more
// pieces for AbandonAfter of cluster time is thrown away, by the next entry that
// bears a later time; when none comes, Due has the leader propose one.
//
// A command is the byte 0xfe, a byte that says which, the restore's ID of 8
// bytes, and:
//
//	1  begin: size, length of a piece and cluster time of the backup as uvarints,
//	   and a byte that is 1 if it is of another cluster
//	2  piece: its number from 0 as a uvarint, and its bytes
//	3  commit: the SHA-256 of the data
//	4  abort: nothing more
//	5  nothing at all, not even the ID: what is abandoned goes
//
// No inner command, and no inner snapshot, may begin with 0xfe. Every limit is a
// constant of the format, since all devices must come to the same state.
package restore
