package raft

import (
	"errors"
	"testing"
)

// TestPromotionNeedsTheConfiguration: a device that holds nothing yet belongs to
// no cluster as far as it knows, and would not answer a candidate.
func TestPromotionNeedsTheConfiguration(t *testing.T) {
	s := newSingle(t, voters(idA))
	s.elect()
	if err := s.ProposeChange(Change{Kind: AddLearner, ID: idB}); err != nil {
		t.Fatal(err)
	}
	s.settle()
	promote := Change{Kind: Promote, ID: idB}
	if err := s.ProposeChange(promote); !errors.Is(err, ErrBehind) {
		t.Fatalf("promotion of a device that never answered: %v", err)
	}
	s.must(idB, 0, AppendResponse{Match: s.confs.index() - 1})
	if err := s.ProposeChange(promote); !errors.Is(err, ErrBehind) {
		t.Fatalf("promotion of a device that does not hold the configuration: %v", err)
	}
	s.must(idB, 0, AppendResponse{Match: s.confs.index()})
	if err := s.ProposeChange(promote); err != nil {
		t.Fatal(err)
	}
}

// TestPromotionWaitsForTheLog: a learner gets its vote when it is nearly caught
// up (§4.2.1), whoever asks.
func TestPromotionWaitsForTheLog(t *testing.T) {
	s := newSingle(t, voters(idA, idB).with(Member{ID: idC, Role: Learner}))
	s.leadAndCommit()
	for range maxPromotionLag + 1 {
		if _, err := s.Propose([]byte("x")); err != nil {
			t.Fatal(err)
		}
	}
	s.settle()
	behind := s.log.last() - maxPromotionLag - 1
	s.must(idB, 0, AppendResponse{Match: s.log.last()})
	s.must(idC, 0, AppendResponse{Match: behind})
	promote := Change{Kind: Promote, ID: idC}
	if err := s.ProposeChange(promote); !errors.Is(err, ErrBehind) {
		t.Errorf("a learner %d entries behind is promoted: %v", maxPromotionLag+1, err)
	}
	s.must(idB, 0, ForwardChange{Boot: 1, Seq: 1, Change: promote})
	if refused := bodies[ForwardRefused](s.takeSent()); len(refused) != 1 || refused[0].Reason != RefusedBehind {
		t.Errorf("the answer to a member that asks for it: %+v", refused)
	}
	s.must(idC, 0, AppendResponse{Match: behind + 1})
	if err := s.ProposeChange(promote); err != nil {
		t.Errorf("a learner %d entries behind is not promoted: %v", maxPromotionLag, err)
	}
}

// TestAVoterIsReplacedFirst: where a learner stands ready it gets a vote before
// a voter loses its own, and whoever asked tries again.
func TestAVoterIsReplacedFirst(t *testing.T) {
	idD := testID("d")
	for _, c := range []struct {
		conf *Configuration
		kind ChangeKind
		want []int // voters after each try
	}{
		{voters(idA, idB, idC).with(Member{ID: idD, Role: Learner}), Remove, []int{4, 3}},
		{voters(idA, idB, idC).with(Member{ID: idD, Role: Learner}), Demote, []int{4, 3}},
		{voters(idA, idB, idC).with(Member{ID: idD, Role: HeldLearner}), Remove, []int{2}},
		{voters(idA, idB, idC), Remove, []int{2}},
		{voters(idA, idC).with(Member{ID: idD, Role: Learner}), Remove, []int{1}},
	} {
		s := newSingle(t, c.conf)
		s.leadAndCommit()
		for i, want := range c.want {
			err := s.ProposeChange(Change{Kind: c.kind, ID: idC})
			if last := i == len(c.want)-1; last != (err == nil) || err != nil && !errors.Is(err, ErrChangePending) {
				t.Errorf("%+v, try %d: %v", c.conf, i, err)
			}
			s.settle()
			s.ackAll()
			if got := s.conf().Voters(); got != want {
				t.Errorf("%+v: %d voters after try %d, want %d", c.conf, got, i, want)
			}
		}
	}
}

// TestPromotionUnderLoad: under a steady load a learner may be many entries
// behind for ever, though only those of the last moment. It gets its vote; one
// that is behind by more than that does not.
func TestPromotionUnderLoad(t *testing.T) {
	for _, c := range []struct {
		late int // ticks that the learner is behind
		want bool
	}{{2, true}, {6, false}} {
		s := newSingle(t, voters(idA, idB).with(Member{ID: idC, Role: Learner}))
		s.leadAndCommit()
		promoted := false
		var ends []Index // of the log, a tick each
		for tick := range 40 {
			for range maxPromotionLag {
				if _, err := s.Propose([]byte("x")); err != nil {
					t.Fatal(err)
				}
			}
			s.ticks(1)
			s.Core.Read() // the check does not depend on heartbeats
			s.must(idB, 0, AppendResponse{Match: s.log.last(), Read: s.lead.round})
			if ends = append(ends, s.log.last()); len(ends) > c.late {
				s.must(idC, 0, AppendResponse{Match: ends[len(ends)-1-c.late]})
			}
			if tick > 10 { // the load is steady
				promoted = promoted || s.ProposeChange(Change{Kind: Promote, ID: idC}) == nil
			}
		}
		if promoted != c.want {
			t.Errorf("a learner that is %d ticks behind, where a heartbeat is %d: promoted %v", c.late, s.cfg.HeartbeatTicks, promoted)
		}
	}
}
