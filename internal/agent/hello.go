package agent

import (
	"context"
	"crypto/rand"
	"encoding/binary"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// protocolLevel, where the linker sets it, is another protocol level than that of
// this source: tests stand in with it for programs of the future.
var protocolLevel string

func spokenLevel() uint32 {
	n, err := strconv.ParseUint(protocolLevel, 10, 32)
	if err != nil {
		return raft.ProtocolLevel
	}
	return uint32(n)
}

// clockAhead, where the linker sets it, is by how much the wall clock is wrong that
// this device tells others: tests stand in with it for a device without a clock.
var clockAhead string

// wall is the wall clock, for comparisons with others.
func wall() time.Time {
	wrong, err := time.ParseDuration(clockAhead)
	if err != nil {
		wrong = 0
	}
	return time.Now().Add(wrong)
}

// newSession tells this run of the agent from those of copies of its data.
func newSession() uint64 {
	var b [8]byte
	rand.Read(b[:]) // never fails: it ends the program instead
	return binary.BigEndian.Uint64(b[:]) | 1
}

const (
	// foreignEvery is how often the log tells of foreign clusters at most.
	foreignEvery = time.Minute
	// foreignFor, and twinFor, is for how long a warning stands after the last
	// sign of a foreign cluster, or of a copied device.
	foreignFor = 10 * time.Minute
	twinFor    = time.Hour

	foreignAdvice = "keep one: edgeraft join --as-new on each device of the other, so that it joins this one; or give the other cluster another name"
)

// strangerWarnings tell of other clusters of this name, and of devices that run
// on copies of members' data.
func (d *device) strangerWarnings(st server.Status) []api.Warning {
	var ws []api.Warning
	if ago, ok := st.Drops.ForeignAgo(); ok && ago < foreignFor {
		ws = append(ws, foreignWarning(st, ago))
	}
	for _, m := range st.Config.Members {
		a := st.Known[m.ID]
		if ago, ok := a.Twin(); ok && ago < twinFor {
			ws = append(ws, api.Warning{Code: "copied_device", Next: "edgeraft status   (on that device)", Message: fmt.Sprintf(
				"A second device with a copy of the data directory of %s (%s) was refused %v ago. On that one stop the agent, delete its data_dir, and start it again: it then joins as a new device.",
				m.Name, show.ShortID(string(m.ID)), ago.Round(time.Second))})
		}
	}
	return ws
}

// oldest tells which members keep the cluster at a lower protocol level than
// this device has.
func oldest(st server.Status, own uint32) []api.Warning {
	if st.Role != raft.Leader || st.Level >= own {
		return nil
	}
	for _, m := range st.Config.Members {
		if a := st.Known[m.ID]; m.ID != st.ID && a.Level == st.Level {
			version := a.Version
			if version == "" {
				version = "of an older version"
			}
			return []api.Warning{{Code: "old_member", Next: "edgeraft version   (on that device)", Message: fmt.Sprintf(
				"The cluster works at protocol level %d, of %d that this device has: %s (%s) is %s. Update it when you can.",
				st.Level, own, m.Name, show.ShortID(string(m.ID)), version)}}
		}
	}
	return nil
}

// awaitTwin ends the device when another one says that it knows a later boot of
// it: this is the older of two.
func (d *device) awaitTwin(ctx context.Context) error {
	var first, second <-chan struct{} // there are two transports at most
	for i, path := range d.comms.sealed {
		if i == 0 {
			first = path.sealer.Superseded()
		} else {
			second = path.sealer.Superseded()
		}
	}
	select {
	case <-ctx.Done():
		return nil
	case <-first:
	case <-second:
	}
	return latchTwin(d.cfg.DataDir, fmt.Errorf("a later boot of %s is known: %w", d.self, server.ErrTwin))
}

// CopiedName is the file in data_dir that says that it is a copy. The database is
// opened no more while it is there: with each start the copy would seem more and
// more like the newer run of the two.
const CopiedName = "copied"

// errTwin is what is to be done about a copy.
func errTwin(dir string) error {
	return fmt.Errorf("%w: stop the agent here, delete %s, and start it again: it then joins as a new device (should the other be the copy, that one may stay all the same: it has gone on)",
		server.ErrTwin, dir)
}

// refuseTwin reports whether this device was found to be a copy before.
func refuseTwin(dir string) error {
	if _, err := os.Stat(filepath.Join(dir, CopiedName)); errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return errTwin(dir)
}

// latchTwin makes sure that a device that was found to be a copy does not start
// again as the one that it is a copy of.
func latchTwin(dir string, err error) error {
	if !errors.Is(err, server.ErrTwin) {
		return err
	}
	name := filepath.Join(dir, CopiedName)
	f, fileErr := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if fileErr == nil {
		_, fileErr = f.WriteString(err.Error() + "\n")
		fileErr = errors.Join(fileErr, f.Sync(), f.Close())
	}
	return errors.Join(errTwin(dir), fileErr)
}
