package raft

import "testing"

// TestFullFollowerIsNotFlooded: a member whose disk takes no more answers at
// once and drops what it gets. What is sent to it in a heartbeat's time stays a
// few requests, however fast it answers.
func TestFullFollowerIsNotFlooded(t *testing.T) {
	leader := newSingle(t, voters(idA, idB, idC))
	leader.leadAndCommit()
	follower := newSingle(t, voters(idA, idB, idC), leader.log.entries[1:]...)
	follower.cfg.ID = idB
	follower.cfg.MaxUnsavedBytes = 1000
	follower.disk = false
	for range 100 {
		if _, err := leader.Propose(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	const beats = 10
	requests := 0
	for range beats * leader.cfg.HeartbeatTicks {
		leader.ticks(1)
		follower.ticks(1)
		for range 500 { // as many round trips as they like in one tick
			out := leader.takeSent()
			for _, m := range out {
				if a, ok := m.Body.(AppendRequest); ok && m.To == idB {
					if len(a.Entries) > 0 {
						requests++
					}
					if err := follower.Step(m); err != nil {
						t.Fatal(err)
					}
					follower.settle()
				}
			}
			back := follower.takeSent()
			if len(back) == 0 {
				break
			}
			for _, m := range back {
				if err := leader.Step(m); err != nil {
					t.Fatal(err)
				}
			}
			leader.settle()
		}
		leader.must(idC, 0, AppendResponse{Match: leader.log.last()})
	}
	if most := DefaultMaxInflight + 4*beats; requests > most {
		t.Errorf("%d requests with entries in %d heartbeats, want at most %d", requests, beats, most)
	}
	// When its disk has caught up it gets everything.
	follower.disk = true
	follower.Saved(follower.seq)
	for range 300 {
		leader.ticks(1)
		follower.ticks(1)
		for _, m := range leader.takeSent() {
			if m.To == idB {
				_ = follower.Step(m)
			}
		}
		follower.settle()
		for _, m := range follower.takeSent() {
			_ = leader.Step(m)
		}
		leader.settle()
	}
	if follower.log.stable != leader.log.last() {
		t.Errorf("the follower holds %d of %d entries after its disk recovered", follower.log.stable, leader.log.last())
	}
}

// TestInflightBytes: what is under way to one member is bounded in bytes too.
func TestInflightBytes(t *testing.T) {
	s := newSingle(t, voters(idA, idB, idC))
	s.leadAndCommit()
	s.cfg.MaxInflightBytes = 50_000
	s.must(idB, 0, AppendResponse{Match: s.log.last()})
	for range 100 {
		if _, err := s.Propose(make([]byte, 10_000)); err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	underWay := func() int {
		n := 0
		for _, m := range s.takeSent() {
			if b, ok := m.Body.(AppendRequest); ok && m.To == idB {
				for _, e := range b.Entries {
					n += e.Size()
				}
			}
		}
		return n
	}
	if n := underWay(); n < 40_000 || n > 60_000 {
		t.Errorf("%d bytes are under way, the limit is %d and a request", n, s.cfg.MaxInflightBytes)
	}
	// One that is larger than the limit goes out alone.
	s.cfg.MaxInflightBytes = 1
	s.must(idB, 0, AppendResponse{Match: s.lead.peers[idB].next - 1})
	if n := underWay(); n < 10_000 || n > 20_000 {
		t.Errorf("%d bytes are under way, one request is allowed", n)
	}
}
