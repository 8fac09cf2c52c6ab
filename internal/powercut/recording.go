package powercut

import "slices"

// Kind is what an Event does.
type Kind uint8

// The kinds of event.
const (
	// Mark changes nothing: a test put it there. Event.Mark is the test's.
	Mark Kind = iota
	// Create makes an empty file, Event.Ino, as Event.Name in Event.Dir, and
	// Mkdir a directory.
	Create
	Mkdir
	// Rename moves Event.Name in Event.Dir, which is Event.Ino, to Event.To in
	// the same directory, over what may be there.
	Rename
	// Remove takes away Event.Name in Event.Dir.
	Remove
	// Write writes Event.Data at Event.Off, Truncate sets the size to Event.Off.
	Write
	Truncate
	// Sync makes the data and size of the file Event.Ino durable, or the names
	// in the directory Event.Ino.
	Sync
	// SyncFailed is a sync of a file that was answered with an error: what was
	// in flight may have arrived in part, and no later sync says anything
	// about it (Rebello, ATC'20).
	SyncFailed
)

var kindNames = [...]string{"mark", "create", "mkdir", "rename", "remove", "write", "truncate", "sync", "failed sync"}

func (k Kind) String() string { return kindNames[k] }

// Event is one thing that happened to a Disk. Its fields are described with
// the kinds.
type Event struct {
	Kind     Kind
	Ino, Dir Ino
	Name, To string
	Off      int64
	Data     []byte
	Mark     int
}

// Recording is what happened to a file system that was Base at the start.
// Nothing in Base was in flight.
type Recording struct {
	Base   *Image
	Events []Event
}

// Cut returns the first n events as a recording of their own: what is known
// when the process is killed there. A Disk can go on from it.
func (r Recording) Cut(n int) Recording {
	return Recording{Base: r.Base, Events: slices.Clip(r.Events[:n])}
}

// apply changes the image as the event changes the running system's view of
// the file system: its page cache.
func (im *Image) apply(e Event) {
	switch e.Kind {
	case Create, Mkdir, Rename, Remove:
		im.applyInode(e)
		im.applyName(e)
	case Write, Truncate:
		im.applyData(e)
	}
}

// applyInode makes what a new name will stand for.
func (im *Image) applyInode(e Event) {
	switch e.Kind {
	case Create:
		im.own(e.Ino)
	case Mkdir:
		if n := im.own(e.Ino); n.names == nil {
			n.names = map[string]Ino{}
		}
	}
}

// applyName changes the names in a directory. A rename or removal whose
// earlier half is missing does what is left of it.
func (im *Image) applyName(e Event) {
	names := im.own(e.Dir).names
	switch e.Kind {
	case Create, Mkdir:
		names[e.Name] = e.Ino
	case Rename:
		delete(names, e.Name)
		names[e.To] = e.Ino
	case Remove:
		delete(names, e.Name)
	}
}

func (im *Image) applyData(e Event) {
	if e.Kind == Write {
		im.own(e.Ino).write(e.Data, e.Off)
	} else {
		im.own(e.Ino).resize(e.Off)
	}
}
