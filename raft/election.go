package raft

// hearsLeader reports whether this device had word from a leader, or is one,
// within the least election timeout. Then it helps nobody to replace it: with
// PreVote and CheckQuorum this keeps a server that merely cannot hear the
// leader from disturbing the others (§4.2.3, §9.6).
func (c *Core) hearsLeader() bool {
	return c.role == Leader || c.leader != "" && c.elapsed < c.patience()
}

// mayCampaign reports whether this device has a vote: in the configuration in
// force, or in an earlier one that is in force again if those after it are
// rolled back. A server that removed itself, or learned of its removal, may
// alone be able to win until that is committed (§4.2.2); it does not count its
// own vote then.
func (c *Core) mayCampaign() bool {
	if c.removedAt > c.confs.index() || c.fence.up {
		return false
	}
	for _, h := range c.confs {
		if h.conf.IsVoter(c.cfg.ID) {
			return true
		}
	}
	return false
}

// takeAnswer notes an answer to a campaign, if it is a voter's.
func (c *Core) takeAnswer(from NodeID, granted bool) {
	if c.conf().IsVoter(from) {
		c.votes[from] = granted
	}
}

// answerPreVote says whether a campaign in the next term could have this
// device's vote. Nothing is promised and nothing changes (§9.6).
func (c *Core) answerPreVote(m Message, b PreVoteRequest) {
	granted := !c.hearsLeader() && !c.fence.up && m.Term+1 > c.hard.Term && c.log.upToDate(b.LastIndex, b.LastTerm)
	c.send(m.From, PreVoteResponse{For: m.Term + 1, Granted: granted})
	c.TellRemoved(m.From)
}

// answerVote gives this term's vote to the first candidate whose log is at
// least as complete as ours (§3.4, §3.6.1). Servers outside our configuration
// are answered too: theirs may be newer than ours (§4.1).
func (c *Core) answerVote(m Message, b VoteRequest) {
	free := c.hard.Vote == "" || c.hard.Vote == m.From
	granted := free && c.leader == "" && !c.fence.up && c.log.upToDate(b.LastIndex, b.LastTerm)
	if granted {
		if c.role == PreCandidate {
			c.become(Follower, c.hard.Term, "")
		}
		c.castVote(m.From)
		c.elapsed = 0
	}
	c.send(m.From, VoteResponse{Granted: granted})
}

// voting reports whether this device has given its vote, be it to itself, and
// the vote is not durable yet. Until it is, it has not been told to anyone, and
// to campaign meanwhile would make it worthless: a disk that takes longer for a
// write than the election timeout would keep everybody from being elected.
func (c *Core) voting() bool {
	return c.leader == "" && c.hard.Vote != "" && (c.store.savedTerm != c.hard.Term || c.store.savedVote != c.hard.Vote)
}

// campaign asks every other voter, by pre-vote or by vote.
func (c *Core) campaign(request Body) {
	for _, m := range c.conf().Members {
		if m.Role == Voter && m.ID != c.cfg.ID {
			c.send(m.ID, request)
		}
	}
}

// tally counts the answers of voters of the configuration in force.
func (c *Core) tally() (won, lost bool) {
	granted, refused := 0, 0
	for _, m := range c.conf().Members {
		if answer, ok := c.votes[m.ID]; ok && m.Role == Voter {
			if answer {
				granted++
			} else {
				refused++
			}
		}
	}
	quorum := c.conf().Quorum()
	return granted >= quorum, refused > c.conf().Voters()-quorum
}
