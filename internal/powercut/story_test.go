package powercut_test

import (
	"fmt"
	"math/rand/v2"
	"syscall"
	"testing"

	"github.com/edgeraft/edgeraft/internal/powercut"
	"github.com/edgeraft/edgeraft/raft"
)

// story is a recording with what was promised along it.
type story struct {
	rec   powercut.Recording
	owed  promise // at the start
	marks []mark  // that events of kind Mark refer to
	from  int     // where this story begins to be its own: before, it is another's
	after string  // how the one before ended
	pages int     // of the ring
}

// newStory begins with an empty disk.
func newStory(pages int) story {
	return story{rec: powercut.Recording{Base: powercut.NewImage()}, pages: pages}
}

// smallRing is the smallest there is.
const smallRing = 4

// marked is the number of marks before position pos.
func (s story) marked(pos int) int {
	n := 0
	for _, e := range s.rec.Events[:pos] {
		if e.Kind == powercut.Mark {
			n++
		}
	}
	return n
}

// promised is what is owed at a position.
func (s story) promised(pos int) (promise, error) {
	p := s.owed
	for _, m := range s.marks[:s.marked(pos)] {
		var err error
		if p, err = p.after(m); err != nil {
			return p, err
		}
	}
	return p, nil
}

// positions are those at which a cut can tell something: after each change and
// sync, and where something was just acknowledged.
func (s story) positions() []int {
	var out []int
	for pos := max(s.from, 1); pos <= len(s.rec.Events); pos++ {
		e := s.rec.Events[pos-1]
		if e.Kind != powercut.Mark || s.marks[e.Mark].Start == nil {
			out = append(out, pos)
		}
	}
	return out
}

// at names a position.
func (s story) at(pos int) string {
	if pos == 0 {
		return "nothing"
	}
	return fmt.Sprintf("event %d (%s)", pos, s.rec.Events[pos-1].Kind)
}

// killed is the story up to pos: the process ends there, and what it wrote
// stays in the page cache.
func (s story) killed(pos int) story {
	n := s.marked(pos)
	return story{
		rec: s.rec.Cut(pos), owed: s.owed, marks: s.marks[:n:n], from: pos, pages: s.pages,
		after: s.after + fmt.Sprintf("killed after %s, ", s.at(pos)),
	}
}

// cut is a story that begins after a power cut of this one.
func (s story) cut(h *powercut.History, pos int, mode powercut.Mode, seed uint64) (story, error) {
	p, err := s.promised(pos)
	return story{
		rec: powercut.Recording{Base: h.State(pos, mode, seed)}, owed: p, pages: s.pages,
		after: s.after + fmt.Sprintf("cut after %s (%s), ", s.at(pos), mode),
	}, err
}

// teller records stories.
type teller struct {
	t      testing.TB
	driver *child
	early  bool // the log under test acknowledges before it saves
	full   bool // no file can become larger once the device has started
}

// goOn starts the device on the disk as s leaves it, has it save for a number
// of steps, and returns the longer story. The device is then killed. An error
// is one of the device's.
func (w teller) goOn(s story, steps int, seed uint64) (story, error) {
	w.t.Helper()
	disk, dir := mount(w.t, s.rec)
	run := &run{story: s, disk: disk, dir: dir, driver: w.driver, early: w.early, full: w.full}
	err := run.steps(steps, seed)
	if w.full {
		w.t.Logf("on a full disk %d of %d saves had no room", run.refusals, steps)
	}
	run.story.rec = disk.Recording()
	if _, closed := w.driver.call(request{Op: "close"}); closed != nil && err == nil {
		err = closed
	}
	unmount(w.t, disk)
	return run.story, err
}

// run is a device at work on a disk.
type run struct {
	story  story
	disk   *powercut.Disk
	dir    string
	driver *child
	early  bool
	full   bool
	now    promise
	// refusals counts the saves for which there was no room.
	refusals int
}

func (r *run) mark(m mark) error {
	r.disk.Mark(len(r.story.marks))
	r.story.marks = append(r.story.marks, m)
	var err error
	r.now, err = r.now.after(m)
	return err
}

func (r *run) call(q request) (reply, error) {
	q.Dir, q.Early, q.Pages = r.dir, r.early, r.story.pages
	a, err := r.driver.call(q)
	if err == nil && a.Err != "" {
		err = fmt.Errorf("%s: %s", q.Op, a.Err)
	}
	return a, err
}

func (r *run) open() error {
	a, err := r.call(request{Op: "open"})
	if err != nil {
		return err
	}
	return r.mark(mark{Opened: &a.Opened})
}

func (r *run) save(s raft.Save) error {
	if err := r.mark(mark{Start: &s}); err != nil {
		return err
	}
	a, err := r.call(request{Op: "save", Save: s})
	if a.Full && !a.Failed && (len(s.Entries) > 0 || s.Snapshot != nil) {
		return r.refused(s)
	}
	if err != nil {
		return err
	}
	return r.mark(mark{Done: true})
}

// refused does what is done with a save for which there is no room: of it the hard
// state is saved, for which there must be.
func (r *run) refused(s raft.Save) error {
	if err := r.mark(mark{Refused: true}); err != nil {
		return err
	}
	r.refusals++
	state := s.State
	state.Commit = max(min(state.Commit, r.now.Content.last()), r.now.Content.State.Commit)
	return r.save(raft.Save{Seq: s.Seq, State: state})
}

func (r *run) steps(n int, seed uint64) error {
	var err error
	if r.now, err = r.story.promised(len(r.story.rec.Events)); err != nil {
		return err
	}
	if err := r.open(); err != nil {
		return err
	}
	if r.full {
		r.disk.Fail(func(e powercut.Event) syscall.Errno {
			if r.disk.Grows(e) {
				return syscall.ENOSPC
			}
			return 0
		})
	}
	source := rand.New(rand.NewPCG(seed, 1))
	work := workload{r: source, growing: r.full}
	for range n {
		if source.IntN(30) == 0 && !r.early {
			if _, err := r.call(request{Op: "close"}); err != nil {
				return err
			}
			if err := r.open(); err != nil {
				return err
			}
			continue
		}
		if err := r.save(work.next(r.now.Content)); err != nil {
			return err
		}
	}
	return nil
}
