package raft

// Protocol levels: what devices understand of each other. A message carries its
// sender's, and what is new is used only where all members understand it:
//
//	1  all that went before levels; a message without a level is of 1
//	2  foundings, levels, runs in Join and JoinAnswer, AppendRequest.Level; commands
//	   of restores (app/restore)
//
// New fields of messages, and new kinds of them, need no level: who does not know
// them ignores them (raft/wire). What does: new kinds of entries, roles, changes
// and reasons, and whatever an old device would take for something else.
//
// So do commands that an App of an older version would take for others
// (Config.CommandLevel): its state would then differ from that of the rest. Two
// rules keep them from it, whoever comes, goes or returns:
//
//   - They get into a log only where all members that the leader has heard know
//     them; a device hands them on only to a leader that knows them itself.
//   - No member is sent such an entry before it has said that it knows it, and
//     just now, for it may have been started anew. One that comes later, or comes
//     back with an older version, gets the log up to there, and is behind for good.
//
// So a member that is gone, of whose level nobody knows, keeps none from being used.
// What cannot be helped is a device whose own disk holds such an entry, and on
// which an older version is installed.
const (
	levelFirst  = 1
	levelLevels = 2

	// LevelRestores is since when there are the commands of app/restore.
	LevelRestores = 2

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

// commandLevel is the level at which a command is known.
func (c *Core) commandLevel(data []byte) uint32 {
	if c.cfg.CommandLevel == nil {
		return levelFirst
	}
	return c.cfg.CommandLevel(data)
}

// allKnow reports whether a leader may append a command: all members know it that
// it has heard since it leads. One that it has not is waited for until it is silent
// for an election timeout.
func (c *Core) allKnow(data []byte) bool {
	need := c.commandLevel(data)
	if need <= levelFirst {
		return true
	}
	for _, p := range c.lead.peers {
		if p.level == 0 && p.silent > c.cfg.ElectionTicks {
			continue
		}
		if max(p.level, levelFirst) < need {
			return false
		}
	}
	return c.cfg.Level >= need
}

// leaderKnows reports whether a follower may hand a command on.
func (c *Core) leaderKnows(data []byte) bool {
	return c.commandLevel(data) <= max(c.leaderLevel, levelFirst)
}

// understood is es up to the first that a member has not said it knows, within two
// heartbeats: no device is stopped, changed and started in that. Any answer says it,
// and a heartbeat asks for one.
func (c *Core) understood(p *progress, es []Entry) []Entry {
	if c.cfg.CommandLevel == nil {
		return es
	}
	level := uint32(levelFirst)
	if p.silent <= 2*c.cfg.HeartbeatTicks {
		level = max(p.level, levelFirst)
	}
	for i := range es {
		if es[i].Kind == EntryCommand && c.commandLevel(es[i].Data) > level {
			return es[:i:i]
		}
	}
	return es
}

// learnLevel notes the level of whoever sent m, which was admitted.
func (c *Core) learnLevel(m Message) {
	if p := c.lead.peers[m.From]; p != nil {
		p.level = m.level()
	}
	if m.From != c.leader {
		return
	}
	c.leaderLevel = m.level()
	if b, ok := m.Body.(AppendRequest); ok {
		c.toldLevel = b.Level
	}
}
