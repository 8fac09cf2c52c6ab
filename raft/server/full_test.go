package server

import (
	"errors"
	"fmt"
	"slices"
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

// tightCard has room for a snapshot, and for entries, but not for both at once.
type tightCard struct{ *card }

func (c tightCard) Save(s raft.Save) error {
	if s.Snapshot != nil && len(s.Entries) > 0 {
		return raft.ErrDiskFull
	}
	return c.card.Save(s)
}

// TestASnapshotMakesRoomForEntries: where entries wait for room, the snapshot that
// makes some does not wait with them. Nothing that it contradicts is left beside it,
// and nothing is lost that is not replaced.
func TestASnapshotMakesRoomForEntries(t *testing.T) {
	run := func(term raft.Term, from, to raft.Index) (es []raft.Entry) {
		for i := from; i <= to; i++ {
			es = append(es, raft.Entry{Index: i, Term: term})
		}
		return es
	}
	for _, c := range []struct {
		name           string
		stored, fresh  []raft.Entry
		at, first      raft.Index // of the snapshot, and of the log
		between, after []raft.Entry
	}{
		{"behind what is stored", run(1, 1, 4), run(1, 5, 9), 7, 5, nil, run(1, 8, 9)},
		{"at the end of all", run(1, 1, 4), run(1, 5, 9), 9, 5, nil, nil},
		{"within what is stored", run(1, 1, 6), run(1, 7, 9), 3, 3, run(1, 3, 6), run(1, 3, 9)},
		{"at the end of what is stored", run(1, 1, 6), run(1, 7, 9), 6, 3, nil, run(1, 7, 9)},
		{"where others are stored", run(1, 1, 8), run(2, 5, 9), 6, 3, nil, run(2, 7, 9)},
		{"before others that are stored", run(1, 1, 8), run(2, 6, 9), 3, 3, run(1, 3, 8), append(run(1, 3, 5), run(2, 6, 9)...)},
	} {
		state := raft.HardState{Term: 1, Commit: 2}
		next := raft.HardState{Term: 2, Commit: c.at}
		full := &card{stored: raft.Stored{State: state, Entries: c.stored}}
		s := raft.Save{Seq: 5, State: next, Entries: c.fresh, Snapshot: &raft.Snapshot{Index: c.at, Term: 2}, First: c.first}

		alone, _, _ := snapshotFirst(&s, state.Commit)
		if err := full.Save(alone); err != nil || !sameEntries(full.stored.Entries, c.between) || full.stored.State != next {
			t.Errorf("%s: after the snapshot there are %+v, %v", c.name, full.stored, err)
		}
		full.stored = raft.Stored{State: state, Entries: c.stored}
		d := newDisk(tightCard{full}, window{}, state)
		d.put(s)
		if r, _ := d.write(); r.err != nil || r.seq != 5 || d.full {
			t.Errorf("%s: reported %+v", c.name, r)
		}
		if got := full.stored; got.Snapshot == nil || got.State != next || !sameEntries(got.Entries, c.after) {
			t.Errorf("%s: stored %+v", c.name, got)
		}
	}
}

func sameEntries(a, b []raft.Entry) bool {
	return slices.EqualFunc(a, b, func(a, b raft.Entry) bool { return a.Index == b.Index && a.Term == b.Term })
}
