// Package once makes commands take effect once, however often they are
// proposed: by whom, on which device, over which change of leader, and after
// which restart, does not matter. It wraps any App of raft/server. A command
// that comes with an idempotency key is applied the first time; the table of
// keys, which is replicated state like the inner App's and in its snapshots,
// answers every repetition with the first index, term and result.
//
// The table is bounded, and what was forgotten must not be applied again. A
// proposer can see to that: with the key it gives since, an index it had seen
// before it used the key for the first time. A key first used behind since and
// forgotten lies at or below the newest forgotten index, the floor. So an
// unknown key whose since is below the floor may be a forgotten one, and is
// refused, for ever; from there on it is a new one. Without since, nothing can
// tell the two apart: such a key is kept for KeepAtLeast of cluster time,
// whatever happens, and in practice for the last MaxKeys keys; a repetition
// that comes later still is applied again.
//
// Keys are forgotten in the order of their first use, only when the table is
// full, and one without since only after KeepAtLeast; until then new keys are
// refused. Commands without a key are never affected.
//
// A command with a key is byte 0xff, the key's length as a byte, the key, since
// as a uvarint (0: not given), and the inner command. No inner command, and no
// inner snapshot, may begin with 0xff. Every limit is a constant of the format:
// all devices must come to the same table.
package once
