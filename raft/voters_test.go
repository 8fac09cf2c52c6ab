package raft

import "testing"

// The numbers of the policy in the table: silent after 30 ticks, dead after 1000.
const (
	alive  = 5
	silent = 100
	dead   = 1000
	longer = 2000
)

// who is a member of the table: its role, for how long it is silent, and whether
// it has caught up. The first is the leader.
type who struct {
	role   MemberRole
	silent int
	behind bool
}

func TestNextVoterChange(t *testing.T) {
	V, L, H := Voter, Learner, HeldLearner
	for _, c := range []struct {
		name    string
		members []who
		most    int
		never   bool // dead_after is 0
		kind    ChangeKind
		member  int
	}{
		{"the second device gets its vote", []who{{V, 0, false}, {L, alive, false}}, 5, false, Promote, 1},
		{"not before it has caught up", []who{{V, 0, false}, {L, alive, true}}, 5, false, 0, 0},
		{"nor when it is not heard", []who{{V, 0, false}, {L, silent, false}}, 5, false, 0, 0},
		{"nor when it is held back", []who{{V, 0, false}, {H, alive, false}}, 5, false, 0, 0},
		{"the third too", []who{{V, 0, false}, {V, alive, false}, {L, alive, false}}, 5, false, Promote, 2},
		{"the fourth waits for the fifth", []who{{V, 0, false}, {V, alive, false}, {V, alive, false}, {L, alive, false}}, 5, false, 0, 0},
		{"then both get it, one first", []who{{V, 0, false}, {V, alive, false}, {V, alive, false}, {L, alive, false}, {L, alive, false}}, 5, false, Promote, 3},
		{"then the other", []who{{V, 0, false}, {V, alive, false}, {V, alive, false}, {V, alive, false}, {L, alive, false}}, 5, false, Promote, 4},
		{"no more than the most", []who{{V, 0, false}, {V, alive, false}, {V, alive, false}, {L, alive, false}, {L, alive, false}}, 3, false, 0, 0},

		{"a learner takes the place of a dead voter", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}, {L, alive, false}}, 3, false, Promote, 3},
		{"and then the dead one loses its vote", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}, {V, alive, false}}, 3, false, StandDown, 1},
		{"not yet when it is only silent", []who{{V, 0, false}, {V, dead - 1, false}, {V, alive, false}, {L, alive, false}}, 3, false, 0, 0},
		{"never when that is set", []who{{V, 0, false}, {V, longer, false}, {V, alive, false}, {L, alive, false}}, 3, true, 0, 0},
		{"not by a learner that is dead too", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}, {L, dead, false}}, 3, false, 0, 0},
		{"not by one that lacks entries", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}, {L, alive, true}}, 3, false, 0, 0},
		{"nor by one that is held back", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}, {H, alive, false}}, 3, false, 0, 0},
		{"not without a quorum", []who{{V, 0, false}, {V, dead, false}, {V, silent, false}, {L, alive, false}}, 3, false, 0, 0},
		{"of three voters none is given up for nothing", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}}, 3, false, 0, 0},
		{"the one that came back too early keeps its vote", []who{{V, 0, false}, {V, alive, false}, {V, alive, false}, {V, alive, false}}, 5, false, 0, 0},
		{"the longest dead goes first", []who{{V, 0, false}, {V, dead, false}, {V, longer, false}, {V, alive, false}, {V, alive, false}, {V, alive, false}}, 5, false, StandDown, 2},
		{"two of five dead, and nobody in their place: three are left", []who{{V, 0, false}, {V, dead, false}, {V, longer, false}, {V, alive, false}, {V, alive, false}}, 5, false, StandDown, 2},
		{"and then so", []who{{V, 0, false}, {V, dead, false}, {L, longer, false}, {V, alive, false}, {V, alive, false}}, 5, false, StandDown, 1},
		{"one of five dead, and nobody in its place: it stays", []who{{V, 0, false}, {V, dead, false}, {V, alive, false}, {V, alive, false}, {V, alive, false}}, 5, false, 0, 0},
		{"of two voters one dead: no quorum", []who{{V, 0, false}, {V, dead, false}, {L, alive, false}}, 5, false, 0, 0},
	} {
		st := Status{ID: testID("a"), Role: Leader, Config: &Configuration{}, CanChange: true, Peers: map[NodeID]PeerStatus{}}
		for i, m := range c.members {
			id := testID(string(rune('a' + i)))
			st.Config.Members = append(st.Config.Members, Member{ID: id, Role: m.role})
			if i > 0 {
				st.Peers[id] = PeerStatus{Silent: m.silent, CaughtUp: !m.behind}
			}
		}
		p := VoterPolicy{MaxVoters: c.most, MaxSilent: 30, DeadAfter: dead}
		if c.never {
			p.DeadAfter = 0
		}
		want := Change{}
		if c.kind != 0 {
			want = Change{Kind: c.kind, ID: testID(string(rune('a' + c.member)))}
		}
		if got, ok := NextVoterChange(st, p); got != want || ok != (c.kind != 0) {
			t.Errorf("%s: %+v (%v), want %+v", c.name, got, ok, want)
		}
		st.CanChange = false
		if got, ok := NextVoterChange(st, p); ok {
			t.Errorf("%s: %+v while another change is under way", c.name, got)
		}
	}
}
