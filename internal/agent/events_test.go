package agent

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

func TestEventsOfChanges(t *testing.T) {
	a, b := raft.NodeIDFrom([10]byte{1}), raft.NodeIDFrom([10]byte{2})
	cluster := raft.ClusterIDFrom([16]byte{1})
	config := func(ms ...raft.Member) *raft.Configuration { return &raft.Configuration{Members: ms} }
	alone := config(raft.Member{ID: a, Name: "attic", Role: raft.Voter})
	learner := config(raft.Member{ID: a, Name: "attic", Role: raft.Voter}, raft.Member{ID: b, Name: "barn", Role: raft.Learner})
	both := config(raft.Member{ID: a, Name: "attic", Role: raft.Voter}, raft.Member{ID: b, Name: "barn", Role: raft.Voter})
	for _, c := range []struct {
		before, after server.Change
		want          string
	}{
		{server.Change{}, server.Change{Config: config()}, ""},
		{server.Change{Config: config()}, server.Change{Config: alone, Cluster: cluster, Role: raft.Leader, Leader: a, Term: 1},
			"cluster | member_added attic voter | role leader | leader attic"},
		{server.Change{Config: alone}, server.Change{Config: learner}, "member_added barn learner"},
		{server.Change{Config: learner}, server.Change{Config: both}, "member_changed barn voter"},
		{server.Change{Config: both}, server.Change{Config: alone, Missed: 3}, "member_removed barn voter missed 3"},
		{server.Change{Config: both, Leader: b}, server.Change{Config: both, Role: raft.PreCandidate}, "leader "},
		{server.Change{Config: both, Role: raft.PreCandidate}, server.Change{Config: both, Role: raft.Candidate}, ""},
		{server.Change{Config: both, Role: raft.Leader, Leader: a}, server.Change{Config: both, Leader: b, Term: 2}, "role follower | leader barn"},
	} {
		var got []string
		for _, e := range eventsOf(c.before, c.after) {
			text := e.Kind
			switch {
			case e.Member != nil:
				text += " " + e.Member.Name + " " + e.Member.Role
			case e.Kind == api.EventRole:
				text += " " + e.Role
			case e.Kind == api.EventLeader:
				text += " " + e.LeaderName
			}
			if e.Missed > 0 {
				text += fmt.Sprintf(" missed %d", e.Missed)
			}
			got = append(got, text)
		}
		if text := strings.Join(got, " | "); text != c.want {
			t.Errorf("%+v, %+v: %q, want %q", c.before, c.after, text, c.want)
		}
	}
}
