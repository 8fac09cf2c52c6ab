package rafttest

import (
	"errors"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// Proposals made on followers while leaders come and go are committed exactly
// once, and none is lost whose device lives. (Exactly once is an invariant.)
func TestForwardingAcrossLeaders(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		n := s.Net
		n.Loss, n.Duplicate, n.Late, n.MaxLate = 50, 200, 200, 30*Tick
		var ops []*Op
		for range 8 {
			s.within(2*electionPatience, "a leader", func() bool { return s.Leader() != nil })
			lead := s.Leader()
			for _, i := range s.others(lead.Index) {
				ops = append(ops, s.burst(i, 5)...)
			}
			s.pass(s.rng.Intn(4))
			s.Net.Isolate(5, lead.Index) // it lives, and hears nothing
			s.pass(4 * ElectionTicks)
			clear(s.Net.cut)
		}
		n.Repair()
		s.same()
		if count(ops, Committed) != len(ops) {
			s.failf("%d of %d committed", count(ops, Committed), len(ops))
		}
	})
}

func TestProposalsWaitForALeader(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		s.crash(1, 2)
		ops := s.burst(0, 10)
		s.never(10*ElectionTicks, "an end without a leader", func() bool { return count(ops, Open) < len(ops) })
		s.start(1)
		s.within(electionPatience, "all are committed", func() bool { return count(ops, Committed) == len(ops) })
	})
}

// What waits for a leader can be cancelled without a trace; what was handed on
// may yet take effect, and then the caller is told so.
func TestCancel(t *testing.T) {
	play(t, Options{Voters: 3}, func(s *scene) {
		waiting := s.Propose(0, []byte("x"))
		s.Cancel(waiting)
		if waiting.Outcome != Failed {
			s.failf("outcome %d before there was a leader", waiting.Outcome)
		}
		lead := s.leader()
		other := s.others(lead.Index)[0]
		for _, i := range []int{lead.Index, other} {
			op := s.Propose(i, []byte("x"))
			s.Cancel(op)
			if op.Outcome != Unknown {
				s.failf("outcome %d on n%d after it was handed on", op.Outcome, i)
			}
		}
		s.same()
	})
}

func TestRefusals(t *testing.T) {
	limits := func(c *raft.Config) {
		c.MaxProposals, c.MaxCommandBytes, c.MaxLogBytes, c.MaxPendingBytes = 10, 1000, 20_000, 3000
	}
	play(t, Options{Voters: 3, Blank: 1, Config: limits}, func(s *scene) {
		refusedWith := func(op *Op, want error) {
			s.t.Helper()
			if op.Outcome != Failed || !errors.Is(op.Err, want) {
				s.failf("outcome %d, %v; want %v", op.Outcome, op.Err, want)
			}
		}
		refusedWith(s.Propose(0, make([]byte, 1001)), raft.ErrTooLarge)
		refusedWith(s.Propose(3, []byte("x")), raft.ErrNotFounded)
		ops := s.burst(0, 11)
		refusedWith(ops[10], raft.ErrBusy)
		lead := s.leader()
		s.same()

		other := s.others(lead.Index, 3)[0]
		for _, i := range s.others(lead.Index, 3) { // nothing gets committed
			s.Nodes[i].Disk.Stick()
		}
		for _, i := range []int{lead.Index, other} {
			ops := make([]*Op, 10)
			for k := range ops {
				ops[k] = s.Propose(i, make([]byte, 900))
			}
			s.within(2*ElectionTicks, "the leader is busy", func() bool { return ops[9].Outcome != Open })
			refusedWith(ops[9], raft.ErrBusy)
		}
		for _, n := range s.Nodes {
			n.Disk.Unstick()
		}
		s.same()

		full := 0
		for range 60 {
			op := s.Propose(other, make([]byte, 900))
			s.within(electionPatience, "an answer", func() bool { return op.Outcome != Open })
			if op.Outcome == Failed {
				refusedWith(op, raft.ErrLogFull)
				full++
			}
		}
		if full == 0 {
			s.failf("the log is never full")
		}
		if size := lead.Status().LogBytes; size > 25_000 {
			s.failf("the log has %d bytes", size)
		}
	})
}

// A leader in a minority serves no read, however long it believes to lead.
// (That what is served is fresh is an invariant.)
func TestStaleLeaderServesNoRead(t *testing.T) {
	play(t, Options{Voters: 5}, func(s *scene) {
		old := s.leader()
		s.agree(old.Index)
		follower := s.others(old.Index)[0]
		s.isolate(old.Index, follower)
		stale := []*ReadOp{s.Read(old.Index), s.Read(follower)}
		lead := s.leader(old.Index, follower)
		s.agree(lead.Index)
		s.never(5*ElectionTicks, "a read in the minority", func() bool { return stale[0].Done || stale[1].Done })
		s.Net.Repair()
		s.within(electionPatience, "served after the partition", func() bool { return stale[0].Done && stale[1].Done })
	})
}

func TestReadsOnEveryMember(t *testing.T) {
	play(t, Options{Voters: 3, Blank: 1}, func(s *scene) {
		s.change(raft.AddLearner, 3)
		s.same()
		for i := range s.Nodes {
			op := s.agree((i + 1) % 3)
			r := s.Read(i)
			s.within(4*HeartbeatTicks, "the read may be served", func() bool { return r.Done })
			if r.Index < op.Index {
				s.failf("fresh up to %d, and %d was acknowledged before", r.Index, op.Index)
			}
		}
		waiting := s.Read(1) // survives a change of leader
		s.Leader().Crash()
		if s.Nodes[1].Up() {
			s.within(2*electionPatience, "the read is retried", func() bool { return waiting.Done })
		}
	})
}
