package agent

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// InitOffline founds a cluster while no agent runs: it writes the key, and the
// first entry of the log. An agent that runs after all holds the database, so
// the two cannot meet in it.
func InitOffline(cfg config.Config) (setup api.Setup, err error) {
	if err := actAsOwner(cfg.DataDir, ""); err != nil {
		return api.Setup{}, fmt.Errorf("found a cluster: %w", err)
	}
	db, opened, err := boltlog.Open(cfg.DataDir, boltlog.Options{ClusterName: cfg.Cluster})
	if err != nil {
		return api.Setup{}, fmt.Errorf("found a cluster: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	core, err := raft.New(raft.Config{
		ID: opened.Identity.ID, HeartbeatTicks: 1, ElectionTicks: 2, Random: rand.IntN,
		Founding: foundingConfig(cfg, opened.Identity),
	}, opened.Stored)
	if err != nil {
		return api.Setup{}, fmt.Errorf("found a cluster: %w", err)
	}
	cluster := newClusterID()
	if err := core.Found(cluster, cfg.Name); err != nil {
		return api.Setup{}, err
	}
	// The key first: a founded cluster without one could not be entered.
	key, err := initialKey(cfg)
	if err != nil {
		return api.Setup{}, err
	}
	rd := core.Ready()
	if err := db.Save(*rd.Save); err != nil {
		return api.Setup{}, fmt.Errorf("found a cluster: %w", err)
	}
	return api.Setup{ClusterID: cluster.String(), Key: key.Text()}, nil
}

// JoinOffline gives the device the key while no agent runs.
func JoinOffline(cfg config.Config, key seal.Key) (api.Setup, error) {
	if err := actAsOwner(cfg.DataDir, ""); err != nil {
		return api.Setup{}, fmt.Errorf("join: %w", err)
	}
	if err := storeKey(cfg, key); err != nil {
		return api.Setup{}, fmt.Errorf("join: %w", err)
	}
	return api.Setup{}, nil
}

// RecoverOffline is `edgeraft recover` while no agent runs.
func RecoverOffline(ctx context.Context, cfg config.Config, cluster string) (api.Recovered, error) {
	if err := actAsOwner(cfg.DataDir, ""); err != nil {
		return api.Recovered{}, fmt.Errorf("recover: %w", err)
	}
	return recoverFiles(ctx, cfg, cluster, raft.Holding{})
}

// StartOverOffline is `edgeraft join --as-new` while no agent runs, with another
// key where newKey says so.
// A device that is new already, because this was done before, stays as it is: what
// it was is put aside, and another blank database would take that place.
func StartOverOffline(ctx context.Context, cfg config.Config, key seal.Key, newKey bool) error {
	if err := actAsOwner(cfg.DataDir, ""); err != nil {
		return fmt.Errorf("join as a new device: %w", err)
	}
	in, err := boltlog.Inspect(ctx, cfg.DataDir)
	switch {
	case errors.Is(err, boltlog.ErrLostDatabase): // it was interrupted
	case err != nil:
		return fmt.Errorf("join as a new device, and nothing was changed: %w", err)
	case in.Stored.State.Cluster.IsZero():
		if newKey {
			err = seal.WriteKeyFile(cfg.KeyFile, key, false)
		}
		return err
	}
	return startOverFiles(cfg, key, newKey)
}

// ChangeKeysOffline changes the key file while no agent runs. What members have
// is not known then.
func ChangeKeysOffline(cfg config.Config, change api.KeyChange) (api.KeyChanged, error) {
	if change.Action == api.KeyDropOld && !change.Force {
		return api.KeyChanged{}, errors.New("drop the old key: no agent is running, so it is not known whether the members have the new one; start it first, or give --force")
	}
	if err := actAsOwner(cfg.DataDir, ""); err != nil {
		return api.KeyChanged{}, fmt.Errorf("change the keys of this device: %w", err)
	}
	ring, err := seal.ReadRing(cfg.KeyFile)
	if err != nil && change.Action != api.KeyReplace { // whatever the file holds
		return api.KeyChanged{}, fmt.Errorf("change the keys of this device: %w", err)
	}
	next, err := changedRing(ring, change)
	if err != nil {
		return api.KeyChanged{}, err
	}
	if err := seal.WriteRing(cfg.KeyFile, next); err != nil {
		return api.KeyChanged{}, err
	}
	done := api.KeyChanged{Keys: api.Keys{Preferred: next.First().ID().String()}}
	if change.Action == api.KeyRotate {
		done.Key = next.First().Text()
	}
	return done, nil
}
