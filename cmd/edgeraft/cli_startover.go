package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
)

// startOver is join --as-new: a device of a cluster that was recovered without it
// comes back as a new one.
func (inv *invocation) startOver(ctx context.Context, file string, yes bool) error {
	c, origins, err := inv.configOrigins()
	if err != nil {
		return err
	}
	var key seal.Key
	newKey := file != "" || len(inv.args) > 0
	if newKey {
		if key, err = inv.joinKey(file); err != nil {
			return err
		}
	}
	socket := client.New(agentSocket(c.Socket, origins["socket"] != "", config.SystemSocket))
	defer socket.Close()
	one, cancel := context.WithTimeout(ctx, inv.timeout)
	status, err := socket.Status(one)
	cancel()
	running := !isAbsent(err)
	if !running {
		status, err = storedStatus(ctx, c)
	}
	lost := errors.Is(err, boltlog.ErrLostDatabase) // perhaps this was interrupted
	switch {
	case lost:
		fmt.Fprintf(inv.stderr, "The database of this device is gone, or this command was interrupted. It joins as a new device.\n")
	case err != nil:
		return err
	case status.Cluster.ID == "":
		return inv.newAlready(c, key, newKey)
	default:
		inv.showLeaving(status)
	}
	if !yes {
		if err := inv.confirm(ctx, "as new", "--yes"); err != nil {
			return err
		}
	}
	// Only now: whoever was asked may have taken their time.
	ctx, cancel = context.WithTimeout(ctx, inv.timeout)
	defer cancel()
	text := ""
	if newKey {
		text = key.Text()
	}
	if running {
		_, err = socket.StartOver(ctx, status.Cluster.ID, text)
	} else {
		err = agent.StartOverOffline(ctx, c, key, newKey)
	}
	if err != nil {
		return err
	}
	if inv.json {
		return inv.sayJSON(map[string]string{"left_cluster_id": status.Cluster.ID})
	}
	if !lost {
		inv.say("This device has left the cluster %s.", show.Printable(status.Cluster.ID))
	}
	if !running {
		inv.say("Now start the agent: systemctl start edgeraft, or: edgeraft run")
	}
	inv.say("It joins as a new device as soon as it finds a member. See: edgeraft status")
	return nil
}

func (inv *invocation) showLeaving(status api.Status) {
	fmt.Fprintf(inv.stderr, "This device leaves the cluster %s (%s). What it has, entries up to %d, is put aside, and it takes no part in that\ncluster any more; it joins as a new device.\n",
		show.Printable(status.Cluster.Name), show.Printable(status.Cluster.ID), status.Node.Last)
	if status.Cluster.Leader != "" {
		fmt.Fprintf(inv.stderr, "That cluster has a leader and works: it counts on this device until another took its place.\n")
	}
}

// newAlready answers for a device that belongs to no cluster: perhaps because this
// was done before, and then nothing is left to do, unless it lacks the key.
func (inv *invocation) newAlready(c config.Config, key seal.Key, newKey bool) error {
	ring, err := seal.ReadRing(c.KeyFile)
	if err != nil && !errors.Is(err, fs.ErrPermission) || newKey && !ring.Has(key) {
		how := "edgeraft join --replace-key KEY"
		if errors.Is(err, fs.ErrNotExist) {
			how = "edgeraft join KEY"
		}
		return fmt.Errorf("this device belongs to no cluster, so it is new already, and nothing was changed; %s gives it the key", how)
	}
	if inv.json {
		return inv.sayJSON(map[string]string{"left_cluster_id": ""})
	}
	inv.say("This device belongs to no cluster, so it is new already, and nothing was changed. It joins as soon as it finds a member.")
	return nil
}
