package raft

import "slices"

// MemberRole says what a member counts for.
type MemberRole uint8

// The roles of a member. The numbers are stored and sent: never reuse one.
const (
	Learner MemberRole = 1 // holds the whole state, has no vote (thesis §4.2.1)
	Voter   MemberRole = 2
	// HeldLearner is a learner that was demoted: it gets no vote again until
	// somebody wants it to.
	HeldLearner MemberRole = 3
)

// String is the role's name as people and the socket see it.
func (r MemberRole) String() string {
	switch r {
	case Learner, HeldLearner:
		return "learner"
	case Voter:
		return "voter"
	}
	return "unknown"
}

// Limits on what a configuration may hold. A decoder refuses more.
const (
	MaxMembers = 64 // members of one cluster
	MaxNameLen = 64 // bytes of a member's name
)

// Member is one device in a configuration.
type Member struct {
	ID   NodeID
	Name string // a label for people; nothing depends on it
	Role MemberRole
}

// Configuration is the set of members, sorted by ID. It is immutable once
// made: a change makes a new one.
type Configuration struct {
	Members []Member
}

// find returns the member's position, and whether it is there.
func (c *Configuration) find(id NodeID) (int, bool) {
	return slices.BinarySearchFunc(c.Members, id, func(m Member, id NodeID) int {
		switch {
		case m.ID < id:
			return -1
		case m.ID > id:
			return 1
		}
		return 0
	})
}

// Member returns the member with this ID, and whether there is one.
func (c *Configuration) Member(id NodeID) (Member, bool) {
	if i, ok := c.find(id); ok {
		return c.Members[i], true
	}
	return Member{}, false
}

// IsVoter reports whether id has a vote.
func (c *Configuration) IsVoter(id NodeID) bool {
	m, ok := c.Member(id)
	return ok && m.Role == Voter
}

// Voters counts the members that vote.
func (c *Configuration) Voters() int {
	n := 0
	for _, m := range c.Members {
		if m.Role == Voter {
			n++
		}
	}
	return n
}

// Quorum is the smallest number of voters that is a majority.
func (c *Configuration) Quorum() int { return c.Voters()/2 + 1 }

// with returns a copy in which m is added or replaces the member of its ID.
func (c *Configuration) with(m Member) *Configuration {
	i, ok := c.find(m.ID)
	members := slices.Clone(c.Members)
	if ok {
		members[i] = m
	} else {
		members = slices.Insert(members, i, m)
	}
	return &Configuration{Members: members}
}

// without returns a copy that lacks the member of this ID.
func (c *Configuration) without(id NodeID) *Configuration {
	members := slices.Clone(c.Members)
	if i, ok := c.find(id); ok {
		members = slices.Delete(members, i, i+1)
	}
	return &Configuration{Members: members}
}

// ChangeKind says what a Change does.
type ChangeKind uint8

// The kinds of membership change. Each alters one member, so that old and new
// majorities always overlap (thesis §4.1).
const (
	AddLearner ChangeKind = 1
	Promote    ChangeKind = 2 // learner to voter
	Demote     ChangeKind = 3 // voter to learner
	Remove     ChangeKind = 4
	StandDown  ChangeKind = 5 // voter to learner that gets its vote back as any learner
)

// Change is a wish to alter the membership by one member.
type Change struct {
	Kind ChangeKind
	ID   NodeID
	Name string // AddLearner only
}

// confAt is a configuration and the entry that brought it.
type confAt struct {
	index Index
	conf  *Configuration
}

// confHistory holds the last committed configuration and those after it, so
// that a truncated change can be rolled back. The newest is in force. With one
// change at a time it holds few.
type confHistory []confAt

var noMembers = &Configuration{}

// current is the configuration in force; without any, one without members.
func (h confHistory) current() *Configuration {
	if len(h) == 0 {
		return noMembers
	}
	return h[len(h)-1].conf
}

// index is where the configuration in force stands in the log, 0 for none.
func (h confHistory) index() Index {
	if len(h) == 0 {
		return 0
	}
	return h[len(h)-1].index
}

func (h *confHistory) push(i Index, c *Configuration) { *h = append(*h, confAt{i, c}) }

func (h *confHistory) truncate(i Index) {
	for len(*h) > 0 && (*h)[len(*h)-1].index >= i {
		*h = (*h)[:len(*h)-1]
	}
}

// at is the newest configuration up to i.
func (h confHistory) at(i Index) confAt {
	for k := len(h) - 1; k >= 0; k-- {
		if h[k].index <= i {
			return h[k]
		}
	}
	return confAt{conf: noMembers}
}

// commit forgets what lies before the newest configuration up to i.
func (h *confHistory) commit(i Index) {
	for len(*h) > 1 && (*h)[1].index <= i {
		*h = (*h)[1:]
	}
}
