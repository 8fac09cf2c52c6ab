package raft

// preCandidate asks whether it could win an election (§9.6). Its term stays.
type preCandidate struct{}

func (preCandidate) enter(c *Core) {
	c.votes = map[NodeID]bool{}
	c.takeAnswer(c.cfg.ID, true)
	c.campaign(PreVoteRequest{LastIndex: c.log.last(), LastTerm: c.log.lastTerm()})
	c.countPreVotes()
}

func (preCandidate) tick(c *Core) { c.campaignAgain() }

func (preCandidate) step(c *Core, m Message) error {
	if b, ok := m.Body.(PreVoteResponse); ok && b.For == c.hard.Term+1 {
		c.takeAnswer(m.From, b.Granted)
		c.countPreVotes()
	}
	return nil
}

func (preCandidate) saved(*Core, bool) {}

func (c *Core) countPreVotes() {
	if won, _ := c.tally(); won {
		c.become(Candidate, c.hard.Term+1, "")
	}
}

// candidate stands for election (§3.4).
type candidate struct{}

func (candidate) enter(c *Core) {
	c.votes = map[NodeID]bool{}
	c.castVote(c.cfg.ID) // counted by saved, once it is durable
	c.campaign(VoteRequest{LastIndex: c.log.last(), LastTerm: c.log.lastTerm(), Transfer: c.handedOver})
	c.handedOver = false
}

func (candidate) tick(c *Core) {
	if c.voting() && c.mayCampaign() {
		return
	}
	if c.elapsed >= c.timeout {
		c.futile++
	}
	c.campaignAgain()
}

// maxFutile is how often a candidate that was not answered in time doubles its
// patience: a vote is a write, and where disks take longer for one than the
// election timeout, nobody would ever be elected. Disks that take as long as
// this allows are too slow for a leader (Config.StallTicks).
const maxFutile = 3

func (candidate) step(c *Core, m Message) error {
	if b, ok := m.Body.(VoteResponse); ok {
		c.takeAnswer(m.From, b.Granted)
		c.countVotes()
	}
	return nil
}

func (candidate) saved(c *Core, _ bool) {
	if c.store.savedTerm == c.hard.Term && c.store.savedVote == c.cfg.ID {
		c.takeAnswer(c.cfg.ID, true)
		c.countVotes()
	}
}

func (c *Core) countVotes() {
	switch won, lost := c.tally(); {
	case won:
		c.become(Leader, c.hard.Term, c.cfg.ID)
	case lost:
		c.become(Follower, c.hard.Term, "")
	}
}

// campaignAgain starts over when the answers did not suffice in time, unless
// this device lost its vote meanwhile.
func (c *Core) campaignAgain() {
	switch {
	case c.elapsed < c.timeout:
	case c.mayCampaign():
		c.become(PreCandidate, c.hard.Term, "")
	default:
		c.become(Follower, c.hard.Term, "")
	}
}
