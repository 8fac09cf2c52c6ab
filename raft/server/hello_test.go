package server

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// copyOf starts a second device with a copy of d's card, which takes d's place on
// the network, as the one that spoke last does.
func (w *world) copyOf(d *device, boot uint64) *device {
	d.card.mu.Lock()
	stored := d.card.stored
	stored.Entries = slices.Clone(stored.Entries)
	d.card.mu.Unlock()
	twin := &device{id: d.id, card: &card{delay: time.Millisecond, stored: stored}, salt: 1 << 40, boot: boot - 1}
	w.boot(twin, nil)
	return twin
}

// A copy of a device's storage does not act beside the original: it is refused
// before it takes part, whichever of them is at fault, and the others say so.
func TestACopyIsRefused(t *testing.T) {
	for name, older := range map[string]uint64{"of the same boot": 0, "of an earlier boot": 1} {
		for victim := range 3 {
			synctest.Test(t, func(t *testing.T) {
				w := start(t, 3)
				d := w.devices[victim]
				w.halt(d) // so that it has been started twice
				w.boot(d, nil)
				w.eventually("it is back", func() bool { return w.status(d).Leader != "" })
				<-time.After(10 * time.Second)
				original := w.lan.inbox[d.id]
				// Under load, which it would acknowledge in the other's name.
				w.lan.answersLate = 30 * time.Millisecond
				load, stop := context.WithCancel(t.Context())
				defer stop()
				for range 5 {
					go func() {
						for load.Err() == nil {
							_, _ = w.devices[(victim+1)%3].Propose(load, []byte("load"))
							<-time.After(time.Millisecond)
						}
					}()
				}
				twin := w.copyOf(d, d.boot-older)
				select {
				case err := <-twin.ended:
					if !errors.Is(err, ErrTwin) {
						t.Errorf("%s: the copy of device %d ended with %v, want ErrTwin", name, victim, err)
					}
				case <-time.After(time.Minute):
					t.Errorf("%s: the copy of device %d goes on", name, victim)
					twin.stop()
				}
				if n := len(twin.card.stored.Entries); twin.card.saves > 0 {
					t.Errorf("%s: the copy saved something, it has %d entries", name, n)
				}
				stop()
				w.lan.mu.Lock()
				w.lan.inbox[d.id] = original
				w.lan.mu.Unlock()
				w.mustPropose(d, "and on")
				told := 0
				for _, o := range w.devices {
					if a := w.status(o).Known[d.id]; o != d {
						if _, ok := a.Twin(); ok {
							told++
						}
					}
				}
				if told == 0 {
					t.Errorf("%s: nobody says that a copy was refused", name)
				}
				w.haltAll()
			})
		}
	}
}

// A restart is no copy, however often and fast, and neither is the start of all
// after a power cut.
func TestARestartIsNoCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for round := range 6 {
			d := w.devices[round%3]
			w.halt(d)
			w.boot(d, nil)
			w.mustPropose(d, "again")
		}
		for _, d := range w.devices { // all at once, after a power cut
			w.halt(d)
		}
		for _, d := range w.devices {
			w.boot(d, nil)
		}
		w.mustPropose(w.devices[0], "after all were off")
		w.haltAll()
	})
}

// Two clusters of one name that meet do not mix, and both say so: members that
// start, and members that find each other.
func TestTwoClustersMeet(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 2)
		apart := &device{id: testID(5), card: &card{delay: time.Millisecond}}
		w.lan.setCut(apart.id, true)
		w.boot(apart, nil)
		if err := apart.Found(t.Context(), raft.ClusterIDFrom([16]byte{2})); err != nil {
			t.Fatal(err)
		}
		<-time.After(20 * time.Second) // its first words are lost
		w.lan.setCut(apart.id, false)
		if err := w.devices[1].Discovered(t.Context(), apart.id); err != nil {
			t.Fatal(err)
		}
		here, there := w.status(w.devices[1]).Cluster, w.status(apart).Cluster
		w.eventually("both say so", func() bool {
			return w.status(w.devices[1]).Drops.LastForeign == there && w.status(apart).Drops.LastForeign == here
		})
		<-time.After(time.Minute)
		if n := len(w.status(w.devices[0]).Config.Members); n != 2 {
			t.Errorf("%d members, want 2", n)
		}
		if n := w.status(apart).Drops.Foreign; n > 2*tellings {
			t.Errorf("%d messages in a minute, to tell that there is another cluster", n)
		}
		w.devices = append(w.devices, apart)
		w.haltAll()
	})
}

// A cluster works at the level of its oldest member, and says so everywhere.
func TestTheLevelIsThatOfTheOldest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		levels := []uint32{9, 1, 3}
		w := &world{t: t, lan: &lan{inbox: map[raft.NodeID]chan raft.Message{}, cut: map[raft.NodeID]bool{}}}
		for i := range levels {
			d := &device{id: testID(i), card: &card{delay: time.Millisecond}, level: levels[i]}
			w.devices = append(w.devices, d)
			w.boot(d, nil)
		}
		if err := w.devices[0].Found(t.Context(), raft.ClusterIDFrom([16]byte{1})); err != nil {
			t.Fatal(err)
		}
		everywhere := func(want uint32) {
			t.Helper()
			w.eventually("the level is known everywhere", func() bool {
				for _, d := range w.devices {
					st := w.status(d)
					if st.Level != want || st.Config.Voters() != 3 {
						return false
					}
				}
				return true
			})
		}
		everywhere(1)
		for _, level := range []uint32{2, 12} { // the oldest is updated
			w.halt(w.devices[1])
			w.devices[1].level = level
			w.boot(w.devices[1], nil)
			w.mustPropose(w.devices[1], "updated")
			everywhere(min(level, 3))
		}
		for _, d := range w.devices {
			for i, o := range w.devices {
				if a := w.status(d).Known[o.id]; o != d && a.Level != 0 && a.Level != o.level {
					t.Errorf("device %d is known with level %d", i, a.Level)
				}
			}
		}
		if a := w.status(w.leader()).Known[w.devices[1].id]; w.leader() != w.devices[1] && a.Version != "1.12" {
			t.Errorf("the updated device is known with version %q", a.Version)
		}
		w.haltAll()
	})
}

// Only members vouch for a device that starts, and nothing is kept of others: who
// holds the key can answer under any number of IDs.
func TestOnlyMembersVouch(t *testing.T) {
	conf := &raft.Configuration{}
	for i := range 3 {
		conf.Members = append(conf.Members, raft.Member{ID: testID(i), Role: raft.Voter})
	}
	cluster := raft.ClusterIDFrom([16]byte{1})
	s, err := New(Config{
		Core: raft.Config{ID: testID(0), ElectionTicks: 30, HeartbeatTicks: 10, Random: func(int) int { return 0 }, Boot: 1},
		Tick: testTick, Session: 1,
	}, Parts{Comms: (&lan{inbox: map[raft.NodeID]chan raft.Message{}}).port(testID(0)), Log: &card{}, App: &list{}}, raft.Stored{
		State:   raft.HardState{Cluster: cluster, Term: 1},
		Entries: []raft.Entry{{Index: 1, Term: 1, Kind: raft.EntryConfig, Config: conf}},
	})
	if err != nil {
		t.Fatal(err)
	}
	s.beginProbation()
	for i := range 200 {
		s.receive(raft.Message{Cluster: cluster, From: testID(10 + i), To: testID(0), Body: raft.JoinAnswer{}})
	}
	if s.hello.probation == 0 || len(s.hello.vouched) > 0 {
		t.Errorf("%d strangers vouched", len(s.hello.vouched))
	}
	s.receive(raft.Message{Cluster: cluster, From: testID(2), To: testID(0), Body: raft.JoinAnswer{}})
	if s.hello.probation > 0 {
		t.Error("a member did not count")
	}
}

// A copy of a blank device, as of an image that was taken after the first start,
// takes no part in a founding: the others could found a cluster with each.
func TestACopyOfABlankDeviceIsRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := &world{t: t, lan: &lan{inbox: map[raft.NodeID]chan raft.Message{}, cut: map[raft.NodeID]bool{}}}
		for i := range 3 {
			w.devices = append(w.devices, &device{id: testID(i), card: &card{delay: time.Millisecond}, expect: 3})
		}
		w.boot(w.devices[0], nil)
		w.boot(w.devices[1], nil)
		<-time.After(5 * time.Second)
		w.halt(w.devices[0]) // a restart is none
		w.boot(w.devices[0], nil)
		<-time.After(5 * time.Second)
		original := w.lan.inbox[testID(0)]
		twin := &device{id: testID(0), card: &card{delay: time.Millisecond}, salt: 1 << 40, boot: 1, expect: 3}
		w.boot(twin, nil)
		select {
		case err := <-twin.ended:
			if !errors.Is(err, ErrTwin) {
				t.Errorf("the copy ended with %v, want ErrTwin", err)
			}
		case <-time.After(time.Minute):
			t.Error("the copy goes on")
			twin.stop()
		}
		w.lan.mu.Lock()
		w.lan.inbox[testID(0)] = original
		w.lan.mu.Unlock()
		w.boot(w.devices[2], nil)
		w.eventually("a cluster is founded", func() bool { return w.status(w.devices[0]).Leader != "" })
		w.mustPropose(w.devices[0], "without the copy")
		if st := w.status(w.devices[1]); st.Drops.Foreign > 0 || st.Config.Voters() != 3 {
			t.Errorf("%d foreign messages, %d voters", st.Drops.Foreign, st.Config.Voters())
		}
		w.haltAll()
	})
}
