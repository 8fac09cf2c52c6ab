package agent

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/release"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// Status implements app.Node.
func (a *agent) Status(ctx context.Context) (api.Status, error) {
	s := api.Status{
		Version: release.Version(), UptimeMS: time.Since(a.started).Milliseconds(),
		Node:     api.Node{ID: string(a.opened.Identity.ID), Name: a.cfg.Name, PID: os.Getpid(), State: "waiting_for_key"},
		Cluster:  api.Cluster{Name: a.cfg.Cluster},
		Warnings: []api.Warning{}, Members: []api.Member{},
		Traffic: api.Traffic{Dropped: map[string]uint64{}}, State: a.state(),
	}
	a.fillStorage(&s.Storage)
	s.Warnings = append(s.Warnings, a.diskWarnings(s.Storage)...)
	s.Clock = clock(a.started, time.Now(), time.Since(a.started), release.Time)
	d := a.current()
	if d == nil && a.haveKey.Load() {
		s.Node.State = "starting"
		s.Warnings = append(s.Warnings, api.Warning{Code: "starting", Message: "The agent is starting.", Next: "edgeraft status"})
		return s, nil
	}
	if d == nil {
		s.Warnings = append(s.Warnings, api.Warning{
			Code: "no_key", Message: "This device has no cluster key yet.",
			Next: "edgeraft init   (first device), or: edgeraft join KEY   (all others)",
		})
		return s, nil
	}
	st, err := d.server.Status(ctx)
	if err != nil {
		return s, err
	}
	fillNode(&s, st)
	s.Founding = apiFounding(st.Founding, s.Node)
	if ago, ok := d.leaderContact(st.Leader); ok {
		ms := ago.Milliseconds()
		s.Cluster.LeaderContactMS = &ms
	}
	s.Members = memberList(st, d.comms.contacts(), a.opened.Identity.ID)
	s.Traffic, s.MQTT = d.traffic(st.Drops), d.comms.brokerStatus()
	s.Storage.LogBytes, s.Storage.Snapshot = uint64(st.LogBytes), uint64(st.Snapshot)
	keys := d.keyStatus(st)
	s.Keys = &keys
	s.Storage.WritingMS = st.Writing.Milliseconds()
	s.Warnings = append(append(s.Warnings, d.warnings(st, s.Members)...), memberDiskWarnings(s.Members, d.silenceLimit())...)
	s.Warnings = append(s.Warnings, keyWarnings(keys)...)
	s.Warnings = append(s.Warnings, cardWarnings(s.Storage.Card)...)
	s.Warnings = append(append(s.Warnings, writeWarnings(st.Writing)...), clockWarnings(s.Clock, release.Time)...)
	s.Clock.LeaderAheadMS = leaderAhead(s.Members)
	s.Warnings = append(s.Warnings, apartWarnings(s.Clock, s.Members)...)
	s.Healthy = s.Node.State == "member" && s.Cluster.Leader != "" && !urgent(s.Warnings)
	return s, nil
}

func (a *agent) state() api.State {
	s := a.store.Stats()
	return api.State{
		Keys: uint64(s.Keys), Expiring: uint64(s.Expiring), Bytes: uint64(s.Bytes),
		IdempotencyKeys: uint64(a.app.Stats().Keys),
	}
}

func fillNode(s *api.Status, st server.Status) {
	n := &s.Node
	n.Role, n.Term = st.Role.String(), uint64(st.Term)
	n.Commit, n.Applied, n.Last, n.Stable = uint64(st.Commit), uint64(st.Applied), uint64(st.Last), uint64(st.Stable)
	n.LastTerm = uint64(st.LastTerm)
	_, member := st.Config.Member(st.ID)
	switch {
	case st.Removed:
		n.State = "removed"
	case member:
		n.State = "member"
	default:
		n.State = "waiting_for_cluster"
	}
	if !st.Cluster.IsZero() {
		s.Cluster.ID, s.Cluster.Level = st.Cluster.String(), st.Level
	}
	if m, ok := st.Config.Member(st.Leader); ok {
		s.Cluster.Leader, s.Cluster.LeaderName = string(m.ID), m.Name
	}
}

func memberList(st server.Status, contacts map[raft.NodeID]contact, self raft.NodeID) []api.Member {
	out := []api.Member{}
	for _, m := range st.Config.Members {
		am := api.Member{
			ID: string(m.ID), Name: m.Name, Role: m.Role.String(),
			Leader: m.ID == st.Leader, Self: m.ID == self,
		}
		if c := contacts[m.ID]; c.heard {
			am.Address, am.Transport, am.RoundTripUS, am.Paths = c.address, c.transport, c.roundTrip.Microseconds(), c.paths
			ms := c.lastHeard.Milliseconds()
			am.LastContactMS = &ms
		}
		if h, ok := st.Held[m.ID]; ok && m.ID != self {
			am.LastIndex, am.LastTerm = uint64(h.Index), uint64(h.Term)
		}
		if a, ok := st.Known[m.ID]; ok {
			am.Level, am.Version = a.Level, a.Version
			if ahead, ok := a.ClockAhead(wall()); ok && m.ID != self {
				ms := ahead.Milliseconds()
				am.ClockAheadMS = &ms
			}
		}
		if m.ID == self {
			am.Level, am.Version = spokenLevel(), release.Version()
		}
		if p, ok := st.Peers[m.ID]; ok {
			lag := uint64(st.Last - min(p.Match, st.Last))
			am.Lag = &lag
			am.DiskShort = p.Short
		}
		if am.Self {
			am.DiskShort = st.Short
		}
		out = append(out, am)
	}
	return out
}

func (d *device) traffic(drops server.Drops) api.Traffic {
	t := d.comms.traffic()
	if drops.Foreign > 0 {
		t.Dropped["foreign_cluster"] = drops.Foreign
	}
	if drops.Unexpected > 0 {
		t.Dropped["unexpected"] = drops.Unexpected
	}
	return t
}

// strangerFor is how long a stranger is worth a warning after it was heard.
const strangerFor = time.Minute

// warnings lists what is wrong, most urgent first.
func (d *device) warnings(st server.Status, ms []api.Member) []api.Warning {
	var ws []api.Warning
	add := func(code, next, format string, args ...any) {
		ws = append(ws, api.Warning{Code: code, Message: fmt.Sprintf(format, args...), Next: next})
	}
	switch {
	case len(st.Config.Members) == 0 && st.JoinReason != "":
		add("not_admitted", "edgeraft members add "+string(d.self)+"   (on a member)", "The cluster has not admitted this device: %s.", st.JoinReason)
	case st.Founding != nil:
		ws = append(ws, d.foundingWarning(st.Founding))
	case len(st.Config.Members) == 0:
		add("no_cluster", "sudo edgeraft doctor   (why is nobody heard?), or, on the first device only: edgeraft init",
			"No member of the cluster %q with this key has been found yet (%s).", d.cfg.Cluster, d.searching())
	case st.Removed:
		add("removed", "edgeraft members add "+string(d.self)+"   (on a member)",
			"This device was removed from its cluster; its state stays as it was then.")
	case st.Fenced: // recovered_without says why there is no leader
	case st.Leader == "":
		ws = append(ws, noLeader(st.Config.Voters(), st.Config.Quorum(), d.votersHeard(st)))
	}
	if was := d.wasMember(st); was != "" && d.startedOver() {
		add("started_over", "edgeraft status", "This device left its cluster, where it was %s, and joins as a new one, %s. What it had is kept as %s.",
			was[:8], d.self[:8], filepath.Join(d.cfg.DataDir, boltlog.LeftName))
	} else if was != "" {
		add("storage_lost", "edgeraft members list", "This device lost its storage (what is left is kept as %s). As %s it takes the place of %s, which it was.",
			filepath.Join(d.cfg.DataDir, boltlog.DamagedName), d.self[:8], was[:8])
	} else if _, err := os.Stat(filepath.Join(d.cfg.DataDir, boltlog.DamagedName)); err == nil {
		add("storage_kept", "rm "+filepath.Join(d.cfg.DataDir, boltlog.DamagedName), "The storage of this device was damaged, and has healed. Delete %s when you have looked at it; if it happens again, replace the card.",
			filepath.Join(d.cfg.DataDir, boltlog.DamagedName))
	}
	ws = append(append(ws, d.oneWayWarnings(st)...), d.unreadableWarnings(st)...)
	ws = append(ws, brokerWarnings(d.comms.brokerStatus(), d.self)...)
	ws = append(ws, d.strangerWarnings(st)...)
	ws = append(ws, oldest(st, spokenLevel())...)
	if st.TooLarge > 0 {
		add("snapshot_too_large", "edgeraft list", "The state is too large for a snapshot, so the log cannot be shortened. Delete what is not needed.")
	}
	if st.LogBytes > d.cfg.Limits.LogBytes*9/10 {
		add("log_full", "edgeraft status   (on the leader)", "The log is nearly full: %d of %d bytes. At the limit nothing more can be committed.",
			st.LogBytes, d.cfg.Limits.LogBytes)
	}
	for _, m := range ms {
		if st.Role != raft.Leader || m.Self || m.LastContactMS != nil && time.Duration(*m.LastContactMS)*time.Millisecond < d.silenceLimit() {
			continue
		}
		since := "since this device started"
		if m.LastContactMS != nil {
			since = fmt.Sprintf("for %v", (time.Duration(*m.LastContactMS) * time.Millisecond).Round(time.Second))
		}
		add("member_missing", "edgeraft members remove "+m.ID+"   (if it is gone for good)", "Member %s (%s) has not been heard %s.", m.Name, m.ID[:8], since)
	}
	return ws
}

// noLeader is about the want of a leader: where enough are heard it is not that they
// are missing.
func noLeader(voters, quorum, heard int) api.Warning {
	w := api.Warning{Code: "no_leader", Next: "edgeraft why   (on each of the others)"}
	if heard < quorum {
		w.Message = fmt.Sprintf("No leader is known: of %d voters %d must be reachable, %d were heard lately.", voters, quorum, heard)
	} else {
		w.Message = fmt.Sprintf("No leader is known, though %d of %d voters are heard: an election is under way; or, if this lasts, disks are stuck, or what some send gets lost.", heard, voters)
	}
	return w
}

// wasMember is the member that this device was before it lost its storage, while
// it still is one and this device has not taken its place; "" otherwise.
func (d *device) wasMember(st server.Status) raft.NodeID {
	for _, old := range d.replaces {
		if _, member := st.Config.Member(old); member || len(st.Config.Members) == 0 {
			return old
		}
	}
	return ""
}

// searching says how discovery fares.
func (d *device) searching() string {
	if d.comms.udp == nil {
		return "asking through the MQTT broker"
	}
	if d.cfg.Discovery == config.DiscoveryOff {
		return fmt.Sprintf("discovery is off; trying %d configured peers", len(d.cfg.Peers))
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.found.Err != nil {
		return "mDNS fails: " + d.found.Err.Error()
	}
	return fmt.Sprintf("mDNS on %v hears %d devices", d.found.Interfaces, d.found.Peers)
}

func (d *device) votersHeard(st server.Status) int {
	n := 1
	for id, ago := range d.heard() {
		if id != d.self && st.Config.IsVoter(id) && ago < d.silenceLimit() {
			n++
		}
	}
	return n
}

// urgent reports whether a warning means that this device cannot do its work.
func urgent(ws []api.Warning) bool {
	for _, w := range ws {
		switch w.Code {
		case "no_leader", "removed", "no_cluster", "founding", "not_admitted", "log_full", "disk_full", "majority_full", "one_way":
			return true
		}
	}
	return false
}
