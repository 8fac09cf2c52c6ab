package agent

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/udpcomms"
)

// AddressesName is the file in the data directory that keeps where the other devices
// were last.
const AddressesName = "addresses"

const (
	maxAddresses = 64 << 10 // bytes read of the file
	// The addresses are looked at soon after the start, so that a power cut on
	// the first day does not find none, and then now and then. They are written
	// when there is a new one, but not more often than addressesPause says: the
	// card must not pay for a network in which addresses go to and fro.
	addressesFirst = 10 * time.Second
	addressesEvery = time.Minute
	addressesPause = 10 * time.Minute
	// addressesStale is how long a member may be silent before it is made sure of
	// where it is: followers do not speak with each other.
	addressesStale = 5 * time.Minute
)

// addresses is the file of the last addresses of other devices. It is a hint: one
// that is lost, old or damaged costs time at most.
type addresses struct {
	path    string
	book    udpcomms.Book // as it is in the file
	written time.Time
	members map[raft.NodeID]bool // nil: not known yet
}

// loadAddresses reads the file and has each address tried.
func (d *device) loadAddresses() *addresses {
	a := &addresses{path: filepath.Join(d.cfg.DataDir, AddressesName)}
	text, err := readAddresses(a.path)
	if err == nil {
		a.book, err = udpcomms.ParseBook(text)
	}
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		d.log.Warn("the last addresses of the others are not known; they are searched for", "file", a.path, "error", err)
	}
	for _, e := range a.book {
		d.comms.udp.Hint(e.ID, e.Addrs)
	}
	return a
}

func readAddresses(path string) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	return io.ReadAll(io.LimitReader(f, maxAddresses+1))
}

// rememberAddresses keeps the file up to date until ctx ends.
func (d *device) rememberAddresses(ctx context.Context) error {
	if d.comms.udp == nil {
		<-ctx.Done()
		return nil
	}
	a := d.loadAddresses()
	timer := time.NewTimer(addressesFirst)
	defer timer.Stop()
	moved := time.Now() // or started
	for {
		select {
		case <-ctx.Done():
			a.save(d)
			return nil
		case <-d.moved:
			moved = time.Now()
			timer.Reset(addressesFirst)
			continue
		case <-timer.C:
		}
		timer.Reset(addressesEvery)
		st, err := d.server.Status(ctx)
		if err != nil {
			continue // it only fails when all ends
		}
		a.members = nil
		var ids []raft.NodeID
		for _, m := range st.Config.Members {
			if a.members == nil {
				a.members = map[raft.NodeID]bool{}
			}
			a.members[m.ID] = true
			ids = append(ids, m.ID)
		}
		d.comms.udp.Refresh(ids, min(addressesStale, time.Since(moved)))
		if a.written.IsZero() || time.Since(a.written) >= addressesPause {
			a.save(d)
		}
	}
}

// save writes the file if there is something new.
func (a *addresses) save(d *device) {
	next, changed := a.book.With(d.comms.udp.Peers(), func(id raft.NodeID) bool { return a.members == nil || a.members[id] })
	if !changed {
		return
	}
	a.written = time.Now()
	if err := writeAddresses(a.path, next.Encode()); err != nil {
		d.log.Warn("the addresses of the others could not be kept; after a restart they are searched for", "error", err)
		return
	}
	a.book = next
}

// writeAddresses replaces the file by a whole one.
func writeAddresses(path string, text []byte) error {
	f, err := os.OpenFile(path+".new", os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o600)
	if err != nil {
		return err
	}
	_, err = f.Write(text)
	err = errors.Join(err, f.Sync(), f.Close())
	if err == nil {
		err = os.Rename(path+".new", path)
	}
	if err != nil {
		return fmt.Errorf("write the addresses: %w", err)
	}
	return nil
}
