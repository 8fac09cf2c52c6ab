package raft

// Protocol levels: what devices understand of each other. A message carries its
// sender's, and what is new is used only where all members understand it:
//
//	1  all that went before levels; a message without a level is of 1
//	2  foundings, levels, runs in Join and JoinAnswer, AppendRequest.Level
//
// New fields of messages, and new kinds of them, need no level: who does not know
// them ignores them (raft/wire). What does: new kinds of entries, roles, changes
// and reasons, and whatever an old device would take for something else.
const (
	levelFirst  = 1
	levelLevels = 2

	// ProtocolLevel is that of this build.
	ProtocolLevel = 2
)

// level is the level of a message's sender.
func (m *Message) level() uint32 { return max(m.Level, levelFirst) }

// Level is the level of this device.
func (c *Core) Level() uint32 { return c.cfg.Level }

// ClusterLevel is the highest level that all members have, as far as this device
// knows: on a leader by what each said last, and levelFirst for one that it has
// not heard since it leads; on others what the leader says.
func (c *Core) ClusterLevel() uint32 {
	if c.role != Leader {
		return max(c.toldLevel, levelFirst)
	}
	level := c.cfg.Level
	for _, p := range c.lead.peers {
		level = min(level, max(p.level, levelFirst))
	}
	return level
}

// mayUse reports whether a leader may use what came with a level.
func (c *Core) mayUse(level uint32) bool { return c.ClusterLevel() >= level }

// learnLevel notes the level of whoever sent m, which was admitted.
func (c *Core) learnLevel(m Message) {
	if p := c.lead.peers[m.From]; p != nil {
		p.level = m.level()
	}
	if b, ok := m.Body.(AppendRequest); ok && m.From == c.leader {
		c.toldLevel = b.Level
	}
}
