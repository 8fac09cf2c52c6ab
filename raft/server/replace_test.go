package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// reflash gives a device that is off an empty card, and with it a new identity.
func (w *world) reflash(d *device, id raft.NodeID) *device {
	fresh := &device{id: id, card: &card{delay: time.Millisecond}, replaces: d.id}
	for i := range w.devices {
		if w.devices[i] == d {
			w.devices[i] = fresh
		}
	}
	w.boot(fresh, nil)
	return fresh
}

// A device that lost its storage takes its own old place, by itself, whoever
// leads; its vote counts again when it holds everything.
func TestADeviceThatLostItsStorageHeals(t *testing.T) {
	for victim := range 3 {
		synctest.Test(t, func(t *testing.T) {
			w := start(t, 3)
			for i := range 50 {
				w.mustPropose(w.devices[i%3], "before")
			}
			old := w.devices[victim]
			w.halt(old)
			fresh := w.reflash(old, testID(8))
			w.eventually("it has the place of the old one", func() bool {
				conf := w.status(w.leader()).Config
				_, there := conf.Member(old.id)
				return !there && conf.IsVoter(fresh.id) && conf.Voters() == 3
			})
			w.eventually("it holds everything", func() bool { return len(fresh.app.all()) == 50 })
			w.halt(w.devices[(victim+1)%3]) // two of three suffice again
			if _, err := w.propose(fresh, "after", 30*time.Second); err != nil {
				t.Error(err)
			}
			w.boot(w.devices[(victim+1)%3], nil)
			w.haltAll()
		})
	}
}

// Nobody takes the place of a device that is alive.
func TestNobodyReplacesTheLiving(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		for _, d := range []*device{w.leader(), w.followers()[0]} {
			intruder := &device{id: testID(9), card: &card{delay: time.Millisecond}, replaces: d.id}
			w.devices = append(w.devices, intruder)
			w.boot(intruder, nil)
			<-time.After(2 * time.Minute)
			conf := w.status(d).Config
			if !conf.IsVoter(d.id) || conf.Voters() != 3 || len(conf.Members) != 4 {
				t.Errorf("device %s: the configuration is %+v", d.id, conf)
			}
			if reason := w.status(intruder).JoinReason; reason == "" {
				t.Error("the intruder is not told why")
			}
			w.halt(intruder)
			w.devices = w.devices[:3]
			if err := w.leader().ChangeMember(timeout(t, time.Minute), raft.Change{Kind: raft.Remove, ID: intruder.id}); err != nil {
				t.Fatal(err)
			}
		}
		w.haltAll()
	})
}
