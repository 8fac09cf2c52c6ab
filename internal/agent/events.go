package agent

import (
	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// changed is told of every change of role, leader and membership, in order.
func (a *agent) changed(c server.Change) {
	a.manager.tellChange(a.opened.Identity.ID, c)
	state := clusterEvent(c)
	for _, m := range eventMembers(c) {
		state.Members = append(state.Members, *m)
	}
	a.events.Publish(state, eventsOf(a.lastChange, c)...)
	a.lastChange = c
}

// clusterEvent is how things are after a change.
func clusterEvent(c server.Change) api.ClusterEvent {
	e := api.ClusterEvent{Role: c.Role.String(), Term: uint64(c.Term), Leader: string(c.Leader), LeaderName: nameOf(c.Config, c.Leader)}
	if !c.Cluster.IsZero() {
		e.ClusterID = c.Cluster.String()
	}
	return e
}

// eventMembers lists the members after a change.
func eventMembers(c server.Change) []*api.EventMember {
	if c.Config == nil {
		return nil
	}
	var out []*api.EventMember
	for _, m := range c.Config.Members {
		out = append(out, &api.EventMember{ID: string(m.ID), Name: m.Name, Role: m.Role.String()})
	}
	return out
}

// eventsOf is what happened between two changes. Candidacies come and go, and
// are no events.
func eventsOf(before, after server.Change) []api.ClusterEvent {
	var out []api.ClusterEvent
	add := func(kind string, m *api.EventMember) {
		e := clusterEvent(after)
		e.Kind, e.Member = kind, m
		if len(out) == 0 {
			e.Missed = after.Missed
		}
		out = append(out, e)
	}
	if before.Cluster != after.Cluster {
		add(api.EventCluster, nil)
	}
	was := map[string]*api.EventMember{}
	for _, m := range eventMembers(before) {
		was[m.ID] = m
	}
	for _, m := range eventMembers(after) {
		switch old := was[m.ID]; {
		case old == nil:
			add(api.EventMemberAdded, m)
		case *old != *m:
			add(api.EventMemberChanged, m)
		}
		delete(was, m.ID)
	}
	for _, m := range eventMembers(before) {
		if was[m.ID] != nil {
			add(api.EventMemberRemoved, m)
		}
	}
	if (before.Role == raft.Leader) != (after.Role == raft.Leader) {
		add(api.EventRole, nil)
	}
	if before.Leader != after.Leader {
		add(api.EventLeader, nil)
	}
	return out
}
