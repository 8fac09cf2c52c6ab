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
	if c.suspicious {
		t.Error("after a false hint it takes the next at once")
	}
	for range falseHint * c.cfg.ElectionTicks {
		c.Tick()
		step()
	}
	c.SuspectLeader(idB)
	if least, n := c.patience(), silentFor(); n < least || n >= c.cfg.ElectionTicks {
		t.Errorf("after a hint it campaigned after %d ticks of silence, want %d at least and less than %d", n, least, c.cfg.ElectionTicks)
	}
}

// A flood of false hints does not make each lost heartbeat a campaign.
func TestFloodOfHints(t *testing.T) {
	c := newSingle(t, voters(idA, idB, idC))
	c.must(idB, 1, AppendRequest{PrevIndex: 1, PrevTerm: 1})
	campaigns := 0
	for range 100 {
		for range 2 * c.cfg.HeartbeatTicks { // every other heartbeat is lost
			was := c.role
			c.SuspectLeader(idB)
			c.Tick()
			if c.role != was {
				campaigns++
			}
		}
		c.must(idB, 1, AppendRequest{PrevIndex: 1, PrevTerm: 1})
	}
	if most := 200*c.cfg.HeartbeatTicks/(falseHint*c.cfg.ElectionTicks) + 1; campaigns > most {
		t.Errorf("%d campaigns, want %d at most", campaigns, most)
	}
}
