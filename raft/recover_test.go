package raft

import (
	"errors"
	"strings"
	"testing"
)

var (
	oldCluster = ClusterIDFrom([16]byte{1, 2, 3})
	newCluster = SuccessorID(oldCluster, [16]byte{4, 5, 6})
)

// survivor is what a voter of three had stored: two entries committed, one more
// of which nobody knows.
func survivor() Stored {
	conf := &Configuration{}
	for _, id := range []NodeID{idA, idB, idC} {
		conf = conf.with(Member{ID: id, Role: Voter})
	}
	return Stored{
		State: HardState{Cluster: oldCluster, Term: 7, Vote: idB, Commit: 2},
		Entries: []Entry{
			{Index: 1, Term: 1, Kind: EntryConfig, Config: conf},
			{Index: 2, Term: 5, Time: 50, Kind: EntryCommand, Data: []byte("committed")},
			{Index: 3, Term: 6, Time: 60, Kind: EntryCommand, Data: []byte("who knows")},
		},
	}
}

// applySave is what stable storage makes of it.
func applySave(s Stored, save Save) Stored {
	s.State = save.State
	s.Entries = append(s.Entries[:len(s.Entries):len(s.Entries)], save.Entries...)
	return s
}

func recovered(t *testing.T, from Stored) (*Core, []Entry) {
	t.Helper()
	save, err := Recover(from, Member{ID: idA, Name: "attic"}, newCluster)
	if err != nil {
		t.Fatal(err)
	}
	c, err := New(Config{ID: idA, ElectionTicks: 10, HeartbeatTicks: 2, Random: func(int) int { return 0 }}, applySave(from, save))
	if err != nil {
		t.Fatal(err)
	}
	var applied []Entry
	for range 50 {
		c.Tick()
		for rd := c.Ready(); !rd.Empty(); rd = c.Ready() {
			for _, m := range rd.Messages {
				t.Errorf("a cluster of one sends %+v", m)
			}
			applied = append(applied, rd.Committed...)
			if rd.Save != nil {
				c.Saved(rd.Save.Seq)
			}
		}
	}
	return c, applied
}

func TestARecoveredClusterGoesOnAlone(t *testing.T) {
	c, applied := recovered(t, survivor())
	st := c.Status()
	if st.Role != Leader || st.Cluster != newCluster || st.Term != 9 || st.Commit != 5 || len(st.Config.Members) != 1 || st.Config.Members[0].Name != "attic" {
		t.Errorf("%+v", st)
	}
	if len(applied) != 5 || string(applied[2].Data) != "who knows" || applied[3].Kind != EntryConfig || applied[3].Time != 60 {
		t.Errorf("applied %+v", applied)
	}
	// No member of the old cluster counts for it, or makes it follow.
	for _, body := range []Body{
		AppendRequest{PrevIndex: 3, PrevTerm: 6, Commit: 3}, VoteRequest{LastIndex: 99, LastTerm: 20}, PreVoteRequest{LastIndex: 99, LastTerm: 20},
		AppendResponse{Match: 5}, Removed{Index: 99}, SnapshotRequest{Index: 99, Term: 20}, TimeoutNow{},
		Forward{Boot: 1, Proposals: []ForwardedProposal{{Seq: 1, Data: []byte("x")}}},
	} {
		err := c.Step(Message{Cluster: oldCluster, From: idB, To: idA, Term: 20, Body: body})
		if !errors.Is(err, ErrForeign) {
			t.Errorf("%T: %v", body, err)
		}
	}
	if got := c.Status(); got.Term != 9 || got.Role != Leader || got.Last != 5 || got.Removed {
		t.Errorf("the old cluster changed it: %+v", got)
	}
}

func TestALostMemberFollowsNobodyOfTheNewCluster(t *testing.T) {
	from := survivor()
	c, err := New(Config{ID: idA, ElectionTicks: 10, HeartbeatTicks: 2, Random: func(int) int { return 0 }}, from)
	if err != nil {
		t.Fatal(err)
	}
	for _, body := range []Body{AppendRequest{PrevIndex: 3, PrevTerm: 6, Commit: 3}, VoteRequest{LastIndex: 99, LastTerm: 20}} {
		if err := c.Step(Message{Cluster: newCluster, From: idB, To: idA, Term: 20, Body: body}); !errors.Is(err, ErrForeign) {
			t.Errorf("%T: %v", body, err)
		}
	}
	if st := c.Status(); st.Term != 7 || st.Commit != 2 || st.Cluster != oldCluster {
		t.Errorf("%+v", st)
	}
}

func TestRecoverFromASnapshot(t *testing.T) {
	from := survivor()
	conf := from.Entries[0].Config
	from.State.Commit = 40
	from.Snapshot = &Snapshot{Index: 40, Term: 6, Time: 70, Config: conf, ConfigIndex: 1}
	if save, err := Recover(from, Member{ID: idA}, newCluster); err != nil || save.Entries[0].Index != 41 || save.Entries[0].Time != 70 {
		t.Errorf("with entries that end before the snapshot: %+v, %v", save, err)
	}
	from.Entries = nil
	c, applied := recovered(t, from)
	if st := c.Status(); st.Role != Leader || st.Commit != 42 || len(applied) != 2 || applied[0].Time != 70 || applied[0].Index != 41 {
		t.Errorf("%+v, applied %+v", st, applied)
	}
}

func TestWhatCannotBeRecovered(t *testing.T) {
	self := Member{ID: idA}
	none, elsewhere, atEnd := survivor(), survivor(), survivor()
	none.State.Cluster = ClusterID{}
	elsewhere.Entries[0].Config = (&Configuration{}).with(Member{ID: idB, Role: Voter})
	atEnd.State.Term = maxTerm
	for name, c := range map[string]struct {
		from Stored
		self Member
		id   ClusterID
	}{
		"no cluster":       {none, self, newCluster},
		"nothing stored":   {Stored{State: HardState{Cluster: oldCluster}}, self, newCluster},
		"the same UUID":    {survivor(), self, oldCluster},
		"no UUID":          {survivor(), self, ClusterID{}},
		"no ID":            {survivor(), Member{}, newCluster},
		"not a member":     {elsewhere, self, newCluster},
		"no terms left":    {atEnd, self, newCluster},
		"a name too large": {survivor(), Member{ID: idA, Name: string(make([]byte, MaxNameLen+1))}, newCluster},
	} {
		if save, err := Recover(c.from, c.self, c.id); !errors.Is(err, ErrBadChange) {
			t.Errorf("%s: %+v, %v", name, save, err)
		}
	}
}

// Of two logs the one with the later last term is more advanced, however short.
func TestHolding(t *testing.T) {
	short, long := Holding{Index: 3, Term: 7}, Holding{Index: 90, Term: 6}
	longer := Holding{Index: 4, Term: 7}
	for _, c := range []struct {
		a, b Holding
		want bool
	}{{short, long, true}, {long, short, false}, {longer, short, true}, {short, longer, false}, {short, short, false}, {long, Holding{}, true}} {
		if got := c.a.Beyond(c.b); got != c.want {
			t.Errorf("%+v is beyond %+v: %v", c.a, c.b, got)
		}
	}
	s := survivor()
	if got := s.Holding(); got != (Holding{Index: 3, Term: 6}) {
		t.Errorf("%+v", got)
	}
	s.Snapshot = &Snapshot{Index: 3, Term: 6, Config: s.Entries[0].Config}
	if got := s.Holding(); got != (Holding{Index: 3, Term: 6}) {
		t.Errorf("with a snapshot that stands for all: %+v", got)
	}
}

func TestParseClusterID(t *testing.T) {
	for _, id := range []ClusterID{oldCluster, newCluster, {}} {
		if got, err := ParseClusterID(id.String()); got != id || err != nil {
			t.Errorf("%v became %v, %v", id, got, err)
		}
	}
	text := newCluster.String()
	for _, bad := range []string{"", "x", text[1:], text + "0", strings.ToUpper(text), strings.ReplaceAll(text, "-", ""), "0" + text[:35]} {
		if got, err := ParseClusterID(bad); err == nil {
			t.Errorf("%q became %v", bad, got)
		}
	}
}

func TestSuccessorIDs(t *testing.T) {
	// Devices compare them: what makes them must stay as it is.
	if got := newCluster.String(); got != "04050600-0000-8000-a5ac-0bc9a2f14e9f" {
		t.Errorf("the UUID is %s", got)
	}
	other := SuccessorID(oldCluster, [16]byte{9})
	for _, c := range []struct {
		a, b ClusterID
		want bool
	}{
		{newCluster, oldCluster, true}, {other, oldCluster, true}, {oldCluster, newCluster, false}, {newCluster, newCluster, false},
		{newCluster, other, false}, {SuccessorID(newCluster, [16]byte{}), newCluster, true}, {SuccessorID(newCluster, [16]byte{}), oldCluster, false},
		{ClusterID{}, ClusterID{}, false}, {newCluster, ClusterID{}, false}, {SuccessorID(ClusterID{}, [16]byte{}), ClusterID{}, false},
		{ClusterIDFrom([16]byte{7}), oldCluster, false},
	} {
		if got := c.a.Succeeds(c.b); got != c.want {
			t.Errorf("%v succeeds %v: %v", c.a, c.b, got)
		}
	}
}
