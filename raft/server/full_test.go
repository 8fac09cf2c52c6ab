package server

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// TestALeaderWithAFullDiskHandsOver: writes go on while one device is full,
// whichever it is, and no caller of any device notices.
func TestALeaderWithAFullDiskHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		w.mustPropose(w.leader(), "before")
		old := w.leader()
		old.card.setFull(true)
		term := w.status(old).Term
		for i := range 30 {
			w.mustPropose(w.devices[i%3], fmt.Sprint("while the leader is full ", i))
			<-time.After(100 * time.Millisecond)
		}
		now := w.leader()
		if now == old {
			t.Error("the full device still leads")
		}
		w.eventually("the leader knows who is full", func() bool { return w.status(now).Peers[old.id].Short })
		// The old leader learned that it is full from a save that did not fit: one
		// term for leaving.
		if got := w.status(now).Term; got != term+1 {
			t.Errorf("term %d became term %d", term, got)
		}
		if stable, last := w.status(old).Stable, w.status(now).Commit; stable >= last {
			t.Errorf("the full device acknowledged %d of %d", stable, last)
		}
		old.card.setFull(false)
		w.eventually("the full device has all", func() bool { return w.status(old).Stable >= w.status(now).Commit && !w.status(old).Short })
		if w.leader() != now {
			t.Error("the leadership changed when there was room again")
		}
		w.haltAll()
	})
}

// TestAllDisksFull: commands are refused, and surely not applied; elections and
// reads go on; and when there is room so does all.
func TestAllDisksFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for i := range 20 {
			w.mustPropose(w.leader(), fmt.Sprint("before ", i))
		}
		for _, d := range w.devices {
			d.card.setFull(true)
		}
		// What finds out that the disks are full is under way, and waits.
		_, err := w.propose(w.leader(), "the first", 3*time.Second)
		if !errors.Is(err, raft.ErrOutcomeUnknown) && !errors.Is(err, raft.ErrDiskFull) {
			t.Errorf("the first: %v", err)
		}
		for _, d := range w.devices {
			if _, err := w.propose(d, "refused", 5*time.Second); !errors.Is(err, raft.ErrDiskFull) {
				t.Errorf("on %s: %v", d.id, err)
			}
		}
		old := w.leader()
		w.halt(old)
		w.eventually("another leads", func() bool {
			for _, d := range w.devices {
				if d != old && w.status(d).Role == raft.Leader {
					return true
				}
			}
			return false
		})
		w.boot(old, nil)
		for _, d := range w.devices {
			d.card.setFull(false)
		}
		w.eventually("there is room", func() bool {
			_, err := w.propose(w.leader(), "after", time.Second)
			return err == nil
		})
		for _, d := range w.devices {
			w.eventually("all agree", func() bool { return fmt.Sprint(d.app.all()) == fmt.Sprint(w.leader().app.all()) })
			for _, text := range d.app.all() {
				if text == "refused" {
					t.Error("what was refused took effect")
				}
			}
		}
		w.haltAll()
	})
}

// TestFollowersFull: a leader that has room refuses what a majority could not
// store, rather than have callers wait for it.
func TestFollowersFull(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		leader := w.leader()
		for _, d := range w.followers() {
			d.card.setFull(true)
		}
		_, _ = w.propose(leader, "what shows it", 3*time.Second)
		for range 20 {
			if _, err := w.propose(leader, "refused", 5*time.Second); !errors.Is(err, raft.ErrDiskFull) {
				t.Errorf("error %v", err)
			}
		}
		<-time.After(time.Minute)
		if st := w.status(leader); st.Role != raft.Leader {
			t.Errorf("%v leads no more, in term %d: nobody could do better", leader.id, st.Term)
		}
		for _, d := range w.devices {
			d.card.setFull(false)
		}
		w.eventually("there is room", func() bool { _, err := w.propose(leader, "after", time.Second); return err == nil })
		w.haltAll()
	})
}

// TestAHardStateAloneCommitsNothing: a follower has stored entries that a new leader
// replaced and committed, and has no room for those. What is stored must not say
// that the old ones are committed.
func TestAHardStateAloneCommitsNothing(t *testing.T) {
	old := []raft.Entry{{Index: 1, Term: 1}, {Index: 2, Term: 2}}
	state := raft.HardState{Term: 2, Commit: 1}
	c := &card{full: true, stored: raft.Stored{State: state, Entries: old}}
	d := newDisk(c, window{}, state)
	d.put(raft.Save{Seq: 1, State: raft.HardState{Term: 3, Commit: 2}, Entries: []raft.Entry{{Index: 2, Term: 3}}, First: 1})
	for seq := uint64(1); seq <= 2; seq++ {
		if r, _ := d.write(); r.err != nil || r.state != seq || r.seq != 0 {
			t.Fatalf("reported %+v, want the hard state of save %d alone", r, seq)
		}
		if got := c.stored; got.State.Term != raft.Term(2+seq) || got.State.Commit != 1 || got.Entries[1].Term != 2 {
			t.Errorf("stored %+v: entry 2 of term 2 was never committed", got)
		}
		d.put(raft.Save{Seq: 2, State: raft.HardState{Term: 4, Commit: 2}, First: 1})
	}
	c.setFull(false)
	if r, _ := d.write(); r.seq != 2 || c.stored.State.Commit != 2 || c.stored.Entries[1].Term != 3 {
		t.Errorf("with room reported %+v, stored %+v", r, c.stored)
	}
}
