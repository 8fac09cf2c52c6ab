package server

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/rafttest"
)

// The transport of these tests is one like any other.
func TestContractOfTheLAN(t *testing.T) {
	rafttest.CheckComms(t, func(t *testing.T, ids []raft.NodeID) []rafttest.Comms {
		l := &lan{inbox: map[raft.NodeID]chan raft.Message{}, cut: map[raft.NodeID]bool{}}
		var all []rafttest.Comms
		for _, id := range ids {
			all = append(all, l.port(id))
		}
		return all
	})
}

// batches is a Comms that counts what it is handed at a time.
type batches struct {
	*port
	most int
}

func (b *batches) SendBatch(ms []raft.Message) {
	b.most = max(b.most, len(ms))
	for _, m := range ms {
		b.port.Send(m)
	}
}

func TestWhatLeavesAtTheSameTimeIsHandedOnTogether(t *testing.T) {
	s := &Server{}
	l := &lan{inbox: map[raft.NodeID]chan raft.Message{}}
	b := &batches{port: l.port(testID(0))}
	s.parts.Comms = b
	s.send(nil)
	s.send(make([]raft.Message, 3))
	if b.most != 3 {
		t.Errorf("%d messages at most were handed on together, want 3", b.most)
	}
}

// Who hears that the leader is gone replaces it sooner; while it is heard the
// same hint does nothing.
func TestLeaderSuspected(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := start(t, 3)
		old := w.leader()
		term := w.status(old).Term
		for range 100 {
			for _, d := range w.devices {
				if err := d.LeaderSuspected(t.Context(), old.id); err != nil {
					t.Fatal(err)
				}
			}
			<-time.After(testTick)
		}
		if st := w.status(old); st.Role != raft.Leader || st.Term != term {
			t.Fatalf("after hints that were not true %s is %v in term %d, was leader in term %d", old.id, st.Role, st.Term, term)
		}
		<-time.After(10 * 30 * testTick) // false hints are forgiven by then
		others := w.followers()
		w.lan.setCut(old.id, true)
		<-time.After(2 * time.Millisecond) // what was under way arrives
		for _, d := range others {
			if err := d.LeaderSuspected(t.Context(), old.id); err != nil {
				t.Fatal(err)
			}
		}
		began := time.Now()
		w.eventually("another leads", func() bool {
			return w.status(others[0]).Role == raft.Leader || w.status(others[1]).Role == raft.Leader
		})
		if took, least := time.Since(began), 30*testTick; took >= least {
			t.Errorf("it took %v, no less than the election timeout of %v", took, least)
		}
		w.haltAll()
	})
}
