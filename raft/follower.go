package raft

import "fmt"

// follower waits for a leader (§3.3). It is also what a learner, a device
// without a cluster and a removed one are: they never campaign.
type follower struct{}

func (follower) enter(*Core) {}

func (follower) tick(c *Core) {
	if c.elapsed >= c.timeout && c.mayCampaign() && !c.voting() {
		c.become(PreCandidate, c.hard.Term, "")
	}
}

func (follower) step(c *Core, m Message) error {
	switch m.Body.(type) {
	case TimeoutNow:
		c.receiveTimeoutNow(m)
		return nil
	case Forward, ForwardChange, TransferRequest, ReadRequest, PreVoteResponse, VoteResponse, AppendResponse, SnapshotResponse:
		return nil // late, or meant for a leader that this device no longer is
	}
	return fmt.Errorf("message %T from %s: %w", m.Body, m.From, ErrUnexpected)
}

// saved tells the leader how much more of the log is durable here.
func (follower) saved(c *Core, advanced bool) {
	if advanced && c.leader != "" && c.verified > 0 {
		c.send(c.leader, c.appendAnswer())
	}
}
