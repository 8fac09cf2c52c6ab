package agent

import (
	"cmp"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"time"

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
	next := show.Command("df -h %s", a.cfg.DataDir)
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

// memberDiskWarnings tells, on the leader, of other members whose disks are full:
// of all at once where they are so many that nothing can be committed.
func memberDiskWarnings(members []api.Member, silence time.Duration) []api.Warning {
	if w, ok := majorityFull(members, silence); ok {
		return []api.Warning{w}
	}
	var ws []api.Warning
	for _, m := range members {
		if m.DiskShort && !m.Self {
			ws = append(ws, api.Warning{Code: "member_disk_full", Next: "edgeraft why   (on " + m.Name + ")",
				Message: fmt.Sprintf("The disk of member %s (%s) is full; it goes on by itself when there is room.", m.Name, m.ID[:8])})
		}
	}
	return ws
}

func majorityFull(members []api.Member, silence time.Duration) (api.Warning, bool) {
	voters, able := 0, 0
	var full, silent []string
	first := ""
	for _, m := range members {
		if m.Role != raft.Voter.String() {
			continue
		}
		voters++
		switch name := fmt.Sprintf("%s (%s)", m.Name, show.ShortID(m.ID)); {
		case !m.Self && (m.LastContactMS == nil || time.Duration(*m.LastContactMS)*time.Millisecond >= silence):
			silent = append(silent, name)
		case m.DiskShort:
			full, first = append(full, name), cmp.Or(first, m.Name)
		default:
			able++
		}
	}
	quorum := voters/2 + 1
	if len(full) == 0 || able >= quorum {
		return api.Warning{}, false
	}
	text := fmt.Sprintf("Nothing can be committed: %d of %d voters must have room on their disks, and %d have; full: %s", quorum, voters, able, strings.Join(full, ", "))
	if len(silent) > 0 {
		text += "; not heard: " + strings.Join(silent, ", ")
	}
	return api.Warning{Code: "majority_full", Message: text + ".", Next: "df -h /var/lib/edgeraft   (on " + first + ")"}, true
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
