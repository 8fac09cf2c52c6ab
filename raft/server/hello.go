package server

import (
	"errors"
	"fmt"
	"maps"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// ErrTwin: another device runs, or ran later, with a copy of this device's
// storage. Two may not act as one: they would vote twice, and acknowledge what
// only one of them holds.
var ErrTwin = errors.New("another device runs under this one's ID, with a copy of its data directory, or a newer one")

// Acquaintance is what a device said of itself, and when.
type Acquaintance struct {
	Run     raft.Run // zero: it did not say
	Level   uint32   // its protocol level
	Version string   // of its program; "" where it did not say
	twin    time.Time
	wall    wallClock
}

// Twin is how long ago a device that runs on a copy of this one's storage was
// refused, if one was.
func (a *Acquaintance) Twin() (ago time.Duration, ok bool) {
	return time.Since(a.twin), !a.twin.IsZero()
}

// hello is what this device knows of the runs of others, and they of its own.
type hello struct {
	known map[raft.NodeID]*Acquaintance // of members; at most maxKnown
	// probation is for how many ticks this device takes no part, because it may
	// be a copy of another that runs. Who of the others knew of none is vouched.
	probation int
	vouched   map[raft.NodeID]bool
	// strangers are devices that were found and are no members: each is told of
	// this cluster, a few times. At most maxStrangers.
	strangers []stranger
	sinceTold int // ticks
}

type stranger struct {
	id   raft.NodeID
	left int // times to tell it
}

const (
	maxKnown     = 2 * raft.MaxMembers
	maxStrangers = 16
	// tellings is how often a device that is no member is told of this cluster
	// after it was found: any packet may get lost.
	tellings = 3
)

// beginProbation makes a member that just started take no part until others have
// said that they know of no other run of it, or an election timeout has passed:
// were they many, there would be no leader before.
func (s *Server) beginProbation() {
	s.hello.known, s.hello.vouched = map[raft.NodeID]*Acquaintance{}, map[raft.NodeID]bool{}
	conf := s.core.Config()
	if _, member := conf.Member(s.cfg.Core.ID); member && len(conf.Members) > 1 && s.cfg.Session != 0 {
		s.hello.probation = s.cfg.Core.ElectionTicks
	}
}

func (s *Server) run() raft.Run {
	if s.cfg.Session == 0 {
		return raft.Run{}
	}
	return raft.Run{Boot: s.cfg.Core.Boot, Session: s.cfg.Session}
}

// acquaintance returns what is known of a device, nil where there is no room.
func (s *Server) acquaintance(id raft.NodeID) *Acquaintance {
	h := &s.hello
	if a := h.known[id]; a != nil {
		return a
	}
	conf := s.core.Config()
	if len(h.known) >= maxKnown {
		maps.DeleteFunc(h.known, func(id raft.NodeID, _ *Acquaintance) bool {
			_, member := conf.Member(id)
			return !member
		})
	}
	if len(h.known) >= maxKnown {
		return nil
	}
	a := &Acquaintance{}
	h.known[id] = a
	return a
}

// heard notes the level of whoever sent a message.
func (s *Server) heard(m raft.Message) {
	if _, member := s.core.Config().Member(m.From); !member && s.hello.known[m.From] == nil {
		return
	}
	if a := s.acquaintance(m.From); a != nil {
		a.Level = max(m.Level, 1)
		a.wall.note(m.Wall)
	}
}

// meet notes a device's run, and returns the one that is known of it where the
// two cannot be runs of one device: of the same boot, or of a later one than that.
func (s *Server) meet(id raft.NodeID, run raft.Run, version string) raft.Run {
	a := s.acquaintance(id)
	if a == nil || run == (raft.Run{}) {
		return raft.Run{}
	}
	if a.Run != (raft.Run{}) && run != a.Run && run.Boot <= a.Run.Boot {
		a.twin = time.Now()
		return a.Run
	}
	a.Run, a.Version = run, version
	return raft.Run{}
}

// receiveJoinAnswer takes in what a member says to a device that asked, or
// started.
func (s *Server) receiveJoinAnswer(m raft.Message, b raft.JoinAnswer) {
	cluster := s.core.State().Cluster
	if !cluster.IsZero() && !m.Cluster.IsZero() && m.Cluster != cluster {
		s.foreign(m)
		return
	}
	if s.knownElsewhere(m.From, b.Known) || m.Cluster.IsZero() {
		return
	}
	s.join.answered(m.From, b)
	s.core.HearCluster()
	if cluster.IsZero() {
		return
	}
	s.meet(m.From, b.Run, b.Version)
	conf := s.core.Config()
	if _, member := conf.Member(m.From); !member || s.hello.probation == 0 {
		return
	}
	s.hello.vouched[m.From] = true
	if len(s.hello.vouched) >= max(conf.Quorum()-1, 1) {
		s.hello.probation = 0
	}
}

// knownElsewhere ends this device where another knows of a run of it that is not
// this one, and not an earlier one.
func (s *Server) knownElsewhere(by raft.NodeID, known raft.Run) bool {
	own := s.run()
	if own == (raft.Run{}) || known == (raft.Run{}) || known == own || known.Boot < own.Boot {
		return false
	}
	s.failed = fmt.Errorf("%s (boot %d) is known to %s: %w", s.cfg.Core.ID, known.Boot, by, ErrTwin)
	return true
}

// foreign counts a message of another cluster, and remembers whose.
func (s *Server) foreign(m raft.Message) {
	s.drops.Foreign++
	s.drops.LastForeign, s.drops.LastForeignFrom, s.drops.foreignAt = m.Cluster, m.From, time.Now()
	s.core.HearOf(m.Cluster)
}

// foundStranger notes that a device was found that may be of another cluster.
func (s *Server) foundStranger(id raft.NodeID) {
	_, member := s.core.Config().Member(id)
	if member || !id.Valid() || id == s.cfg.Core.ID || s.core.State().Cluster.IsZero() || len(s.hello.strangers) >= maxStrangers {
		return
	}
	for i := range s.hello.strangers {
		if s.hello.strangers[i].id == id {
			return
		}
	}
	s.hello.strangers = append(s.hello.strangers, stranger{id, tellings})
}

// tickHello passes a tick.
func (s *Server) tickHello() {
	s.hello.probation = max(s.hello.probation-1, 0)
	s.hello.sinceTold++
}

// tellStranger tells one device at a time that it does not belong to this
// cluster, if that is so: it answers if it belongs to another, and both know.
func (s *Server) tellStranger() {
	h := &s.hello
	if len(h.strangers) == 0 || h.sinceTold < s.cfg.Core.HeartbeatTicks {
		return
	}
	h.sinceTold = 0
	to := h.strangers[0]
	h.strangers = h.strangers[1:]
	if _, member := s.core.Config().Member(to.id); member {
		return
	}
	if to.left--; to.left > 0 {
		h.strangers = append(h.strangers, to)
	}
	s.sayHello(to.id)
}

// sayHello says who this device is: to one, or to whoever can be reached.
func (s *Server) sayHello(to raft.NodeID) {
	// Only members get entries, so whoever has a configuration was one.
	member := len(s.core.Config().Members) > 0
	expect := 0
	if s.core.Founds() {
		expect = s.cfg.Core.Founding.Expect
	}
	s.say(to, raft.Join{
		Name: clip(s.cfg.Name, raft.MaxNameLen), Member: member, Replaces: s.replaces(), Expect: expect,
		Run: s.run(), Version: s.version(),
	})
}

// say sends what is the driver's own, and not the core's.
func (s *Server) say(to raft.NodeID, body raft.Body) {
	s.parts.Comms.Send(raft.Message{
		Cluster: s.core.State().Cluster, From: s.cfg.Core.ID, To: to, Level: s.core.Level(), Body: body,
	})
}

func (s *Server) version() string { return clip(s.cfg.Version, raft.MaxVersionLen) }

// ticksUntilHello is how long nothing of this needs to be done, 0 for ever.
func (s *Server) ticksUntilHello() int {
	switch h := &s.hello; {
	case len(h.strangers) > 0:
		return max(s.cfg.Core.HeartbeatTicks-h.sinceTold, 1)
	case h.probation > 0:
		return h.probation
	}
	return 0
}
