package raft

// Message is what one device says to another. Delivery may lose, repeat,
// reorder and delay messages without limit; nothing here relies on more.
type Message struct {
	Cluster ClusterID // the sender's cluster; zero from a device that has none
	From    NodeID
	To      NodeID // "" only for Join: to whoever can be reached
	Term    Term   // the sender's term; 0 in Join and JoinAnswer
	Body    Body
	// Level is the protocol level of the sender (level.go); 0 stands for 1.
	Level uint32
	// Wall is what the sender's wall clock showed, in seconds since 1970, at most
	// MaxWall; 0 where it does not say. The driver fills it in, for people to
	// compare; nothing here looks at it.
	Wall uint64
}

// MaxWall bounds Message.Wall: the year 36,812.
const MaxWall = 1 << 40

// Body is one of the distinct kinds of message below. Each has its own type so
// that no field changes its meaning with the kind.
type Body interface{ body() }

// PreVoteRequest asks "would you vote for me in term Message.Term+1?" without
// changing anyone's term (thesis §9.6).
type PreVoteRequest struct {
	LastIndex Index
	LastTerm  Term
}

// PreVoteResponse answers a PreVoteRequest. For names the term the request was
// about, so that an answer to an earlier question is not counted.
type PreVoteResponse struct {
	For     Term
	Granted bool
}

// VoteRequest is RequestVote (thesis §3.4). It leaves only after the
// candidate's own term and vote are durable.
type VoteRequest struct {
	LastIndex Index
	LastTerm  Term
	// Transfer says that the leader handed over: those who hear it need not
	// protect it (§4.2.3).
	Transfer bool
}

// TimeoutNow tells a voter that holds the leader's whole log to campaign at
// once (§3.10). It is of the leader's term.
type TimeoutNow struct{}

// VoteResponse answers a VoteRequest of the same term.
type VoteResponse struct{ Granted bool }

// AppendRequest is AppendEntries (thesis §3.5); without entries a heartbeat.
type AppendRequest struct {
	PrevIndex Index
	PrevTerm  Term
	Entries   []Entry // contiguous from PrevIndex+1
	Commit    Index
	// Read is the newest round of read confirmation (thesis §6.4, step 3).
	// The answer carries it back.
	Read uint64
	// Clock is cluster time as the leader sent this; no entry bears a later one.
	Clock Time
	// Level is the highest protocol level that all members have; 0 while that is
	// 1.
	Level uint32
}

// AppendResponse answers an AppendRequest. It promises: everything up to Match
// is on the sender's stable storage and agrees with the leader's log.
type AppendResponse struct {
	Match Index
	Read  uint64
	// Rejected says that the log has no entry of PrevTerm at Prev. Then
	// ConflictTerm is the term found there (0 when the log is too short) and
	// ConflictIndex the first index the leader need try (thesis §3.5, the
	// optimisation for logs that diverge in long runs).
	Rejected      bool
	Prev          Index
	ConflictTerm  Term
	ConflictIndex Index
	// Received, where it is above Match, is how far the log agrees in memory.
	// It promises nothing; it lets the leader send on while the disk is slow.
	Received Index
	// Short says that the sender's disk has no room for more commands.
	Short bool
}

// Proposal is one command on its way into the log.
type Proposal struct {
	ID   ProposalID
	Data []byte
}

// SnapshotRequest is InstallSnapshot (§5.1): a piece of a snapshot, for a member
// that needs entries which are in the log no more.
type SnapshotRequest struct {
	Index       Index
	Term        Term
	Time        Time // of entry Index
	Config      *Configuration
	ConfigIndex Index
	Size        uint64 // of the whole data
	Sum         uint32 // its CRC-32C
	Offset      uint64
	Data        []byte
}

// SnapshotResponse answers a SnapshotRequest that did not complete the
// snapshot at Index: Offset is what the sender wants next. A complete one is
// answered by an AppendResponse, once it is durable.
type SnapshotResponse struct {
	Index  Index
	Offset uint64
}

// Forward hands proposals to the leader of Message.Term. It may be repeated:
// the leader takes each (Boot, First+i) of a sender once in its term.
type Forward struct {
	Boot      uint64 // the sender's boot number, which only grows
	Proposals []ForwardedProposal
}

// ForwardedProposal is one proposal of a Forward. Seq counts a sender's
// proposals since its boot, from 1.
type ForwardedProposal struct {
	Seq  uint64
	ID   ProposalID
	Data []byte
}

// ForwardChange hands a wish to change the membership to the leader of
// Message.Term. Boot and Seq are as in Forward, and of the same count.
type ForwardChange struct {
	Boot   uint64
	Seq    uint64
	ID     ProposalID
	Change Change
}

// TransferRequest asks the leader of Message.Term to hand over to a voter, ""
// for whom it chooses.
type TransferRequest struct{ Successor NodeID }

// Removed tells a device that the configuration at Index, which is committed,
// has no place for it.
type Removed struct{ Index Index }

// ForwardRefused says that the leader of Message.Term will not append the
// proposal: it was not, and in this term never will be, in the log.
type ForwardRefused struct {
	Boot   uint64
	Seq    uint64
	Reason RefusalReason
}

// RefusalReason says why a leader did not take a proposal. The numbers are
// sent: never reuse one.
type RefusalReason uint8

// The reasons for a refusal.
const (
	RefusedBusy    RefusalReason = 1 // too much is in flight
	RefusedLogFull RefusalReason = 2 // the log is at its limit

	RefusedChangePending RefusalReason = 3 // an earlier membership change is not finished
	RefusedBadChange     RefusalReason = 4 // the change does not fit the configuration
	RefusedTooLarge      RefusalReason = 5 // the command is larger than the leader's limit
	RefusedBehind        RefusalReason = 6 // the learner to promote lacks too much of the log

	RefusedDiskFull RefusalReason = 7 // the disk of the leader, or of a majority, has no room

	RefusedLevel RefusalReason = 8 // a member does not know the command
)

// ReadRequest asks the leader of Message.Term for a read index (thesis §6.4).
type ReadRequest struct{ Seq uint64 }

// ReadResponse answers a ReadRequest: a state that has applied Index is fresh
// enough for the read numbered Seq.
type ReadResponse struct {
	Seq   uint64
	Index Index
}

// Join asks to be admitted to the cluster as a learner, or, from a member, to
// be noticed at the address it comes from. The driver handles it; the core
// never sees it.
type Join struct {
	Name string
	// Member says that the sender is a member by the last configuration it
	// knows. One that is not any more is told so, and not admitted again.
	Member bool
	// Replaces, where not "", is who the sender was until its storage was lost:
	// a member that will not come back, whose place it is to take.
	Replaces NodeID
	// Run is this run of the sender, and Version the version of its program.
	Run     Run
	Version string
	// Expect, where not 0, says that the sender is blank and founds a cluster
	// with as many devices, itself among them.
	Expect int
}

// MaxReasonLen bounds JoinAnswer.Reason, in bytes.
const MaxReasonLen = 200

// JoinAnswer tells a device that asked to Join how it stands.
type JoinAnswer struct {
	Leader NodeID // whom to ask; "" when the answerer knows no leader
	Reason string // why it is not admitted yet, for people; at most MaxReasonLen bytes
	// Run and Version are of the one who answers.
	Run     Run
	Version string
	// Known is the run of the asker that the answerer met, where that is another
	// than the one that asks, and not an earlier one: the asker runs on a copy of
	// the same database, or on an old one. The zero Run otherwise.
	Known Run
}

// Run is one run of a device: the number of its boot, and a random number that
// tells it from those of a copy of its database. The zero Run is not known.
type Run struct {
	Boot    uint64
	Session uint64
}

// MaxVersionLen bounds the version in Join and JoinAnswer, in bytes.
const MaxVersionLen = 32

func (PreVoteRequest) body()   {}
func (PreVoteResponse) body()  {}
func (VoteRequest) body()      {}
func (VoteResponse) body()     {}
func (TimeoutNow) body()       {}
func (ForwardChange) body()    {}
func (TransferRequest) body()  {}
func (Removed) body()          {}
func (AppendRequest) body()    {}
func (AppendResponse) body()   {}
func (SnapshotRequest) body()  {}
func (SnapshotResponse) body() {}
func (Forward) body()          {}
func (ForwardRefused) body()   {}
func (ReadRequest) body()      {}
func (ReadResponse) body()     {}
func (Join) body()             {}
func (JoinAnswer) body()       {}
