package raft

import "fmt"

// Role is what a device is at the moment.
type Role uint8

// The roles. PreCandidate asks whether an election could be won before it
// disturbs anyone with a new term (§9.6).
const (
	Follower Role = iota
	PreCandidate
	Candidate
	Leader
	roles // how many there are
)

// String is the role's name as people and the socket see it.
func (r Role) String() string {
	return [roles]string{"follower", "precandidate", "candidate", "leader"}[r]
}

// transitions is every change of role there is, and why (§3.3, fig. 3.3, §9.6).
// become refuses all others.
var transitions = [roles][roles]string{
	Follower: {
		Follower:     "a new term, or its leader, became known",
		PreCandidate: "the election timeout passed",
		Candidate:    "the leader handed over (§3.10)",
	},
	PreCandidate: {
		PreCandidate: "the election timeout passed without a majority",
		Candidate:    "a majority would grant its vote",
		Follower:     "a leader or a higher term became known",
	},
	Candidate: {
		PreCandidate: "the election timeout passed without a majority",
		Leader:       "a majority granted its vote",
		Follower:     "a leader or a higher term became known",
	},
	Leader: {
		Follower: "a higher term became known, or no quorum could be reached, or it was removed",
	},
}

// behaviour is how a role reacts. There is one value of it for each role, in
// the file of that role.
type behaviour interface {
	// enter starts the role; the fields of the role before it are cleared.
	enter(c *Core)
	// tick is called once for each tick of time.
	tick(c *Core)
	// step handles a message of the present term.
	step(c *Core, m Message) error
	// saved is called when storage caught up; advanced says that more of the
	// log is durable than before.
	saved(c *Core, advanced bool)
}

var behaviours = [roles]behaviour{
	Follower:     follower{},
	PreCandidate: preCandidate{},
	Candidate:    candidate{},
	Leader:       leader{},
}

func (c *Core) behaviour() behaviour { return behaviours[c.role] }

// become is the only place where role, term and leader change, and besides
// castVote the only one where the vote does. The term never decreases; a new
// term has no vote yet (§3.4).
func (c *Core) become(to Role, term Term, leader NodeID) {
	if transitions[c.role][to] == "" || term < c.hard.Term {
		panic(fmt.Sprintf("raft: %v in term %d cannot become %v in term %d", c.role, c.hard.Term, to, term))
	}
	if term > c.hard.Term {
		c.hard.Term, c.hard.Vote = term, ""
		c.store.dirty = true
		c.verified, c.reads.round = 0, 0
	}
	c.role, c.leader = to, leader
	c.toldLevel, c.leaderLevel = 0, 0
	c.votes = nil
	c.lead = leaderState{}
	c.elapsed, c.suspicious = 0, false
	c.timeout = c.cfg.ElectionTicks + c.cfg.Random(c.cfg.ElectionTicks)
	if leader != "" {
		c.futile = 0
	} else if to == Candidate {
		c.timeout <<= min(c.futile, maxFutile)
	}
	c.behaviour().enter(c)
	if c.leader != "" && c.reads.waiting() {
		c.askRead()
	}
}

// castVote gives this term's vote to id (§3.4). A vote once given never
// changes within a term.
func (c *Core) castVote(id NodeID) {
	if c.hard.Vote == id {
		return
	}
	if c.hard.Vote != "" {
		panic(fmt.Sprintf("raft: second vote in term %d", c.hard.Term))
	}
	c.hard.Vote = id
	c.store.dirty = true
}
