package raft

import (
	"errors"
	"reflect"
	"testing"
)

// blankSingle is a, blank, which expects three devices, and has heard b and c.
func blankSingle(t *testing.T, from Founding) *single {
	t.Helper()
	s := newSingleFrom(t, Config{Founding: FoundingConfig{Expect: 3, Name: "a", MaxVoters: 5}}, Stored{Founding: from})
	for _, id := range []NodeID{idB, idC} {
		s.HearJoin(id, ClusterID{}, Join{Name: "pi", Expect: 3})
	}
	return s
}

// told hands in what another blank device says.
func (s *single) told(from NodeID, b Body) {
	s.t.Helper()
	if err := s.Step(Message{From: from, To: idA, Body: b}); err != nil {
		s.t.Fatal(err)
	}
	s.settle()
}

func ballotOf(round uint64, id NodeID) Ballot { return Ballot{Round: round, Proposer: id} }

func charterOf(n byte, ids ...NodeID) *Charter {
	return &Charter{Cluster: ClusterIDFrom([16]byte{n}), Config: voters(ids...)}
}

func TestABallotIsDurableBeforeItIsTold(t *testing.T) {
	s := blankSingle(t, Founding{})
	s.settle()
	s.disk = false
	s.ticks(60)
	if asked := bodies[FoundingPrepare](s.takeSent()); len(asked) > 0 {
		t.Fatalf("%+v was told, and the disk hangs", asked)
	}
	s.disk = true
	s.Saved(s.seq)
	s.settle()
	asked := bodies[FoundingPrepare](s.takeSent())
	if want := ballotOf(1, idA); len(asked) != 2 || asked[0].Ballot != want {
		t.Fatalf("told %+v, want %v to two devices", asked, want)
	}
}

func TestAPromiseIsDurableBeforeItIsTold(t *testing.T) {
	s := blankSingle(t, Founding{})
	s.settle()
	s.disk = false
	s.told(idB, FoundingPrepare{Ballot: ballotOf(1, idB), Expect: 3})
	s.told(idB, FoundingAccept{Ballot: ballotOf(1, idB), Expect: 3, Charter: charterOf(1, idA, idB, idC)})
	for _, m := range s.takeSent() {
		switch m.Body.(type) {
		case FoundingPromise, FoundingAccepted:
			t.Errorf("%T was sent, and the disk hangs", m.Body)
		}
	}
	s.Saved(s.seq)
	s.disk = true
	s.settle()
	sent := s.takeSent()
	if len(bodies[FoundingPromise](sent)) != 1 || len(bodies[FoundingAccepted](sent)) != 1 {
		t.Errorf("sent %+v, want a promise and an acceptance", sent)
	}
}

func TestAcceptor(t *testing.T) {
	one := charterOf(1, idA, idB, idC)
	accepted := Founding{Promised: ballotOf(5, idB), Accepted: ballotOf(4, idC), Charter: one}
	for name, c := range map[string]struct {
		from NodeID
		say  Body
		want Body
		then Founding
	}{
		"a lower prepare is refused": {
			idC, FoundingPrepare{Ballot: ballotOf(4, idC), Expect: 3}, FoundingRefused{Promised: ballotOf(5, idB)}, accepted},
		"a lower accept is refused": {
			idC, FoundingAccept{Ballot: ballotOf(4, idC), Expect: 3, Charter: one}, FoundingRefused{Promised: ballotOf(5, idB)}, accepted},
		"a higher prepare learns what was accepted": {
			idC, FoundingPrepare{Ballot: ballotOf(5, idC), Expect: 3},
			FoundingPromise{Ballot: ballotOf(5, idC), Accepted: ballotOf(4, idC), Charter: one, Name: "a"},
			Founding{Promised: ballotOf(5, idC), Accepted: ballotOf(4, idC), Charter: one}},
		"the same is answered again": {
			idB, FoundingPrepare{Ballot: ballotOf(5, idB), Expect: 3},
			FoundingPromise{Ballot: ballotOf(5, idB), Accepted: ballotOf(4, idC), Charter: one, Name: "a"}, accepted},
		"an accept without a prepare": {
			idC, FoundingAccept{Ballot: ballotOf(6, idC), Expect: 3, Charter: one}, FoundingAccepted{Ballot: ballotOf(6, idC)},
			Founding{Promised: ballotOf(6, idC), Accepted: ballotOf(6, idC), Charter: one}},
	} {
		t.Run(name, func(t *testing.T) {
			s := blankSingle(t, accepted)
			s.settle()
			s.takeSent()
			s.told(c.from, c.say)
			sent := s.takeSent()
			if len(sent) != 1 || !reflect.DeepEqual(sent[0].Body, c.want) || sent[0].To != c.from {
				t.Errorf("answers %+v, want %+v", sent, c.want)
			}
			if !reflect.DeepEqual(s.founding.state, c.then) {
				t.Errorf("has promised %+v, want %+v", s.founding.state, c.then)
			}
		})
	}
}

// Devices that expect different numbers would have quorums that need not meet.
func TestOtherExpectationsTakeNoPart(t *testing.T) {
	s := blankSingle(t, Founding{})
	s.HearJoin(testID("d"), ClusterID{}, Join{Expect: 2})
	s.settle()
	s.ticks(60)
	if sent := bodies[FoundingPrepare](s.takeSent()); len(sent) > 0 {
		t.Errorf("proposed %+v", sent)
	}
	if st := s.Status().Founding; st.Other != testID("d") || st.Odd != 2 {
		t.Errorf("status %+v does not say so", st)
	}
	err := s.Step(Message{From: testID("d"), To: idA, Body: FoundingPrepare{Ballot: ballotOf(1, testID("d")), Expect: 2}})
	if !errors.Is(err, ErrUnexpected) || !s.founding.state.IsZero() {
		t.Errorf("its ballot: %v, promised %+v", err, s.founding.state)
	}
	s.ticks(2 * silentBlank) // until it counts as gone; the others speak on
	for range 200 {
		for _, id := range []NodeID{idB, idC} {
			s.HearJoin(id, ClusterID{}, Join{Expect: 3})
		}
		s.ticks(1)
	}
	if sent := bodies[FoundingPrepare](s.takeSent()); len(sent) == 0 {
		t.Error("it is gone, and nothing is proposed")
	}
}

// A cluster that is heard is joined: no other is founded beside it.
func TestAClusterIsNotFoundedBesideAnother(t *testing.T) {
	s := blankSingle(t, Founding{})
	for range 100 {
		s.HearCluster()
		s.HearJoin(idB, ClusterID{}, Join{Expect: 3})
		s.HearJoin(idC, ClusterID{}, Join{Expect: 3})
		s.ticks(1)
	}
	s.told(idB, FoundingPrepare{Ballot: ballotOf(1, idB), Expect: 3})
	for _, m := range s.takeSent() {
		if _, join := m.Body.(Join); !join {
			t.Errorf("sent %+v", m)
		}
	}
	if st := s.Status().Founding; !st.Hold {
		t.Errorf("status %+v does not say so", st)
	}
}

func TestTooManyDevicesNeedMoreThanHalf(t *testing.T) {
	s := blankSingle(t, Founding{})
	for _, name := range []string{"d", "e", "f"} {
		s.HearJoin(testID(name), ClusterID{}, Join{Expect: 3})
	}
	if q := s.foundingQuorum(); q != 4 {
		t.Errorf("of 6 devices %d are a quorum, want 4", q)
	}
}

// Who agreed to a charter does not found another cluster by hand, and who
// belongs to one forgets what it agreed to.
func TestAnAgreedCharterBinds(t *testing.T) {
	agreed := Founding{Promised: ballotOf(5, idB), Accepted: ballotOf(5, idB), Charter: charterOf(1, idA, idB, idC)}
	s := newSingleFrom(t, Config{}, Stored{Founding: agreed})
	if err := s.Found(testCluster, "a"); !errors.Is(err, ErrFounding) {
		t.Errorf("init: %v, want ErrFounding", err)
	}
	s.settle()
	if err := s.Step(Message{Cluster: testCluster, From: idB, To: idA, Term: 3, Body: AppendRequest{}}); err != nil {
		t.Fatal(err)
	}
	rd := s.Ready()
	if rd.Save == nil || rd.Save.Founding == nil || !rd.Save.Founding.IsZero() || rd.Save.State.Cluster != testCluster {
		t.Errorf("saved %+v, want the cluster, and no promise, in one", rd.Save)
	}
}

// A founder that was not told in time is told whenever it says that it is blank,
// by whoever was there.
func TestFoundersAreTold(t *testing.T) {
	charter := charterOf(1, idA, idB, idC)
	s := blankSingle(t, Founding{})
	s.told(idB, Founded{Charter: charter})
	if s.hard.Cluster != charter.Cluster || s.hard.Term != 1 || s.log.last() != 1 {
		t.Fatalf("state %+v, last entry %d", s.hard, s.log.last())
	}
	s.takeSent()
	s.TellFounded(idC)
	s.TellFounded(testID("d"))
	s.told(idC, FoundingPrepare{Ballot: ballotOf(9, idC), Expect: 3})
	s.settle()
	sent := s.takeSent()
	if len(sent) != 2 || sent[0].To != idC || sent[1].To != idC || !reflect.DeepEqual(sent[0].Body, Founded{Charter: charter}) {
		t.Errorf("sent %+v, want the charter to c twice", sent)
	}
	s.told(idC, Founded{Charter: charterOf(2, idA, idC)})
	if s.hard.Cluster != charter.Cluster {
		t.Error("it changed its cluster")
	}
}

// After a recovery founders that were never told are new devices: were they told
// of the first configuration, they would elect a leader of their own among them.
func TestARecoveredClusterTellsNoFounders(t *testing.T) {
	from := Stored{
		State:   HardState{Cluster: oldCluster, Term: 1},
		Entries: []Entry{{Index: 1, Term: 1, Kind: EntryConfig, Config: voters(idA, idB, idC)}},
	}
	c, _ := recovered(t, from)
	c.TellFounded(idB)
	_ = c.Step(Message{From: idB, To: idA, Body: FoundingPrepare{Ballot: ballotOf(9, idB), Expect: 3}})
	if told := bodies[Founded](c.Ready().Messages); len(told) > 0 {
		t.Errorf("told %+v", told)
	}
}

func TestTheCharterOfTheHighestBallotIsProposed(t *testing.T) {
	low, high := charterOf(1, idA, idB, idC), charterOf(2, idA, idB, idC)
	s := blankSingle(t, Founding{Promised: ballotOf(3, idC), Accepted: ballotOf(3, idC), Charter: low})
	s.ticks(60)
	asked := bodies[FoundingPrepare](s.takeSent())
	if len(asked) == 0 || asked[0].Ballot != ballotOf(4, idA) {
		t.Fatalf("asked %+v", asked)
	}
	s.told(idB, FoundingPromise{Ballot: ballotOf(4, idA), Accepted: ballotOf(3, testID("d")), Charter: high})
	s.told(idC, FoundingPromise{Ballot: ballotOf(4, idA), Accepted: ballotOf(2, idC), Charter: low})
	accepts := bodies[FoundingAccept](s.takeSent())
	if len(accepts) != 2 || accepts[0].Charter != high {
		t.Errorf("proposed %+v, want that of the highest ballot", accepts)
	}
}

func TestVotersOfACharterAreOdd(t *testing.T) {
	for _, c := range []struct{ expect, most, want int }{{2, 5, 2}, {3, 5, 3}, {4, 5, 3}, {9, 5, 5}, {9, 7, 7}, {2, 1, 1}, {3, 0, 1}} {
		s := newSingleFrom(t, Config{Founding: FoundingConfig{Expect: c.expect, MaxVoters: c.most}}, Stored{})
		s.founding.attempt.promises = map[NodeID]FoundingPromise{}
		for i := range c.expect + 1 {
			s.founding.attempt.promises[testID(string(rune('a'+i)))] = FoundingPromise{}
		}
		if h := s.newCharter(); h.Config.Voters() != c.want || len(h.Config.Members) != c.expect || !h.valid() {
			t.Errorf("%+v: %d voters of %d", c, h.Config.Voters(), len(h.Config.Members))
		}
	}
}

// TestAPromiseWaitsForTheWholeSave: that the hard state is durable, on a full disk,
// says nothing of what was promised in a founding.
func TestAPromiseWaitsForTheWholeSave(t *testing.T) {
	t.Parallel()
	for name, ask := range map[string]Body{
		"promised": FoundingPrepare{Ballot: ballotOf(1, idB), Expect: 3},
		"accepted": FoundingAccept{Ballot: ballotOf(1, idB), Expect: 3, Charter: charterOf(1, idA, idB, idC)},
	} {
		s := blankSingle(t, Founding{})
		s.settle()
		if err := s.Step(Message{From: idB, To: idA, Body: ask}); err != nil {
			t.Fatal(err)
		}
		rd := s.Ready()
		if rd.Save == nil || rd.Save.Founding == nil {
			t.Fatalf("%s: nothing of it is saved: %+v", name, rd.Save)
		}
		s.SavedState(rd.Save.Seq)
		if sent := s.Ready().Messages; len(sent) > 0 {
			t.Errorf("%s: told when only the hard state was durable: %+v", name, sent)
		}
		s.Saved(rd.Save.Seq)
		if sent := s.Ready().Messages; len(sent) != 1 {
			t.Errorf("%s: not told once all was durable: %+v", name, sent)
		}
	}
}
