package api

// Keys is which cluster keys this device opens packets with, by IDs that tell
// nothing of them, and how far a rotation has come.
type Keys struct {
	Preferred string `json:"preferred"` // towards all who have it
	// Older are accepted too, while a rotation is under way.
	Older []string `json:"older,omitempty"`
	// Waiting are the members that a rotation waits for: not known to have the
	// preferred key. When there are none, the older keys can be dropped.
	Waiting []MemberKeys `json:"waiting,omitempty"`
	// Ahead are members that have a key which this device lacks.
	Ahead []MemberKeys `json:"ahead,omitempty"`
}

// MemberKeys is what is known of a member's keys.
type MemberKeys struct {
	ID   string `json:"id"`
	Name string `json:"name"`
	// Has is what it says it has; absent while it has not been heard.
	Has []string `json:"has,omitempty"`
}

// KeyChange is the body of POST /v1/keys.
type KeyChange struct {
	// Action is rotate, add or replace (with Key), or drop_old.
	Action string `json:"action"`
	Key    string `json:"key,omitempty"`
	// Force, with drop_old: though members are not known to have the new key.
	Force bool `json:"force,omitempty"`
}

// The actions of KeyChange.
const (
	KeyRotate  = "rotate"
	KeyAdd     = "add"
	KeyDropOld = "drop_old"
	KeyReplace = "replace" // all keys, where the device finds no leader with them
)

// KeyChanged answers POST /v1/keys.
type KeyChanged struct {
	Key  string `json:"key,omitempty"` // rotate only: the text to give to the other devices
	Keys Keys   `json:"keys"`
}
