package raft

import "testing"

// A hint that the leader is gone shortens the patience with its silence, and a
// sign of life ends that.
func TestHintIsForgotten(t *testing.T) {
	c := newSingle(t, voters(idA, idB, idC))
	silentFor := func() (ticks int) {
		for c.role == Follower {
			c.Tick()
			ticks++
		}
		return ticks
	}
	step := func() { c.must(idB, 1, AppendRequest{PrevIndex: 1, PrevTerm: 1}) }
	step()
	c.SuspectLeader(idC) // not the leader
	step()
	c.SuspectLeader(idB)
	step()
	if n := silentFor(); n < c.cfg.ElectionTicks {
		t.Errorf("after a hint that was disproved it campaigned after %d ticks of silence", n)
	}
	step()
	c.SuspectLeader(idB)
	if least, n := c.patience(), silentFor(); n < least || n >= c.cfg.ElectionTicks {
		t.Errorf("after a hint it campaigned after %d ticks of silence, want %d at least and less than %d", n, least, c.cfg.ElectionTicks)
	}
}
