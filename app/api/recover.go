package api

// RecoverRequest is the body of POST /v1/recover: make a cluster of one of what
// this device has, because a majority of its cluster is gone for good.
type RecoverRequest struct {
	// ClusterID is the UUID of the cluster that is lost. A repetition does not
	// fit any more.
	ClusterID string `json:"cluster_id"`
	// AlthoughBehind takes what this device has although it heard of another
	// survivor that has more.
	AlthoughBehind bool `json:"although_behind,omitempty"`
}

// Recovered answers POST /v1/recover.
type Recovered struct {
	ClusterID string `json:"cluster_id"`     // the new one
	Was       string `json:"was_cluster_id"` // the one that is lost
	Index     uint64 `json:"index"`          // of the entry that made it; all before it is kept
	Term      uint64 `json:"term"`
	KeptAs    string `json:"kept_as,omitempty"` // the database as it was before
	// Already: it was recovered before, and nothing was changed now. All but the
	// two clusters is not told then.
	Already bool `json:"already,omitempty"`
}
