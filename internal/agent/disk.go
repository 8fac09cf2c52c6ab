package agent

import (
	"errors"
	"fmt"
	"log/slog"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
)

// disk tells whether there is room for the log.
func disk(r boltlog.Room) *api.Disk {
	d := &api.Disk{Mode: api.DiskOK, FileBytes: r.FileBytes, UnusedBytes: r.FreeBytes, ReserveBytes: r.ReserveBytes}
	switch {
	case r.Full:
		d.Mode = api.DiskFull
	case r.Short:
		d.Mode = api.DiskShort
	}
	return d
}

// lowDisk is so little free space that a warning is due before anything happens:
// what the database was given when it was made.
const lowDisk = boltlog.DefaultPreallocation

// makeRoom is how much to free at least: one step by which the database grows,
// and something for the others that fill the disk.
const makeRoom = 4 << 20

// diskWarnings tells of a disk that is full, or soon will be.
func (a *agent) diskWarnings(s api.Storage) []api.Warning {
	free := uint64(lowDisk)
	if s.Card != nil && s.Card.FileSystemBytes > 0 {
		free = s.Card.FreeBytes
	}
	ask := fmt.Sprintf("Free %s or more on the file system of %s, which has %s left; then all goes on by itself.",
		show.Size(makeRoom), a.cfg.DataDir, show.Size(free))
	next := "df -h " + a.cfg.DataDir
	switch {
	case s.Disk == nil:
	case s.Disk.Mode == api.DiskFull:
		return []api.Warning{{Code: "disk_full", Next: next, Message: "The disk is full: this device stores and acknowledges no entries any more. " +
			"It still votes, and has lost nothing that it acknowledged. " + ask}}
	case s.Disk.Mode == api.DiskShort:
		return []api.Warning{{Code: "disk_full", Next: next, Message: "The disk is full: while this device leads no new command is taken (507). " +
			"What is left in the database is for votes, snapshots and membership changes. " + ask}}
	case free < lowDisk:
		return []api.Warning{{Code: "disk_low", Next: next, Message: fmt.Sprintf("The disk is nearly full: the file system of %s has %s left, and the database may want to grow.",
			a.cfg.DataDir, show.Size(free))}}
	}
	return nil
}

// memberDiskWarnings tells, on the leader, of other members whose disks are full.
func memberDiskWarnings(members []api.Member) []api.Warning {
	var ws []api.Warning
	for _, m := range members {
		if m.DiskShort && !m.Self {
			ws = append(ws, api.Warning{Code: "member_disk_full",
				Message: fmt.Sprintf("The disk of member %s (%s) is full; see edgeraft status there.", m.Name, m.ID[:8])})
		}
	}
	return ws
}

// explainStorage adds to an error of opening the database what it would take.
func explainStorage(err error, dir string) error {
	if !errors.Is(err, raft.ErrDiskFull) {
		return err
	}
	return fmt.Errorf("%w (the database takes %s, all of it at once, so that it need not fear a full disk later: free that much on the file system of %s, or give another data_dir)",
		err, show.Size(boltlog.DefaultPreallocation), dir)
}

// diskReporter logs when the disk becomes full, and when it is no more.
type diskReporter struct {
	*boltlog.Log
	log  *slog.Logger
	dir  string
	last string
}

// Short implements server.Log. It is called from the storage goroutine only.
func (r *diskReporter) Short() bool {
	short := r.Log.Short()
	mode := disk(r.Room()).Mode
	switch {
	case mode == r.last || r.last == "" && mode == api.DiskOK:
	case mode == api.DiskOK:
		r.log.Info("the disk has room again", "data_dir", r.dir)
	default:
		r.log.Error("the disk is full: see edgeraft status", "data_dir", r.dir, "mode", mode)
	}
	r.last = mode
	return short
}
