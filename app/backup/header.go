package backup

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strconv"
)

const (
	version = 1
	magic   = "edgeraft backup "
)

// Limits of a file. A reader refuses more.
const (
	MaxHeaderBytes = 4 << 10
	// MaxDataBytes is more than a state at its limits has: 16 MiB of keys and
	// values, 12 MiB of idempotency keys.
	MaxDataBytes = 32 << 20
)

// Errors of a Reader. What wraps them says more.
var (
	// ErrNoBackup: these bytes were never a backup.
	ErrNoBackup = errors.New("this is no backup of edgeraft")
	// ErrVersion: a newer edgeraft made it.
	ErrVersion = errors.New("this backup has a format that this version does not know; restore it with the version that made it, or a later one")
	// ErrDamaged: it is cut off, or its bytes are not those that were written.
	ErrDamaged = errors.New("the backup is damaged; nothing of it can be relied on, so take another one")
)

// Header tells what a backup holds.
type Header struct {
	Edgeraft  string `json:"edgeraft"` // the version that made it
	Cluster   string `json:"cluster"`  // the cluster's name
	ClusterID string `json:"cluster_id"`
	Device    string `json:"device"` // the label of the device that made it
	Index     uint64 `json:"index"`  // it holds what was committed up to here
	Term      uint64 `json:"term"`   // of that entry
	// TimeMS is cluster time of that entry, from which the deadlines of keys
	// count.
	TimeMS uint64 `json:"cluster_time_ms"`
	Taken  string `json:"taken"` // by the device's clock, RFC 3339 in UTC
	Keys   uint64 `json:"keys"`
	// Stale: no leader confirmed that this is the newest state. LeaderContactMS
	// is then how long before a leader was last heard, -1: not since the start.
	Stale           bool   `json:"stale,omitempty"`
	LeaderContactMS int64  `json:"leader_contact_ms,omitempty"`
	Size            uint64 `json:"size"` // of the data in bytes
}

// encode is the two lines before the data.
func (h Header) encode() ([]byte, error) {
	line, err := json.Marshal(h)
	if err != nil {
		return nil, fmt.Errorf("write the header of a backup: %w", err)
	}
	if len(line) > MaxHeaderBytes {
		return nil, fmt.Errorf("write the header of a backup: it has %d bytes and may have %d", len(line), MaxHeaderBytes)
	}
	var b bytes.Buffer
	fmt.Fprintf(&b, "%s%d\n%s\n", magic, version, line)
	return b.Bytes(), nil
}

// checkFirstLine reads the line that names the format.
func checkFirstLine(line string) error {
	number, ok := bytes.CutPrefix([]byte(line), []byte(magic))
	if !ok {
		return ErrNoBackup
	}
	n, err := strconv.ParseUint(string(number), 10, 32)
	switch {
	case err != nil:
		return ErrNoBackup
	case n != version:
		return fmt.Errorf("%w: it is format %d, and this reads %d", ErrVersion, n, version)
	}
	return nil
}

func parseHeader(line []byte) (Header, error) {
	var h Header
	if err := json.Unmarshal(line, &h); err != nil {
		return Header{}, fmt.Errorf("%w: its header is not the JSON it was: %w", ErrDamaged, err)
	}
	switch {
	case h.Size > MaxDataBytes:
		return Header{}, fmt.Errorf("%w: by its header it has %d bytes, and none has more than %d", ErrDamaged, h.Size, MaxDataBytes)
	case h.Index == 0 || h.Term == 0 || h.ClusterID == "":
		return Header{}, fmt.Errorf("%w: its header does not say of what it is", ErrDamaged)
	}
	return h, nil
}
