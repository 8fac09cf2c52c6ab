package powercut

import (
	"fmt"
	"os"
	"slices"
	"sync"
	"syscall"
	"time"

	"github.com/hanwen/go-fuse/v2/fs"
	"github.com/hanwen/go-fuse/v2/fuse"
)

const (
	// FSNamePrefix begins the name of every Disk's file system, in
	// /proc/self/mounts; the ID of the process that serves it follows.
	FSNamePrefix = "edgeraft-powercut-"

	// maxWrite is what the kernel hands over at a time: a longer write is
	// several events.
	maxWrite = 1 << 20

	// MaxFileSize bounds the memory that a Disk takes.
	MaxFileSize = 1 << 30
)

// Disk is a mounted file system that records what is done to it. The kernel
// caches its pages, so that files can be mapped. No process may use a Disk of
// its own, nor start another in a directory of it: the Go runtime cannot stop a
// thread that waits for a page, or for a child that enters a directory, and the
// page would wait for the runtime.
type Disk struct {
	server *fuse.Server

	mu     sync.Mutex
	image  *Image
	base   *Image
	events []Event
	next   Ino
	fault  func(Event) syscall.Errno

	syncing sync.Mutex // one sync at a time, as on a card
	slow    func() time.Duration
}

// Mount mounts the file system at dir, as it is in the page cache after r,
// which the Disk goes on recording. That is what a process finds which starts
// after another was killed. For a start after a power cut, r has a State as its
// Base and no events. The caller unmounts.
func Mount(dir string, r Recording) (*Disk, error) {
	d := &Disk{base: r.Base.Clone(), image: r.Base.Clone(), events: slices.Clone(r.Events)}
	for _, e := range r.Events {
		d.image.apply(e)
	}
	d.next = Root + 1
	for i := range d.image.inodes {
		d.next = max(d.next, i+1)
	}
	long := 24 * time.Hour // nobody else changes anything
	server, err := fs.Mount(dir, &node{disk: d, ino: Root}, &fs.Options{
		MountOptions: fuse.MountOptions{
			FsName: fmt.Sprint(FSNamePrefix, os.Getpid()), Name: "edgeraft", DirectMount: os.Getuid() == 0, MaxWrite: maxWrite,
			DisableXAttrs: true, DisableReadDirPlus: true,
		},
		EntryTimeout: &long, AttrTimeout: &long,
		RootStableAttr: &fs.StableAttr{Ino: uint64(Root)},
	})
	if err != nil {
		return nil, fmt.Errorf("mount a FUSE file system at %s: %w", dir, err)
	}
	d.server = server
	return d, nil
}

// Unmount ends it. No process may have a file open there.
func (d *Disk) Unmount() error { return d.server.Unmount() }

// Mark puts a mark into the recording.
func (d *Disk) Mark(mark int) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.events = append(d.events, Event{Kind: Mark, Mark: mark})
}

// Recording is what was recorded up to now.
func (d *Disk) Recording() Recording {
	d.mu.Lock()
	defer d.mu.Unlock()
	return Recording{Base: d.base, Events: slices.Clone(d.events)}
}

// Len is the number of events up to now.
func (d *Disk) Len() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return len(d.events)
}

// Fail has fault asked before each event; what it answers, if not 0, is what
// the process gets in its place. A sync that fails this way is recorded as
// SyncFailed, all else that fails did not happen. nil: nothing fails.
func (d *Disk) Fail(fault func(Event) syscall.Errno) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.fault = fault
}

// Slow has each sync take so long, one after the other; everything else goes on
// meanwhile. nil: as fast as may be.
func (d *Disk) Slow(slow func() time.Duration) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.slow = slow
}

// delay waits as long as the next sync is to take.
func (d *Disk) delay() {
	d.mu.Lock()
	slow := d.slow
	d.mu.Unlock()
	if slow == nil {
		return
	}
	d.syncing.Lock()
	defer d.syncing.Unlock()
	<-time.After(slow())
}

// Grows reports whether an event makes its file larger. It is for use by the
// function given to Fail, while that is asked about it.
func (d *Disk) Grows(e Event) bool {
	return e.Kind == Write && e.Off+int64(len(e.Data)) > d.image.Size(e.Ino)
}

// do records an event and makes it happen, unless it is to fail. The caller
// holds the lock.
func (d *Disk) do(e Event) syscall.Errno {
	if d.fault != nil {
		if errno := d.fault(e); errno != 0 {
			if e.Kind == Sync {
				e.Kind = SyncFailed
				d.events = append(d.events, e)
			}
			return errno
		}
	}
	d.events = append(d.events, e)
	d.image.apply(e)
	return 0
}
