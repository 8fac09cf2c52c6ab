package powercut_test

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/powercut"
	"github.com/edgeraft/edgeraft/raft"
)

// once fails the nth event, counted from 1, and no other.
// harmless says that it may pass unnoticed: the file could not be made larger, for
// want of room, and what there was sufficed.
func once(disk *powercut.Disk, n int64, errno syscall.Errno) (fault func(powercut.Event) syscall.Errno, fired, harmless *atomic.Bool) {
	var at atomic.Int64
	fired, harmless = new(atomic.Bool), new(atomic.Bool)
	grew := false // the event before made a file larger
	return func(e powercut.Event) syscall.Errno {
		grows := disk.Grows(e)
		before := grew
		grew = grows
		if at.Add(1) != n {
			return 0
		}
		fired.Store(true)
		harmless.Store(errno == syscall.ENOSPC && (grows || e.Kind == powercut.Sync && before))
		return errno
	}, fired, harmless
}

// faulty is a run on a disk that fails once.
type faulty struct {
	teller
	steps int
	seed  uint64
}

// run fails the nth event with errno and looks at what the log does about it.
// It returns the story up to there, and whether there was an nth event.
func (f faulty) run(n int64, errno syscall.Errno) (s story, fired bool, err error) {
	disk, dir := mount(f.t, newStory(smallRing).rec)
	r := &run{story: newStory(smallRing), disk: disk, dir: dir, driver: f.driver}
	fault, happened, harmless := once(disk, n, errno)
	disk.Fail(fault)
	err = r.steps(f.steps, f.seed)
	if happened.Load() && err != nil {
		err = f.latched(r, err)
	} else if happened.Load() && !harmless.Load() {
		err = errors.New("nobody noticed")
	}
	failed := happened.Load()
	a, closed := f.driver.call(request{Op: "close"})
	r.story.rec = disk.Recording()
	unmount(f.t, disk)
	switch {
	case closed != nil:
		err = errors.Join(err, closed)
	case failed: // what Close says then is no matter
	case happened.Load() && a.Err == "":
		err = errors.New("nobody noticed that Close failed")
	case !happened.Load() && a.Err != "":
		err = errors.Join(err, errors.New(a.Err))
	}
	return r.story, happened.Load(), err
}

// latched holds that after a failure of Save every later Save fails too, and
// does not touch the disk. failure is what the run ended with.
func (f faulty) latched(r *run, failure error) error {
	if r.now.InFlight == nil { // it was in Open or Close
		return nil
	}
	before := r.disk.Len()
	for range 2 {
		a, err := f.driver.call(request{Op: "save", Save: raft.Save{Seq: 1000, State: r.now.Content.State, First: max(r.now.Content.First, 1)}})
		switch {
		case err != nil:
			return err
		case !a.Failed:
			return fmt.Errorf("the save after the failed one (%w) answered %q, which is not ErrFailed", failure, a.Err)
		case r.disk.Len() != before:
			return fmt.Errorf("a save after the failed one (%w) touched the disk", failure)
		}
	}
	if !strings.Contains(failure.Error(), "stable storage failed") {
		return fmt.Errorf("the failed save does not wrap ErrFailed: %w", failure)
	}
	return nil
}

// TestEveryCallFails has each call that changes or syncs anything fail once,
// in a run of its own, with EIO, ENOSPC and EROFS. The log must notice and stay
// stopped, and what the disk may then hold, without the page cache, must be
// what was acknowledged.
func TestEveryCallFails(t *testing.T) {
	const steps, states, most = 8, 6, 1000
	c := newCampaign(t, *seedFlag)
	f := faulty{teller: teller{t: t, driver: newDriver(t)}, steps: steps, seed: *seedFlag}
	began := time.Now()
	for _, errno := range []syscall.Errno{syscall.EIO, syscall.ENOSPC, syscall.EROFS} {
		n := int64(1)
		for ; n < most; n++ {
			s, fired, err := f.run(n, errno)
			origin := fmt.Sprintf("%s at every call", errnoName(errno))
			if err != nil {
				c.found(origin, s, job{pos: len(s.rec.Events)}, fmt.Sprintf("call %d: %v", n, err))
			}
			if !fired {
				break
			}
			s.from = len(s.rec.Events)
			r := rand.New(rand.NewPCG(*seedFlag, uint64(n)))
			c.try(origin, s, states, r)
			if s, err = c.restarted(s, r); err == nil {
				s, err = f.goOn(s, 2, r.Uint64())
			}
			if err != nil {
				c.found(origin+", again", s, job{pos: len(s.rec.Events)}, err.Error())
				continue
			}
			c.try(origin+", again", s, states, r)
		}
		if n < 20 || n == most {
			t.Errorf("the run has %d calls", n)
		}
		t.Logf("%s: %d calls", errnoName(errno), n-1)
	}
	c.report(began)
}

// restarted is the start after a failed call. A file whose sync failed has lost
// what the page cache still shows, and the log drops that; what else failed did
// not happen, and the rest is in the page cache.
func (c *campaign) restarted(s story, r *rand.Rand) (story, error) {
	pos := len(s.rec.Events)
	files := make(map[powercut.Ino]bool)
	for _, e := range s.rec.Events {
		switch {
		case e.Kind == powercut.Create:
			files[e.Ino] = true
		case e.Kind == powercut.SyncFailed && files[e.Ino]:
			return s.cut(powercut.NewHistory(s.rec, c.faults), pos, powercut.Modes()[r.IntN(len(powercut.Modes()))], r.Uint64())
		}
	}
	return s.killed(pos), nil
}

func errnoName(e syscall.Errno) string {
	switch e {
	case syscall.ENOSPC:
		return "ENOSPC"
	case syscall.EROFS:
		return "EROFS"
	}
	return "EIO"
}
