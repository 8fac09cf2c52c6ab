package server

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

func TestDevicesJoinAndAgree(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		var want []string
		for i := range 9 {
			text := fmt.Sprint("command ", i)
			a, err := w.propose(w.devices[i%3], text, time.Second)
			if err != nil {
				t.Fatal(err)
			}
			if want = append(want, text); string(a.Result) != fmt.Sprint(len(want)) {
				t.Errorf("result of %q is %s, want %d", text, a.Result, len(want))
			}
		}
		for _, d := range w.devices {
			w.eventually("all hold the commands", func() bool { return len(d.app.all()) == len(want) })
			if got := d.app.all(); !slices.Equal(got, want) {
				t.Errorf("device %s holds %q, want %q", d.id, got, want)
			}
		}
		w.haltAll()
	})
}

func TestFiveDevicesAndALearner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 6)
		if st := w.status(w.leader()); len(st.Config.Members) != 6 || st.Config.Voters() != 5 {
			t.Errorf("%d members with %d voters, want 6 with 5", len(st.Config.Members), st.Config.Voters())
		}
		w.haltAll()
	})
}

func TestAFollowersReadSeesWhatWasAcknowledged(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for i := range 5 {
			w.mustPropose(w.leader(), fmt.Sprint(i))
			for _, d := range w.followers() {
				if err := d.Barrier(t.Context()); err != nil {
					t.Fatal(err)
				}
				if got := len(d.app.all()); got != i+1 {
					t.Errorf("a read after %d acknowledged commands saw %d", i+1, got)
				}
			}
		}
		w.haltAll()
	})
}

// A stuck disk must cost neither an election nor availability, as long as it
// is in a minority (promise P4), and a device must not acknowledge, by its
// word to the leader, what its disk does not hold.
func TestAStuckDiskStopsNobody(t *testing.T) {
	for _, who := range []string{"leader", "follower"} {
		t.Run(who, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, 3)
				d := w.leader()
				term := w.status(d).Term
				if who == "follower" {
					d = w.followers()[0]
				}
				d.card.set(20*time.Second, nil)
				stable := w.status(d).Stable
				for i := range 20 {
					begin := time.Now()
					w.mustPropose(w.devices[i%3], fmt.Sprint(i))
					if took := time.Since(begin); took > 2*time.Second {
						t.Errorf("command %d took %v", i, took)
					}
				}
				st := w.status(d)
				if st.Term != term {
					t.Errorf("the term went from %d to %d", term, st.Term)
				}
				if st.Stable > stable+1 {
					t.Errorf("stable went from %d to %d without a save", stable, st.Stable)
				}
				d.card.set(time.Millisecond, nil)
				w.eventually("the slow disk caught up", func() bool { s := w.status(d); return s.Stable == s.Last })
				w.haltAll()
			})
		})
	}
}

func TestAFailedSaveEndsTheDevice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		broken := errors.New("input/output error")
		l := w.leader()
		l.card.set(0, broken)
		_, _ = w.propose(l, "on a broken disk", 10*time.Second)
		if err := <-l.ended; !errors.Is(err, broken) {
			t.Fatalf("the device ended with %v, want the disk's error", err)
		}
		if _, err := l.Propose(t.Context(), []byte("after")); !errors.Is(err, raft.ErrStopped) {
			t.Errorf("a proposal after the end: %v, want ErrStopped", err)
		}
		w.devices = slices.DeleteFunc(w.devices, func(d *device) bool { return d == l })
		w.lan.setCut(l.id, true)
		w.mustPropose(w.devices[0], "the others go on")
		w.haltAll()
	})
}

func TestARestartedDeviceHoldsWhatItHeld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for i := range 10 {
			w.mustPropose(w.devices[i%3], fmt.Sprint(i))
		}
		for _, d := range w.devices {
			w.halt(d)
		}
		for _, d := range w.devices {
			w.boot(d, nil)
		}
		w.mustPropose(w.devices[1], "after the restart")
		for _, d := range w.devices {
			w.eventually("all hold the commands", func() bool { return len(d.app.all()) == 11 })
		}
		w.haltAll()
	})
}

func TestOutcomes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		l := w.leader()
		for _, f := range w.followers() {
			w.lan.setCut(f.id, true)
		}
		if _, err := w.propose(l, "appended, no quorum", time.Second); !errors.Is(err, raft.ErrOutcomeUnknown) {
			t.Errorf("with an entry in the log: %v, want ErrOutcomeUnknown", err)
		}
		w.eventually("the leader steps down without a quorum", func() bool { return w.status(l).Role != raft.Leader })
		if _, err := w.propose(l, "no leader", time.Second); !errors.Is(err, raft.ErrNoLeader) {
			t.Errorf("without a leader: %v, want ErrNoLeader", err)
		}
		if err := l.Barrier(timeout(t, time.Second)); !errors.Is(err, raft.ErrNoLeader) {
			t.Errorf("a read without a leader: %v, want ErrNoLeader", err)
		}
		for _, f := range w.devices {
			w.lan.setCut(f.id, false)
		}
		w.mustPropose(l, "a leader again")
		w.haltAll()
	})
}

// Proposals made while the leader changes are committed once, by the device
// they were made on, without the caller trying again.
func TestProposalsSurviveALeaderChange(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		l := w.leader()
		w.lan.setCut(l.id, true)
		var wg sync.WaitGroup
		for _, d := range w.devices {
			if d != l {
				wg.Go(func() { w.mustPropose(d, "made on "+string(d.id)) })
			}
		}
		wg.Wait()
		w.lan.setCut(l.id, false)
		w.eventually("the old leader has them, once", func() bool { return len(l.app.all()) == 2 })
		w.haltAll()
	})
}

// A follower that slept since the last heartbeat must answer a pre-vote by the
// clock, not by when it last woke: or the first campaign after the loss of a
// leader fails, and fail-over takes twice as long.
func TestTheFirstCampaignSucceeds(t *testing.T) {
	for range 10 {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, 3)
			for range 5 {
				l := w.leader()
				<-time.After(2 * time.Second)
				w.lan.setCut(l.id, true)
				// Nothing else wakes the others meanwhile.
				<-time.After(2*30*testTick + 100*time.Millisecond)
				found := slices.ContainsFunc(w.devices, func(d *device) bool { return d != l && w.status(d).Role == raft.Leader })
				if !found {
					t.Error("there is no new leader after the longest election timeout")
				}
				w.lan.setCut(l.id, false)
				w.eventually("all follow", func() bool { return w.status(l).Leader == w.status(w.leader()).ID })
			}
			w.haltAll()
		})
	}
}

// A leader that is asked to stop hands over first: the others go on at once.
func TestAStoppingLeaderHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for i := range 6 {
			l := w.leader()
			w.mustPropose(l, fmt.Sprint("before ", i))
			begin := time.Now()
			w.halt(l)
			w.lan.setCut(l.id, true)
			others := slices.DeleteFunc(slices.Clone(w.devices), func(d *device) bool { return d == l })
			if _, err := w.propose(others[i%2], fmt.Sprint("after ", i), 20*time.Second); err != nil {
				t.Fatal(err)
			}
			if took := time.Since(begin); took > 30*testTick/3 {
				t.Errorf("hand-over %d and the next commit took %v", i, took)
			}
			w.lan.setCut(l.id, false)
			w.boot(l, nil)
			w.eventually("it is back", func() bool { return w.status(l).Leader != "" })
		}
		w.haltAll()
	})
}

// Proposals made while the leader hands over are neither lost nor doubled.
func TestHandOverUnderLoad(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		l := w.leader()
		others := w.followers()
		var wg sync.WaitGroup
		for i := range 200 {
			wg.Go(func() { w.mustPropose(others[i%2], fmt.Sprint(i)) })
			if i == 100 {
				wg.Go(func() { w.halt(l) })
			}
			<-time.After(time.Millisecond)
		}
		wg.Wait()
		for _, d := range others {
			w.eventually("all are there", func() bool { return len(d.app.all()) >= 200 })
			got := d.app.all()
			slices.Sort(got)
			if len(slices.Compact(got)) != 200 || len(d.app.all()) != 200 {
				t.Errorf("%d commands applied, %d of them different, want 200", len(d.app.all()), len(slices.Compact(got)))
			}
		}
		w.halt(others[0])
		w.halt(others[1])
	})
}

type stuckMonitor struct{ gate chan struct{} }

func (m stuckMonitor) Changed(Change) { <-m.gate }

func TestAStuckMonitorDelaysNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		d := w.devices[0]
		m := stuckMonitor{make(chan struct{})}
		w.halt(d)
		w.boot(d, m)
		for i := range 5 {
			w.mustPropose(w.devices[i%3], fmt.Sprint(i))
		}
		close(m.gate)
		w.haltAll()
	})
}

func TestJoinNames(t *testing.T) {
	for _, c := range []struct{ in, want string }{
		{"pi", "pi"}, {"p\xffi", "p?i"}, {"ääää", "äää"},
	} {
		if got := clip(c.in, 7); got != c.want {
			t.Errorf("clip(%q, 7) = %q, want %q", c.in, got, c.want)
		}
	}
}

// Whoever makes up announcements must not make a device flood their addresses.
func TestDiscoveriesHurryAJoinWithinBounds(t *testing.T) {
	const beat = 10
	j := joiner{}
	sent, at := 0, []int{}
	for tick := range 100 { // an announcement every tick
		j.hurry(beat)
		if j.wait == 0 {
			sent++
			at = append(at, tick)
			j.since, j.wait = 0, 80
		}
		j.tick()
	}
	if at[0] != 0 || at[1] > 2 || sent > 100/beat+4 {
		t.Errorf("%d Joins in 10 heartbeats, at ticks %v", sent, at)
	}
	j = joiner{wait: 2, since: 3, gap: beat}
	if j.hurry(beat); j.wait != 2 {
		t.Errorf("a Join that is due in 2 ticks was put off to %d", j.wait)
	}
}
