package agent

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/edgeraft/edgeraft/app"
	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// errAgain ends an agent whose database was changed under it, so that it begins
// anew with that, in the same process.
var errAgain = errors.New("the agent begins anew")

// rescue is what changes the database of an agent that runs.
type rescue struct {
	halt        context.CancelFunc // ends the device, not the socket
	deviceEnded chan struct{}
	stop        context.CancelCauseFunc
}

// begin returns the context of the device.
func (r *rescue) begin(ctx context.Context, stop context.CancelCauseFunc) context.Context {
	ctx, r.halt = context.WithCancel(ctx)
	r.deviceEnded, r.stop = make(chan struct{}), stop
	return ctx
}

// overhaul stops the device, lets go of the database, has f change it, and begins
// anew, whatever f returns. The request that wanted it is answered before the
// socket closes.
func (a *agent) overhaul(ctx context.Context, f func() error) error {
	a.rescue.halt()
	select {
	case <-a.rescue.deviceEnded:
	case <-ctx.Done():
		a.rescue.stop(errAgain)
		return fmt.Errorf("the device did not stop in time (is its disk stuck?), so nothing was changed: %w", raft.ErrStopped)
	}
	defer a.rescue.stop(errAgain)
	if err := a.db.Close(); err != nil {
		return err
	}
	return f()
}

// Recover implements app.Rescuer.
func (a *agent) Recover(ctx context.Context, r api.RecoverRequest) (api.Recovered, error) {
	a.setup.Lock()
	defer a.setup.Unlock()
	d := a.current()
	if d == nil {
		return api.Recovered{}, errNoKey("recover")
	}
	st, err := d.server.Status(ctx)
	if err != nil {
		return api.Recovered{}, err
	}
	if done, err := whose(st.Cluster, r.ClusterID); err != nil || done.Already {
		return done, err
	}
	why := mayNotRecover(st, d.votersHeard(st), r.AlthoughBehind)
	if wait := listenFirst*a.cfg.Timing.Election - time.Since(a.started); why == "" && wait > 0 {
		why = fmt.Sprintf("this agent has only just started, and may not have heard the others yet; try again in %v", wait.Round(time.Second)+time.Second)
	}
	if why != "" {
		return api.Recovered{}, fmt.Errorf("recover: %s: %w", why, app.ErrRefused)
	}
	var recovered api.Recovered
	err = a.overhaul(ctx, func() error {
		// Not r's context: what is begun here is not to depend on who still waits.
		recovered, err = recoverFiles(context.WithoutCancel(ctx), a.cfg, r.ClusterID, othersHold(st, r.AlthoughBehind))
		return err
	})
	if err != nil {
		return api.Recovered{}, err
	}
	a.log.Warn("recovered: this device is a cluster of its own now", "cluster_id", recovered.ClusterID, "was_cluster_id", recovered.Was,
		"index", recovered.Index, "kept_as", recovered.KeptAs)
	return recovered, nil
}

// listenFirst is for how many election timeouts an agent listens before it may
// recover: the others, who have no leader either, say within two what they have.
const listenFirst = 5

// mayNotRecover says why there is nothing to be recovered, or not here.
func mayNotRecover(st server.Status, heard int, althoughBehind bool) string {
	switch {
	case st.Removed:
		return "this device was removed from the cluster; take a backup of it (edgeraft backup --stale), found a new cluster and restore into that"
	case st.Leader != "":
		return "the cluster has a leader, so it works; to be rid of members that are gone: edgeraft members remove"
	case heard >= st.Config.Quorum():
		return fmt.Sprintf("%d of %d voters are heard, which is a majority, so the cluster will work by itself; see edgeraft why", heard, st.Config.Voters())
	}
	if who, _, ok := mostAdvanced(st); ok && who != st.ID && !althoughBehind {
		return fmt.Sprintf("%s (%s) has more of the log than this device; recover there, and then, here: edgeraft join --as-new (or, if that one is gone too: edgeraft recover --although-behind)",
			nameOf(st.Config, who), who[:8])
	}
	if ago, ok := st.Drops.ForeignAgo(); ok && ago < foreignFor && st.Drops.LastForeign.Succeeds(st.Cluster) {
		return fmt.Sprintf("this cluster was recovered already, as %v, which was heard %v ago; to come into that: edgeraft join --as-new",
			st.Drops.LastForeign, ago.Round(time.Second))
	}
	return ""
}

// mostAdvanced is the member whose log reaches furthest, as far as is known: by
// the term of the last entry, then by its index, as elections go (§3.6.1). Of
// equals it is this device.
func mostAdvanced(st server.Status) (raft.NodeID, server.Holding, bool) {
	who, most := st.ID, server.Holding{Index: st.Last, Term: st.LastTerm}
	for _, m := range st.Config.Members {
		h, ok := st.Held[m.ID]
		if ok && m.ID != st.ID && h.Beyond(most) {
			who, most = m.ID, h
		}
	}
	return who, most, true
}

// othersHold is the most that another member said it has.
func othersHold(st server.Status, althoughBehind bool) (most raft.Holding) {
	for _, m := range st.Config.Members {
		if h := st.Held[m.ID]; m.ID != st.ID && !althoughBehind && h.Beyond(most) {
			most = h
		}
	}
	return most
}

// whose compares the cluster that a device belongs to with the one that is to be
// recovered. Done says that this is what came of it, so that whoever was cut off
// from the answer can ask again.
func whose(own raft.ClusterID, asked string) (done api.Recovered, err error) {
	was, bad := raft.ParseClusterID(asked)
	switch {
	case bad != nil || was.IsZero():
		return done, fmt.Errorf("recover: %q is no UUID of a cluster: %w", asked, app.ErrRefused)
	case own.Succeeds(was):
		return api.Recovered{ClusterID: own.String(), Was: was.String(), Already: true}, nil
	case own != was:
		return done, fmt.Errorf("recover: this device belongs to the cluster %v, not to %s: %w", own, asked, app.ErrRefused)
	}
	return done, nil
}

// recoverFiles does it to the database, which nobody has open, and keeps a copy
// of what it was. A power cut at any time leaves the device as it was, or
// recovered; it can be called again then, and after any error. Others is the most
// that another survivor is known to hold: what this device had in memory alone
// does not count.
func recoverFiles(ctx context.Context, cfg config.Config, cluster string, others raft.Holding) (_ api.Recovered, err error) {
	opt := boltlog.Options{ClusterName: cfg.Cluster}
	// First a look: a copy would take the place of an older one.
	in, err := boltlog.Inspect(ctx, cfg.DataDir)
	if err != nil {
		return api.Recovered{}, fmt.Errorf("recover, and nothing was changed: %w", err)
	}
	if done, err := whose(in.Stored.State.Cluster, cluster); err != nil || done.Already {
		return done, err
	}
	if has := in.Stored.Holding(); others.Beyond(has) {
		return api.Recovered{}, fmt.Errorf("recover: the disk of this device has entries up to %d of term %d, and another survivor up to %d of term %d; recover there: %w",
			has.Index, has.Term, others.Index, others.Term, app.ErrRefused)
	}
	kept, err := boltlog.KeepCopy(cfg.DataDir, opt)
	if err != nil {
		return api.Recovered{}, fmt.Errorf("recover, and nothing was changed: %w", err)
	}
	db, opened, err := boltlog.Open(cfg.DataDir, opt)
	if err != nil {
		return api.Recovered{}, fmt.Errorf("recover: %w", err)
	}
	defer func() { err = errors.Join(err, db.Close()) }()
	old := opened.Stored.State.Cluster
	if _, err := whose(old, cluster); err != nil {
		return api.Recovered{}, err
	}
	var random [16]byte
	rand.Read(random[:]) // never fails: it ends the program instead
	fresh := raft.SuccessorID(old, random)
	save, err := raft.Recover(opened.Stored, raft.Member{ID: opened.Identity.ID, Name: cfg.Name}, fresh)
	if err != nil {
		return api.Recovered{}, err
	}
	if err := db.Save(save); err != nil {
		return api.Recovered{}, fmt.Errorf("recover; whether it was done will show when the same command is given again: %w", err)
	}
	e := save.Entries[0]
	return api.Recovered{ClusterID: fresh.String(), Was: old.String(), Index: uint64(e.Index), Term: uint64(e.Term), KeptAs: kept}, nil
}

// StartOver implements app.Rescuer.
func (a *agent) StartOver(ctx context.Context, cluster, text string) (api.Setup, error) {
	a.setup.Lock()
	defer a.setup.Unlock()
	d := a.current()
	if d == nil {
		return api.Setup{}, errNoKey("join as a new device")
	}
	st, err := d.server.Status(ctx)
	if err != nil {
		return api.Setup{}, err
	}
	if st.Cluster.String() != cluster || st.Cluster.IsZero() {
		return api.Setup{}, fmt.Errorf("join as a new device: this device belongs to the cluster %v, not to %s: %w", st.Cluster, cluster, app.ErrRefused)
	}
	var key seal.Key
	if text != "" {
		if key, err = seal.ParseKey(text); err != nil {
			return api.Setup{}, fmt.Errorf("join as a new device: %w: %w", app.ErrBadKey, err)
		}
	}
	err = a.overhaul(ctx, func() error { return startOverFiles(a.cfg, key, text != "" && !d.keys.ring().Has(key)) })
	if err != nil {
		return api.Setup{}, fmt.Errorf("join as a new device: %w", err)
	}
	a.log.Warn("this device left its cluster and joins as a new one", "was_cluster_id", cluster, "kept_as", filepath.Join(a.cfg.DataDir, boltlog.LeftName))
	return api.Setup{}, nil
}

// startOverFiles does it to the files, which nobody has open. A power cut at any
// time leaves the device as it was, or with ErrLostDatabase, or new; it can be called
// again then, and after any error. A new key goes first: in between, a device with
// it is cut off from its cluster, while a new device with the old key would join that.
func startOverFiles(cfg config.Config, key seal.Key, newKey bool) error {
	if newKey {
		if err := seal.WriteKeyFile(cfg.KeyFile, key, true); err != nil {
			return err
		}
	}
	if err := boltlog.StartOver(cfg.DataDir, boltlog.Options{ClusterName: cfg.Cluster}); err != nil {
		return err
	}
	// Should it have been a copy of another device, it is none any more.
	if err := os.Remove(filepath.Join(cfg.DataDir, CopiedName)); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// startedOver reports whether what this device was, it gave up on purpose.
func (d *device) startedOver() bool {
	left, err := os.Stat(filepath.Join(d.cfg.DataDir, boltlog.LeftName))
	if err != nil {
		return false
	}
	damaged, err := os.Stat(filepath.Join(d.cfg.DataDir, boltlog.DamagedName))
	return err != nil || left.ModTime().After(damaged.ModTime())
}

// foreignWarning is about another cluster of this name and key.
func foreignWarning(st server.Status, ago time.Duration) api.Warning {
	other := st.Drops.LastForeign
	w := api.Warning{
		Code: "foreign_cluster", Next: "edgeraft join --as-new   (on each device of the one to be given up)",
		Message: fmt.Sprintf("%s It was heard from %s %v ago.", foreignText(st.Cluster, other), st.Drops.LastForeignFrom, ago.Round(time.Second)),
	}
	switch {
	case other.Succeeds(st.Cluster):
		w.Code, w.Next = "recovered_without", "edgeraft join --as-new"
	case st.Cluster.Succeeds(other):
		w.Code, w.Next = "former_cluster", "edgeraft join --as-new   (on that device)"
	}
	return w
}

// foreignText says how another cluster of this name and key came to be.
func foreignText(own, other raft.ClusterID) string {
	switch {
	case other.Succeeds(own):
		return fmt.Sprintf("This device's cluster (%v) was given up for lost and recovered without it, as %v. It can commit nothing there, and where no majority of the old cluster works it takes no part in that either. To come back as a new device: edgeraft join --as-new. Should the recovery have been an error, since a majority of these devices has all data: edgeraft join --as-new there, on the recovered one, and then restart these.", own, other)
	case own.Succeeds(other):
		return fmt.Sprintf("A device is back that still belongs to the cluster %v, from which this one (%v) was recovered; it can commit nothing here. To come back as a new device it needs: edgeraft join --as-new.", other, own)
	}
	return fmt.Sprintf("A second cluster with this name and key exists: %v. The two never mix. To end this, %s.", other, foreignAdvice)
}
