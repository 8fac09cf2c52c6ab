package api

// Restored answers POST /v1/restore: the whole state is that of the backup, on
// all devices, from this index on.
type Restored struct {
	Index uint64 `json:"index"`
	Term  uint64 `json:"term"`
	Keys  uint64 `json:"keys"`
	Bytes uint64 `json:"bytes"` // of the backup's data
	// Of is what the backup was of.
	Of BackupOrigin `json:"of"`
}

// BackupOrigin says where and when a backup was taken.
type BackupOrigin struct {
	Cluster   string `json:"cluster"`
	ClusterID string `json:"cluster_id"`
	Index     uint64 `json:"index"`
	Term      uint64 `json:"term"`
	Taken     string `json:"taken"` // RFC 3339, by the clock of the device that took it
	Edgeraft  string `json:"edgeraft"`
}
