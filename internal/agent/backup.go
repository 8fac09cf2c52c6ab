package agent

import (
	"context"
	"fmt"
	"time"

	"github.com/edgeraft/edgeraft/app/backup"
	"github.com/edgeraft/edgeraft/internal/release"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// Backup implements app.Archive.
func (a *agent) Backup(ctx context.Context) (backup.Header, []byte, error) {
	d := a.current()
	if d == nil {
		return backup.Header{}, nil, errNoKey("take a backup")
	}
	var at server.At
	var data []byte
	var keys int
	err := d.server.Look(ctx, func(now server.At) {
		at, data, keys = now, a.top.Backup(), a.store.Stats().Keys
	})
	if err == nil && at.Index == 0 {
		err = fmt.Errorf("there is no state yet: %w", raft.ErrNotFounded)
	}
	if err != nil {
		return backup.Header{}, nil, fmt.Errorf("take a backup: %w", err)
	}
	return backup.Header{
		Edgeraft: release.Version(), Cluster: a.cfg.Cluster, ClusterID: at.Cluster.String(), Device: a.cfg.Name,
		Index: uint64(at.Index), Term: uint64(at.Term), TimeMS: uint64(at.Time),
		Taken: time.Now().UTC().Format(time.RFC3339), Keys: uint64(keys),
	}, data, nil
}
