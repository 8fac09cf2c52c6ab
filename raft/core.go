package raft

import (
	"errors"
	"fmt"
)

// Config is what a Core needs to know. Zero limits get the defaults below.
type Config struct {
	ID NodeID
	// ElectionTicks is the least time without word from a leader after which a
	// follower campaigns; each wait is random in [ElectionTicks, 2×).
	ElectionTicks int
	// HeartbeatTicks is how often a leader speaks; well below ElectionTicks.
	HeartbeatTicks int
	// StallTicks is how long a leader with work in flight may go without
	// committing anything, or without room on its disk for any, before it steps
	// down: its heartbeats would otherwise keep a useless leader alive for ever.
	// A snapshot on its way to a voter counts like a commit.
	StallTicks int
	// Random returns a number in [0, n). It is the only source of chance.
	Random func(n int) int
	// Boot counts the starts of this device; it only grows (see Forward).
	Boot uint64
	// ProposalBase is added to the count of this device's proposals to make
	// their IDs. It should be a hash of ID and Boot, so that no two devices
	// and no two boots use the same IDs.
	ProposalBase uint64
	// Now is what the device's monotonic clock shows when the Core is made; see
	// SetNow.
	Now Time
	// Level is the protocol level of this device; 0: ProtocolLevel.
	Level uint32
	// CommandLevel tells at which protocol level the App knows a command, by its
	// data alone; nil: all are as old as the first. See level.go.
	CommandLevel func(data []byte) uint32
	// Founding is how this device founds a cluster together with others.
	Founding FoundingConfig

	MaxCommandBytes  int // of one proposal
	MaxProposals     int // this device's, not yet committed
	MaxProposalBytes int // likewise, in bytes
	MaxAppendBytes   int // entries in one AppendRequest
	MaxInflight      int // AppendRequests with entries a follower has not answered
	MaxInflightBytes int // likewise, their entries in bytes; one is always allowed
	MaxUnsavedBytes  int // entries handed to storage and not yet durable
	MaxPendingBytes  int // entries appended by a leader and not yet committed
	MaxLogBytes      int // entries in memory
	MaxApplyBytes    int // entries in one Ready
	MaxPendingReads  int // reads a leader confirms for others at a time
	MaxForwardWindow int // proposals a device may have on their way to the leader
	MaxSnapshotBytes int // of the App's state
	MaxSnapshotRate  int // bytes of snapshots a leader sends in a tick
	MaxTrailBytes    int // entries kept below a snapshot, for members that lag a little
}

// The defaults for the limits in Config.
const (
	DefaultMaxCommandBytes  = 64 << 10
	DefaultMaxProposals     = 1024
	DefaultMaxProposalBytes = 4 << 20
	DefaultMaxAppendBytes   = 16 << 10
	DefaultMaxInflight      = 16
	DefaultMaxInflightBytes = 256 << 10
	DefaultMaxUnsavedBytes  = 4 << 20
	DefaultMaxPendingBytes  = 4 << 20
	DefaultMaxLogBytes      = 64 << 20
	DefaultMaxApplyBytes    = 256 << 10
	DefaultMaxPendingReads  = 256
	DefaultMaxForwardWindow = 4096
	DefaultMaxSnapshotBytes = 64 << 20
	DefaultMaxSnapshotRate  = 64 << 10
	DefaultMaxTrailBytes    = 1 << 20
)

func orDefault(v *int, d int) {
	if *v <= 0 {
		*v = d
	}
}

func (cfg *Config) complete() error {
	switch {
	case !cfg.ID.Valid():
		return fmt.Errorf("raft: %q is no node ID", cfg.ID)
	case cfg.HeartbeatTicks < 1 || cfg.ElectionTicks < 2*cfg.HeartbeatTicks:
		return errors.New("raft: the election timeout must be at least twice the heartbeat interval, which must be at least one tick")
	case cfg.Random == nil:
		return errors.New("raft: a source of chance is needed")
	case cfg.Founding.Expect != 0 && (cfg.Founding.Expect < 2 || cfg.Founding.Expect > MaxExpect):
		return fmt.Errorf("raft: %d devices cannot found a cluster together; 2 to %d can", cfg.Founding.Expect, MaxExpect)
	}
	if cfg.Level == 0 {
		cfg.Level = ProtocolLevel
	}
	orDefault(&cfg.StallTicks, 6*cfg.ElectionTicks)
	orDefault(&cfg.MaxCommandBytes, DefaultMaxCommandBytes)
	orDefault(&cfg.MaxProposals, DefaultMaxProposals)
	orDefault(&cfg.MaxProposalBytes, DefaultMaxProposalBytes)
	orDefault(&cfg.MaxAppendBytes, DefaultMaxAppendBytes)
	orDefault(&cfg.MaxInflight, DefaultMaxInflight)
	orDefault(&cfg.MaxInflightBytes, DefaultMaxInflightBytes)
	orDefault(&cfg.MaxUnsavedBytes, DefaultMaxUnsavedBytes)
	orDefault(&cfg.MaxPendingBytes, DefaultMaxPendingBytes)
	orDefault(&cfg.MaxLogBytes, DefaultMaxLogBytes)
	orDefault(&cfg.MaxApplyBytes, DefaultMaxApplyBytes)
	orDefault(&cfg.MaxPendingReads, DefaultMaxPendingReads)
	orDefault(&cfg.MaxForwardWindow, DefaultMaxForwardWindow)
	orDefault(&cfg.MaxSnapshotBytes, DefaultMaxSnapshotBytes)
	orDefault(&cfg.MaxSnapshotRate, DefaultMaxSnapshotRate)
	orDefault(&cfg.MaxTrailBytes, DefaultMaxTrailBytes)
	return nil
}

// Core is one device's Raft state. It is not safe for concurrent use.
type Core struct {
	cfg  Config
	hard HardState
	log  memLog
	// clock is cluster time, as far as it is known here.
	clock clusterClock
	// confs is derived from the log: its newest configuration is in force.
	confs confHistory
	// joined: one of the configurations that were in force here had this device in
	// it, or may have had: what a stored snapshot stands for is not known.
	joined bool

	role   Role
	leader NodeID // of this term, "" while unknown

	commit  Index
	applied Index // last entry handed out to be applied
	// verified is the last entry known to agree with the leader of this term.
	verified Index

	elapsed int // ticks since the leader was heard, or the campaign began
	timeout int // ticks after which to campaign
	// suspicious: the leader is said to be gone (SuspectLeader).
	suspicious bool
	// hintTerm is the term of the hint last taken, 0 for none and when it turned
	// out false, and disbelief for how many ticks no other is taken.
	hintTerm  Term
	disbelief int
	votes     map[NodeID]bool // answers to a campaign
	// futile is how many candidacies in a row nobody decided in time.
	futile int
	// removedAt is the configuration that has no place for this device, as
	// another member said; 0 for none.
	removedAt Index
	// fence: this device's cluster was recovered without it. From the start on it
	// counts as lost.
	fence fence
	// handedOver: the campaign about to begin is the leader's wish (§3.10).
	handedOver bool
	lead       leaderState // a leader's only

	snap     *Snapshot // the newest, nil for none
	incoming *incoming // a snapshot that is arriving, nil for none
	restore  *Snapshot // for the App, at the next Ready

	store     storage
	proposals proposals
	reads     localReads
	founding  founding
	// toldLevel is the cluster's protocol level, as its leader said last, and
	// leaderLevel that leader's own.
	toldLevel, leaderLevel uint32
	out                    []Message
}

// New makes a Core from what was on stable storage. It starts as a follower
// that restores its snapshot, if there is one, and applies its log from there.
func New(cfg Config, from Stored) (*Core, error) {
	if err := cfg.complete(); err != nil {
		return nil, err
	}
	c := &Core{cfg: cfg, hard: from.State, fence: fence{without: lostFor * cfg.ElectionTicks}}
	c.clock.now = cfg.Now
	entries, err := c.startFrom(from)
	if err != nil {
		return nil, err
	}
	prev := Entry{Index: c.log.base, Term: c.log.baseTerm, Time: c.log.baseTime}
	for _, e := range entries {
		if !e.follows(prev) || e.Term > from.State.Term {
			return nil, fmt.Errorf("raft: stored entry %d (term %d) does not follow entry %d (term %d) in term %d",
				e.Index, e.Term, prev.Index, prev.Term, from.State.Term)
		}
		prev = e
		c.log.append(e)
		if e.Kind == EntryConfig && e.Index > c.confs.index() {
			c.hold(e.Index, e.Config)
		}
	}
	c.log.handed = c.log.last()
	c.log.markStable(c.log.last())
	c.clock.set(c.log.lastTime(), 0)
	// The stored commit index is a lower bound, and was written after the
	// entries it covers; beyond the end it cannot be true.
	c.commit = max(min(from.State.Commit, c.log.last()), c.applied)
	c.store.savedTerm, c.store.savedVote = from.State.Term, from.State.Vote
	c.proposals.init(cfg)
	c.initFounding(from.Founding)
	c.become(Follower, c.hard.Term, "")
	if c.loneVoter() {
		c.elapsed = c.timeout // nobody else to wait for
	}
	return c, nil
}

func (c *Core) conf() *Configuration { return c.confs.current() }

func (c *Core) loneVoter() bool {
	return c.conf().Voters() == 1 && c.conf().IsVoter(c.cfg.ID)
}

// Found makes a blank device the first member of a new cluster. It is
// ErrAlreadyFounded on any other, and ErrFounding on one that founds a cluster
// together with others, or has agreed to.
func (c *Core) Found(cluster ClusterID, name string) error {
	if !c.hard.Cluster.IsZero() || c.hard.Term != 0 || c.log.last() != 0 {
		return fmt.Errorf("found a cluster: %w", ErrAlreadyFounded)
	}
	switch {
	case c.founding.state.Charter != nil:
		return fmt.Errorf("found a cluster: it has agreed to one with others, which may exist by now: %w", ErrFounding)
	case c.cfg.Founding.Expect > 0:
		return fmt.Errorf("found a cluster: it expects %d devices: %w", c.cfg.Founding.Expect, ErrFounding)
	}
	conf := noMembers.with(Member{ID: c.cfg.ID, Name: name, Role: Voter})
	c.beFounded(&Charter{Cluster: cluster, Config: conf})
	c.elapsed = c.timeout
	return nil
}

// Ready is everything a Core wants done. The order of its parts does not
// matter: what must wait for the Save is withheld until Core.Saved.
type Ready struct {
	Save      *Save      // make durable, then call Saved; nil when there is nothing
	Restore   *Snapshot  // put the App into this state, before Committed; nil for nothing
	Messages  []Message  // send now
	Committed []Entry    // apply, in this order
	Reads     []ReadDone // reads that may be served
	Failed    []Failed   // proposals that surely have no effect, but for ErrOutcomeUnknown
}

// ReadDone says that reads up to number Seq may be served by a state that has
// applied Index.
type ReadDone struct {
	Seq   uint64
	Index Index
}

// Failed is a proposal that will not be committed, and why. With
// ErrOutcomeUnknown it may be, or is: a snapshot stood for the entries here.
type Failed struct {
	ID  ProposalID
	Err error
}

// Empty reports whether there is nothing to do.
func (r *Ready) Empty() bool {
	return r.Save == nil && r.Restore == nil && len(r.Messages) == 0 && len(r.Committed) == 0 && len(r.Reads) == 0 && len(r.Failed) == 0
}

// Ready returns what is to be done since the last call. Call it after any
// input, until it is Empty.
func (c *Core) Ready() Ready {
	c.routeProposals()
	if c.role == Leader {
		c.confirmReads()
		c.replicateAll()
	}
	rd := Ready{Save: c.takeSave(), Restore: c.restore, Committed: c.takeCommitted()}
	c.restore = nil
	rd.Messages, c.out = c.out, nil
	for i := range rd.Messages {
		rd.Messages[i].Level = c.cfg.Level
	}
	rd.Reads, c.reads.done = c.reads.done, nil
	rd.Failed, c.proposals.failed = c.proposals.failed, nil
	return rd
}

// takeCommitted returns the next committed entries. They may be applied before
// they are durable here: a majority has them.
func (c *Core) takeCommitted() []Entry {
	es := c.log.slice(c.applied+1, c.commit, c.cfg.MaxApplyBytes)
	for _, e := range es {
		c.applied = e.Index
		c.proposals.committed(e)
	}
	c.confs.commit(c.applied)
	return es
}

// Tick advances time by one tick.
func (c *Core) Tick() {
	c.elapsed++
	c.disbelief = max(c.disbelief-1, 0)
	c.tickFence()
	c.store.tick()
	c.proposals.tick()
	c.tickReads()
	c.tickFounding()
	c.behaviour().tick(c)
}

// TicksUntilWork is how many ticks may pass, at least 1, before one of them
// does anything, so that an idle device need not wake for each.
func (c *Core) TicksUntilWork() int {
	n := c.timeout - c.elapsed
	if c.role == Leader {
		n = c.cfg.HeartbeatTicks - max(c.lead.sinceHeartbeat, c.lead.sinceCheck)
		if c.lead.snapshotBytes <= 0 {
			n = 1 // a snapshot is being sent, as fast as may be
		}
		if c.transferring() {
			n = min(n, c.cfg.ElectionTicks-c.lead.sinceTransfer)
		}
	} else if c.role == Follower && (!c.mayCampaign() || c.voting()) || c.role == Candidate && c.mayCampaign() && c.voting() {
		n = c.cfg.ElectionTicks // as their ticks do nothing
	}
	if c.reads.waiting() {
		n = min(n, c.cfg.HeartbeatTicks-c.reads.since)
	}
	if c.founds() {
		n = min(n, c.ticksUntilFounding())
	}
	return max(min(n, c.ticksUntilRepeat()), 1)
}
