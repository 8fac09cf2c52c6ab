package server

import (
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

func TestTheMembershipIsChangedFromAnyDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		f := w.followers()
		change := func(kind raft.ChangeKind) error {
			return f[0].ChangeMember(timeout(t, 5*time.Second), raft.Change{Kind: kind, ID: f[1].id})
		}
		if err := change(raft.Demote); err != nil {
			t.Fatal(err)
		}
		<-time.After(30 * time.Second)
		if w.status(f[0]).Config.IsVoter(f[1].id) {
			t.Error("a demoted device got its vote back by itself")
		}
		if err := change(raft.Demote); !errors.Is(err, raft.ErrBadChange) {
			t.Errorf("demoting a learner: %v, want ErrBadChange", err)
		}
		if err := change(raft.Promote); err != nil {
			t.Fatal(err)
		}
		if !w.status(w.leader()).Config.IsVoter(f[1].id) {
			t.Error("a promoted device has no vote")
		}
		w.haltAll()
	})
}

// A removed device learns it, also when it was off at the time, disturbs
// nobody, and comes back only when it is admitted again.
func TestARemovedDeviceLearnsIt(t *testing.T) {
	for _, off := range []bool{false, true} {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, 3)
			l, gone := w.leader(), w.followers()[0]
			term := w.status(l).Term
			w.lan.setCut(gone.id, off)
			if err := l.ChangeMember(timeout(t, 5*time.Second), raft.Change{Kind: raft.Remove, ID: gone.id}); err != nil {
				t.Fatal(err)
			}
			w.lan.setCut(gone.id, false)
			w.eventually("the removed device knows", func() bool { return w.status(gone).Removed })
			<-time.After(time.Minute)
			if st := w.status(l); len(st.Config.Members) != 2 || st.Term != term || st.Role != raft.Leader {
				t.Errorf("a minute later: %d members, term %d (was %d), %v", len(st.Config.Members), st.Term, term, st.Role)
			}
			add := raft.Change{Kind: raft.AddLearner, ID: gone.id, Name: "back"}
			if err := l.ChangeMember(timeout(t, 5*time.Second), add); err != nil {
				t.Fatal(err)
			}
			w.eventually("it is back", func() bool { st := w.status(gone); return !st.Removed && st.Config.IsVoter(gone.id) })
			w.haltAll()
		})
	}
}

func TestALeaderIsRemoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		l := w.leader()
		if err := l.ChangeMember(timeout(t, 5*time.Second), raft.Change{Kind: raft.Remove, ID: l.id}); err != nil {
			t.Fatal(err)
		}
		rest := slices.DeleteFunc(slices.Clone(w.devices), func(d *device) bool { return d == l })
		w.mustPropose(rest[0], "without it")
		w.eventually("it knows", func() bool { return w.status(l).Removed })
		w.haltAll()
	})
}

func TestLeadershipIsHandedOverFromAnyDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for i, d := range append(w.devices, w.devices...) {
			to := w.devices[(i+1)%3].id
			if got, err := d.Transfer(timeout(t, 5*time.Second), to); err != nil || got != to {
				t.Fatalf("from %s to %s: %s leads, %v", d.id, to, got, err)
			}
			w.mustPropose(d, "and on")
		}
		l := w.leader()
		if got, err := l.Transfer(timeout(t, 5*time.Second), ""); err != nil || got == l.id || got == "" {
			t.Errorf("to anyone: %q leads, %v", got, err)
		}
		if _, err := w.leader().Transfer(timeout(t, 5*time.Second), testID(9)); !errors.Is(err, raft.ErrNoSuccessor) {
			t.Errorf("to a stranger: %v, want ErrNoSuccessor", err)
		}
		w.haltAll()
	})
}
