package server

import (
	"context"
	"strings"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/raft"
)

// joiner asks to be admitted, or to be noticed, ever more seldom, while this
// device hears no leader.
type joiner struct {
	wait   int // ticks until the next time; 0: now
	since  int // ticks since the last time
	gap    int // least ticks from one to the next; grows with each that was hurried
	pause  int // ticks to wait after that
	active bool
	hellos int    // sent as a member since the start
	reason string // what the cluster said last
}

// The waits between two questions, in heartbeat intervals.
const (
	firstJoinWait = 1
	maxJoinWait   = 16
	// maxFoundingWait is for a blank device that founds a cluster with others: it
	// must not count as silent (raft's founding), nor be waited for for long.
	maxFoundingWait = 4
)

// startHellos is how often a member asks after its start even if it hears a
// leader. Followers do not speak to each other, and one that has not heard the
// others since its start would take recorded packets of theirs for new, and the
// place they come from for theirs.
const startHellos = 2

func (j *joiner) schedule(ticks int) { j.wait = ticks }

// hurry brings the next time forward, the first few times to at once, in the
// end to no less than a heartbeat after the last: announcements are no proof of
// anything, and whoever makes them up must not make this device flood the
// addresses in them.
func (j *joiner) hurry(beat int) {
	if due := max(j.gap-j.since, 0); due < j.wait {
		j.wait = due
		j.gap = min(max(2*j.gap, 1), beat)
	}
	j.pause = 0
}

func (j *joiner) tick() {
	j.since++
	if j.wait > 0 {
		j.wait--
	}
}

func (j *joiner) ticksUntilWork() int {
	if !j.active {
		return 0
	}
	return max(j.wait, 1)
}

// answered notes what the leader said; followers only say who leads.
func (j *joiner) answered(from raft.NodeID, a raft.JoinAnswer) {
	if from == a.Leader {
		j.reason = a.Reason
	}
}

// askToJoin sends Join to whoever can be reached, while this device hears no
// leader and has never been in a configuration. A member does so too, also one
// that has not got so far in the log: it may have come back with another
// address, at which the leader does not look for it. One that was removed does
// not come back by itself.
func (s *Server) askToJoin() {
	member := len(s.core.Config().Members) > 0
	hello := member && s.join.hellos < startHellos
	s.join.active = (s.core.Leader() == "" || hello) && !s.core.Removed() || s.replacing()
	if !s.join.active {
		s.join.gap = 0
	}
	if !s.join.active || s.join.wait > 0 {
		return
	}
	beat := s.cfg.Core.HeartbeatTicks
	longest := maxJoinWait
	if s.core.Founds() {
		longest = maxFoundingWait
	}
	s.join.pause = min(max(2*s.join.pause, firstJoinWait*beat), longest*beat)
	s.join.schedule(s.join.pause + s.cfg.Core.Random(beat))
	s.join.since = 0
	if member {
		s.join.hellos++
	}
	s.sayHello("")
}

// Discovered hints that a device was just found, which a device without a
// cluster should ask at once, and one with a cluster tell that it has one. With
// "" it may be any.
func (s *Server) Discovered(ctx context.Context, id raft.NodeID) error {
	return s.do(ctx, func() {
		s.join.hurry(s.cfg.Core.HeartbeatTicks)
		s.foundStranger(id)
	})
}

// receiveJoin admits a device that proved to hold the cluster's key, as a
// learner. Followers tell it who leads.
func (s *Server) receiveJoin(m raft.Message, b raft.Join) {
	st := s.core.Status()
	if st.Cluster.IsZero() {
		// Copies of a blank device would found two clusters, as one founder of each.
		if known := s.meet(m.From, b.Run, b.Version); known != (raft.Run{}) {
			s.say(m.From, raft.JoinAnswer{Known: known})
			return
		}
		s.core.HearJoin(m.From, m.Cluster, b)
		return
	}
	if m.Cluster.IsZero() {
		s.core.TellFounded(m.From)
	}
	if !m.Cluster.IsZero() && m.Cluster != st.Cluster {
		s.foreign(m)
		s.say(m.From, raft.JoinAnswer{}) // so that the other knows too
		return
	}
	answer := raft.JoinAnswer{Leader: st.Leader, Run: s.run(), Version: s.version(), Known: s.meet(m.From, b.Run, b.Version)}
	if answer.Known != (raft.Run{}) {
		s.say(m.From, answer)
		return
	}
	_, known := st.Config.Member(m.From)
	switch {
	case !known && b.Member:
		s.core.TellRemoved(m.From)
		return
	case known && st.Role == raft.Leader && b.Replaces != "":
		answer.Reason = s.replace(st, m.From, b.Replaces)
	case known || st.Role != raft.Leader:
	case s.cfg.ManualJoin:
		answer.Reason = "this cluster admits devices by hand: edgeraft members add " + string(m.From)
	default:
		ch := raft.Change{Kind: raft.AddLearner, ID: m.From, Name: clip(b.Name, raft.MaxNameLen)}
		if err := s.core.ProposeChange(ch); err != nil {
			answer.Reason = clip(err.Error(), raft.MaxReasonLen)
		}
	}
	s.say(m.From, answer)
}

// replaces is whose place this device is to take: one that is a member as far
// as is known here, else the newest; "" for nobody.
func (s *Server) replaces() raft.NodeID {
	conf := s.core.Config()
	var old raft.NodeID
	for _, old = range s.cfg.Replaces {
		if _, member := conf.Member(old); member {
			return old
		}
	}
	return old
}

// replacing reports whether the member whose place this device is to take is
// still one.
func (s *Server) replacing() bool {
	conf := s.core.Config()
	_, here := conf.Member(s.cfg.Core.ID)
	_, there := conf.Member(s.replaces())
	return here && there
}

// replace takes the next step towards a device's taking the place of the member
// that it was before it lost its storage: its vote first, if that had one, then
// the removal. The device asks again until it is done. It returns what it waits
// for, for people.
func (s *Server) replace(st raft.Status, who, old raft.NodeID) string {
	was, ok := st.Config.Member(old)
	p, heard := st.Peers[old]
	switch {
	case !ok || old == who:
		return ""
	case old == st.ID || heard && p.Silent <= s.cfg.Core.ElectionTicks:
		return "the device it says it replaces is alive; see edgeraft members list"
	case s.cfg.ManualJoin:
		return "this cluster is changed by hand: edgeraft members remove " + string(old)
	}
	change := raft.Change{Kind: raft.Remove, ID: old}
	if was.Role == raft.Voter && !st.Config.IsVoter(who) {
		change = raft.Change{Kind: raft.Promote, ID: who}
	}
	if err := s.core.ProposeChange(change); err != nil {
		return clip(err.Error(), raft.MaxReasonLen)
	}
	return ""
}

// clip makes text fit for a message: valid UTF-8 of at most n bytes.
func clip(text string, n int) string {
	text = strings.ToValidUTF8(text, "?")
	for len(text) > n {
		_, size := utf8.DecodeLastRuneInString(text)
		text = text[:len(text)-size]
	}
	return text
}

// proposeMembership lets a leader give votes to learners, and take those of
// voters that are dead.
func (s *Server) proposeMembership() {
	if s.core.Role() != raft.Leader || !s.core.HasLearners() && s.core.Config().Voters() <= 3 {
		return
	}
	policy := raft.VoterPolicy{
		MaxVoters: s.cfg.MaxVoters, MaxSilent: 3 * s.cfg.Core.HeartbeatTicks, DeadAfter: int(s.cfg.DeadAfter / s.cfg.Tick),
	}
	if ch, ok := raft.NextVoterChange(s.core.Status(), policy); ok {
		// It fits by construction; should it not, the next tick tries again.
		_ = s.core.ProposeChange(ch)
	}
}
