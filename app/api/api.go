// Package api holds the JSON that crosses the socket, shared by the server of
// it (package app) and its clients (package app/client). Standard library
// only. Fields may be added; the meaning of one never changes.
package api

import "encoding/json"

// Error is the body of every answer that is not a success.
type Error struct {
	Error ErrorDetail `json:"error"`
}

// ErrorDetail says what went wrong, for programs (Code) and for people
// (Message, which also says what to do).
type ErrorDetail struct {
	Code         string `json:"code"`
	Message      string `json:"message"`
	RetryAfterMS int    `json:"retry_after_ms,omitempty"`
	// ResumeFrom is from which index the caller may go on: with "compacted" the
	// first still to be had, at the end of a stream the next it did not send.
	ResumeFrom uint64 `json:"resume_from,omitempty"`
}

// The codes of errors, each with its HTTP status.
const (
	CodeBadRequest     = "bad_request"       // 400
	CodeNotFound       = "not_found"         // 404
	CodeCompareFailed  = "compare_failed"    // 409
	CodeKeyReused      = "key_reused"        // 409: the idempotency key belongs to another change; not applied
	CodeKeyForgotten   = "key_forgotten"     // 409: what became of this key is forgotten; not applied now, perhaps before
	CodeOldMember      = "old_member"        // 409: a member runs a version that does not know this; surely not applied
	CodeConflict       = "conflict"          // 409: does not fit the present state (already founded, pending change)
	CodeCompacted      = "compacted"         // 410
	CodeTooLarge       = "too_large"         // 413
	CodeTooMany        = "too_many_requests" // 429
	CodeTooManyKeys    = "too_many_keys"     // 429: no more idempotency keys can be remembered for now; surely not applied
	CodeInternal       = "internal"          // 500
	CodeNoLeader       = "no_leader"         // 503: surely not applied
	CodeNotFounded     = "not_founded"       // 503: surely not applied
	CodeStopping       = "stopping"          // 503: surely not applied
	CodeOutcomeUnknown = "outcome_unknown"   // 504
	CodeDiskFull       = "disk_full"         // 507: no device that could lead has room for the log; surely not applied
	CodeLogFull        = "log_full"          // 507: surely not applied
	CodeStateFull      = "state_full"        // 507: the key/value state is at its limit; surely not applied
)

// Applied answers a proposal that is committed and applied.
type Applied struct {
	Index  uint64          `json:"index"`
	Term   uint64          `json:"term"`
	Result json.RawMessage `json:"result,omitempty"`
	// ResultNotKept, of a repetition with an idempotency key: the result of the
	// first time was too long to be remembered.
	ResultNotKept bool `json:"result_not_kept,omitempty"`
}

// Bytes are in JSON as "value" when they are UTF-8, and as "value_base64" when
// not. Embedded where bytes appear.
type Bytes struct {
	Value       *string `json:"value,omitempty"`
	ValueBase64 *string `json:"value_base64,omitempty"`
}

// KeyValue is one key of a list. Index is where it last changed.
type KeyValue struct {
	Key string `json:"key"`
	Bytes
	Index uint64 `json:"index"`
	// ExpiresInMS is how long the key has left, about, where it has a TTL.
	ExpiresInMS int64 `json:"expires_in_ms,omitempty"`
}

// List answers GET /v1/kv?prefix=P.
type List struct {
	Applied uint64     `json:"applied"` // the state's index when the list was made
	Items   []KeyValue `json:"items"`
	// Next, when not empty, says that there is more: ask again with after=Next.
	Next string `json:"next,omitempty"`
}

// Event is one line of GET /v1/watch: a committed command or change.
type Event struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Kind  string `json:"kind"` // command, put, delete, expire
	Key   string `json:"key,omitempty"`
	Bytes
	// More says that another event of the same index follows on this stream,
	// so that a reader knows when it has seen the whole of an index.
	More bool `json:"more,omitempty"`
	// Error ends a stream that cannot go on; resume from the index it names.
	Error *ErrorDetail `json:"error,omitempty"`
}

// Compare is a condition of a transaction: the index at which a key last
// changed (0: absent).
type Compare struct {
	Key   string `json:"key"`
	Index uint64 `json:"index"`
}

// Operation is one step of a transaction: "put" or "delete".
type Operation struct {
	Op  string `json:"op"`
	Key string `json:"key"`
	Bytes
	// TTL is how long a key that is put lives, such as "30s"; empty: until it is
	// removed.
	TTL string `json:"ttl,omitempty"`
}

// Txn is the body of POST /v1/txn: if every compare holds, Then, else Else.
type Txn struct {
	Compare []Compare   `json:"compare"`
	Then    []Operation `json:"then"`
	Else    []Operation `json:"else"`
}

// TxnResult answers a transaction.
type TxnResult struct {
	Index     uint64 `json:"index"`
	Term      uint64 `json:"term"`
	Succeeded bool   `json:"succeeded"` // whether the compares held
}

// Status is what GET /v1/status answers and `edgeraft status` shows.
type Status struct {
	Healthy  bool      `json:"healthy"`
	Warnings []Warning `json:"warnings"` // most urgent first
	Version  string    `json:"version"`
	UptimeMS int64     `json:"uptime_ms"`
	Node     Node      `json:"node"`
	Cluster  Cluster   `json:"cluster"`
	Members  []Member  `json:"members"`
	Traffic  Traffic   `json:"traffic"`
	Keys     *Keys     `json:"keys,omitempty"` // absent before there is one
	MQTT     *MQTT     `json:"mqtt,omitempty"` // absent where it is no transport
	Storage  Storage   `json:"storage"`
	State    State     `json:"state"`
	Clock    *Clock    `json:"clock,omitempty"`
	Founding *Founding `json:"founding,omitempty"` // on a blank device that founds a cluster with others
}

// Founding is how the founding of a cluster by several blank devices stands, as
// this one sees it.
type Founding struct {
	Expect int       `json:"expect"` // how many devices found it
	Heard  []Founder `json:"heard"`  // this one, and the others that were heard lately
	// ClusterID and Agreed are what this device agreed to found; absent when
	// nothing yet.
	ClusterID string    `json:"cluster_id,omitempty"`
	Agreed    []Founder `json:"agreed,omitempty"`
}

// Founder is one of the devices that found a cluster.
type Founder struct {
	ID   string `json:"id"`
	Name string `json:"name"`
}

// Clock is the wall clock of the device. Only what people read depends on it.
type Clock struct {
	Time      string `json:"time"`      // RFC 3339
	Plausible bool   `json:"plausible"` // not before the program was made
	// SetByMS is by how much it was set since the agent was started, forwards or,
	// negative, back; absent for less than a minute.
	SetByMS int64 `json:"set_by_ms,omitempty"`
	// LeaderAheadMS is by how much the leader's is ahead of it, negative: behind;
	// exact to two seconds. Absent on the leader, and where that is not known.
	LeaderAheadMS *int64 `json:"leader_ahead_ms,omitempty"`
}

// Warning is something that is wrong, and what to do about it.
type Warning struct {
	Code    string `json:"code"`
	Message string `json:"message"`
	Next    string `json:"next,omitempty"` // the command to type next
}

// Node is the device that answers.
type Node struct {
	ID      string `json:"id"`
	Name    string `json:"name"`
	State   string `json:"state"` // waiting_for_key, starting, waiting_for_cluster, member, removed, stopping
	Role    string `json:"role"`  // follower, precandidate, candidate, leader
	Term    uint64 `json:"term"`
	Commit  uint64 `json:"commit"`
	Applied uint64 `json:"applied"`
	Last    uint64 `json:"last"` // last index of its log
	// LastTerm is the term of its last entry.
	LastTerm uint64 `json:"last_term"`
	Stable   uint64 `json:"stable"` // last index on its stable storage
	PID      int    `json:"pid"`
}

// Cluster is what this device knows of its cluster.
type Cluster struct {
	Name   string `json:"name"`
	ID     string `json:"id,omitempty"` // UUID; absent before there is one
	Leader string `json:"leader,omitempty"`
	// Level is the protocol level that all members have in common, as far as is
	// known; absent before there is a cluster.
	Level uint32 `json:"level,omitempty"`
	// LeaderName is the leader's label.
	LeaderName string `json:"leader_name,omitempty"`
	// LeaderContactMS is how long ago this device last heard from a leader, 0
	// on the leader itself; absent when it has not since it started.
	LeaderContactMS *int64 `json:"leader_contact_ms,omitempty"`
}

// Member is one member as this device sees it.
type Member struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"` // voter, learner
	Leader    bool   `json:"leader"`
	Self      bool   `json:"self"`
	Address   string `json:"address,omitempty"`
	Transport string `json:"transport,omitempty"`
	// LastContactMS is how long ago this device last heard it; absent when never.
	// The leader hears all members, others usually only the leader.
	LastContactMS *int64 `json:"last_contact_ms,omitempty"`
	// RoundTripUS is how long an answer by Transport takes, in microseconds; absent
	// while that is not known. Paths are all ways to it.
	RoundTripUS int64  `json:"round_trip_us,omitempty"`
	Paths       []Path `json:"paths,omitempty"`
	// LastIndex and LastTerm are how far its log reached when it last said so,
	// wanting to lead; absent when it has not.
	LastIndex uint64 `json:"last_index,omitempty"`
	LastTerm  uint64 `json:"last_term,omitempty"`
	// Level is its protocol level, and Version that of its program, as it said
	// last; absent where this device has not heard.
	Level   uint32 `json:"level,omitempty"`
	Version string `json:"version,omitempty"`
	// ClockAheadMS is by how much its wall clock is ahead of this device's,
	// negative: behind; exact to two seconds. The leader knows that of all, others
	// the leader's; absent where it is not known.
	ClockAheadMS *int64 `json:"clock_ahead_ms,omitempty"`
	// Lag is how many entries its stable log is behind; known to the leader only.
	Lag *uint64 `json:"lag,omitempty"`
	// DiskShort says that its disk has no room for new commands; known to the
	// leader only, and on the device itself.
	DiskShort bool `json:"disk_short,omitempty"`
}

// Path is one way to a member, as this device sees it.
type Path struct {
	Transport     string `json:"transport"`
	Used          bool   `json:"used"`   // alone; where none is, all are
	Broken        bool   `json:"broken"` // it does not answer
	LastContactMS *int64 `json:"last_contact_ms,omitempty"`
	RoundTripUS   int64  `json:"round_trip_us,omitempty"`
}

// MQTT is how the connection to the broker fares.
type MQTT struct {
	Connected bool     `json:"connected"`
	Broker    string   `json:"broker"` // the one connected to, or tried last
	ForMS     int64    `json:"for_ms"` // for how long it has been so
	Error     string   `json:"error,omitempty"`
	Refused   []string `json:"refused,omitempty"` // what the broker does not allow
	MaxPacket int      `json:"max_packet,omitempty"`
	// KeepAliveMS is the keep-alive in force.
	KeepAliveMS int64 `json:"keepalive_ms,omitempty"`
}

// Traffic counts what the transports did since the start.
type Traffic struct {
	SentPackets     uint64            `json:"sent_packets"`
	SentBytes       uint64            `json:"sent_bytes"`
	ReceivedPackets uint64            `json:"received_packets"`
	ReceivedBytes   uint64            `json:"received_bytes"`
	Dropped         map[string]uint64 `json:"dropped"` // by reason
}

// Storage counts what the log did since the start.
type Storage struct {
	Saves    uint64 `json:"saves"`
	LogBytes uint64 `json:"log_bytes"` // of entries, in memory
	// Snapshot is the index up to which a snapshot stands for the log, 0 for
	// none.
	Snapshot uint64 `json:"snapshot"`
	Error    string `json:"error,omitempty"`
	// Disk is whether the disk has room for the log.
	Disk *Disk `json:"disk,omitempty"`
	// WritingMS is how long the write that is under way has lasted.
	WritingMS int64 `json:"writing_ms,omitempty"`

	Written  *Written  `json:"written,omitempty"`
	Card     *Card     `json:"card,omitempty"`
	Forecast *Forecast `json:"forecast,omitempty"` // absent where something for it is not known
}

// The modes of a Disk.
const (
	DiskOK    = "ok"
	DiskShort = "short" // the reserve is broken into: no new commands while this device leads
	DiskFull  = "full"  // what it receives cannot be stored, and is not acknowledged
)

// Disk is the room for the log.
type Disk struct {
	Mode         string `json:"mode"`
	FileBytes    uint64 `json:"file_bytes"`    // of the database; they are taken in advance
	UnusedBytes  uint64 `json:"unused_bytes"`  // of those
	ReserveBytes uint64 `json:"reserve_bytes"` // of which so many are kept for votes, snapshots and membership changes
}

// State is the size of the replicated state on this device.
type State struct {
	Keys            uint64 `json:"keys"`
	Expiring        uint64 `json:"expiring"` // of keys, those with a TTL
	Bytes           uint64 `json:"bytes"`    // of keys, values and what they cost beside, in memory
	IdempotencyKeys uint64 `json:"idempotency_keys"`
}

// Members answers GET /v1/members.
type Members struct {
	Members []Member `json:"members"`
}

// Setup answers POST /v1/init and POST /v1/join.
type Setup struct {
	ClusterID string `json:"cluster_id,omitempty"`
	Key       string `json:"key,omitempty"` // init only: the text to give to the next device
}

// JoinRequest is the body of POST /v1/join.
type JoinRequest struct {
	Key string `json:"key"`
	// LeaveCluster, where not empty, has the device leave the cluster of this
	// UUID, to which it belongs, and come back as a new device with nothing
	// stored. Key may then be empty: it keeps the one that it has.
	LeaveCluster string `json:"leave_cluster,omitempty"`
}

// MemberRequest is the body of POST /v1/members: the device to admit as a
// learner. Name is a label and may be left out.
type MemberRequest struct {
	ID   string `json:"id"`
	Name string `json:"name,omitempty"`
}

// MemberChanged answers every change of a member, once it is committed.
type MemberChanged struct {
	ID string `json:"id"`
}

// Health answers GET /healthz and GET /readyz when all is well.
type Health struct {
	Status string `json:"status"` // ok
}
