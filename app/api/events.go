package api

// ClusterEvent is one line of GET /v1/events: what changed in this device's role
// or in the cluster's membership, and how things are since.
type ClusterEvent struct {
	// Seq numbers the events of a device since its agent started, from 1. A line
	// of kind state has that of the event before it.
	Seq  uint64 `json:"seq"`
	Time string `json:"time"` // by the device's clock, which may be wrong (RFC 3339)
	Kind string `json:"kind"` // the constants below

	// How things are since.
	Role       string `json:"role"` // of this device, as in Node
	Term       uint64 `json:"term"`
	Leader     string `json:"leader,omitempty"` // absent while none is known
	LeaderName string `json:"leader_name,omitempty"`
	ClusterID  string `json:"cluster_id,omitempty"`

	Member  *EventMember  `json:"member,omitempty"`  // of the kinds member_: the one it is about
	Members []EventMember `json:"members,omitempty"` // of the kind state: all
	// Missed is how many changes before this one were not noted, because there
	// were too many at once.
	Missed int `json:"missed,omitempty"`
	// Error ends a stream that cannot go on.
	Error *ErrorDetail `json:"error,omitempty"`
}

// EventMember is a member in an event.
type EventMember struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	Role string `json:"role"` // voter, learner
}

// The kinds of events.
const (
	EventState         = "state"          // how things are, at the beginning of a stream
	EventRole          = "role"           // this device's role changed
	EventLeader        = "leader"         // another device leads, or none
	EventCluster       = "cluster"        // this device belongs to a cluster now
	EventMemberAdded   = "member_added"   //
	EventMemberChanged = "member_changed" // its role or name
	EventMemberRemoved = "member_removed"
)
