package raft

// Status is a picture of a Core for people and for the driver's decisions.
type Status struct {
	ID       NodeID
	Cluster  ClusterID
	Role     Role
	Term     Term
	Leader   NodeID
	Commit   Index
	Applied  Index // handed out to be applied
	Last     Index
	LastTerm Term // of that entry
	Stable   Index
	LogBytes int
	// Short says that storage has no room for further commands.
	Short bool
	// Snapshot is the index of the newest snapshot, 0 for none; First the first
	// entry that is still in the log.
	Snapshot Index
	First    Index
	// Config is the configuration in force, and ConfigIndex where it stands in
	// the log; it is committed if that is not above Commit.
	Config      *Configuration
	ConfigIndex Index
	// Level is the protocol level of all members together, as ClusterLevel says.
	Level uint32
	// Founding is how the founding of a cluster stands, nil where none is.
	Founding *FoundingStatus
	// CanChange says that a leader could start a membership change now.
	CanChange bool
	// Removed says that this device is known to be no member any more.
	Removed bool
	// Fenced says that this device takes no part any more, as its cluster was
	// recovered without it (Core.HearOf).
	Fenced bool
	// Peers holds, on a leader, what it knows of each other member.
	Peers map[NodeID]PeerStatus
}

// PeerStatus is what a leader knows of another member.
type PeerStatus struct {
	Match    Index // durable there
	Silent   int   // ticks since it was heard
	Short    bool  // its disk has no room for further commands
	CaughtUp bool  // it holds so much of the log that it may be given a vote
}

// Status returns a picture of the present state.
func (c *Core) Status() Status {
	s := Status{
		ID: c.cfg.ID, Cluster: c.hard.Cluster, Role: c.role, Term: c.hard.Term, Leader: c.leader,
		Commit: c.commit, Applied: c.applied, Last: c.log.last(), LastTerm: c.log.lastTerm(), Stable: c.log.stable,
		LogBytes: c.log.bytes, Short: c.store.short, Snapshot: c.snapshotIndex(), First: c.log.base + 1, Config: c.conf(), ConfigIndex: c.confs.index(), Removed: c.Removed(), Fenced: c.fence.up,
		Level: c.ClusterLevel(), Founding: c.foundingStatus(),
	}
	if c.role == Leader {
		s.CanChange = c.confs.index() <= c.commit && c.ownTermCommitted() && !c.transferring()
		s.Peers = make(map[NodeID]PeerStatus, len(c.lead.peers))
		for id, p := range c.lead.peers {
			s.Peers[id] = PeerStatus{Match: p.match, Silent: p.silent, Short: p.short, CaughtUp: c.caughtUp(p)}
		}
	}
	return s
}

// Short reports whether storage has no room for further commands.
func (c *Core) Short() bool { return c.store.short }

// Role returns the present role.
func (c *Core) Role() Role { return c.role }

// Leader returns the leader of this term, "" while none is known.
func (c *Core) Leader() NodeID { return c.leader }

// State returns the hard state as it is, durable or not.
func (c *Core) State() HardState { return c.hard }

// Config returns the configuration in force.
func (c *Core) Config() *Configuration { return c.conf() }

// HasLearners reports whether a member of the configuration has no vote.
func (c *Core) HasLearners() bool { return len(c.conf().Members) > c.conf().Voters() }

// Entry returns entry i of the log, committed or not, and whether there is one.
// Its data is shared and must not be changed.
func (c *Core) Entry(i Index) (Entry, bool) {
	if i <= c.log.base || i > c.log.last() {
		return Entry{}, false
	}
	return c.log.entries[i-c.log.base-1], true
}

// AppliedEntry is the last entry that Ready handed out to be applied, with its
// term and time; zeros before the first.
func (c *Core) AppliedEntry() (Index, Term, Time) {
	return c.applied, c.log.term(c.applied), c.log.time(c.applied)
}
