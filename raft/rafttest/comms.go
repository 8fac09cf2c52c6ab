package rafttest

import (
	"reflect"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// Comms is a transport as raft/server has it.
type Comms interface {
	Send(m raft.Message)
	Received() <-chan raft.Message
}

// Limits of CheckComms: when a broken transport is given up, how often what may
// be lost is sent again, and how long Send may take.
const (
	commsPatience = 20 * time.Second
	commsRepeat   = 50 * time.Millisecond
	commsBlocked  = 2 * time.Second
)

// commsIDs are the devices of CheckComms.
var commsIDs = []raft.NodeID{"abaaaaaaaaaaaaaa", "bbbbbbbbbbbbbbb2", "ccccccccccccccc7"}

// CheckComms holds that a transport keeps its contract: messages may get lost,
// repeated, reordered and delayed, but those that arrive are whole, from whom
// they say, and for who gets them; and neither Send nor anything else waits for
// a receiver. open makes one of the transport for each of the devices, which
// can reach each other, and closes them when the test ends.
func CheckComms(t *testing.T, open func(t *testing.T, ids []raft.NodeID) []Comms) {
	for _, c := range []struct {
		name  string
		check func(*commsTest)
	}{
		{"every kind of message arrives whole", (*commsTest).everyKind},
		{"large messages arrive whole", (*commsTest).large},
		{"a join goes to everyone else", (*commsTest).join},
		{"what breaks the rules goes nowhere", (*commsTest).refused},
		{"a receiver that does not take its messages holds up nobody", (*commsTest).undrained},
		{"many senders at once", (*commsTest).concurrent},
		{"unknown devices are no harm", (*commsTest).unknown},
	} {
		t.Run(c.name, func(t *testing.T) { c.check(&commsTest{t, open(t, commsIDs)}) })
	}
}

type commsTest struct {
	t   *testing.T
	all []Comms
}

// message is one from device i to device j.
func (c *commsTest) message(i, j int, body raft.Body) raft.Message {
	return raft.Message{Cluster: raft.ClusterIDFrom([16]byte{1}), From: commsIDs[i], To: commsIDs[j], Term: 7, Body: body}
}

// arrives sends a message until it arrives, past others.
func (c *commsTest) arrives(i, j int, m raft.Message) {
	c.t.Helper()
	again := time.NewTicker(commsRepeat)
	defer again.Stop()
	end := time.NewTimer(commsPatience)
	defer end.Stop()
	c.all[i].Send(m)
	for {
		select {
		case got := <-c.all[j].Received():
			if got.To != m.To || got.From != m.From {
				if got.To != commsIDs[j] && got.To != "" {
					c.t.Fatalf("device %d got a message from %s to %s", j, got.From, got.To)
				}
				continue
			}
			if reflect.DeepEqual(got, m) {
				return
			}
		case <-again.C:
			c.all[i].Send(m)
		case <-end.C:
			c.t.Fatalf("a %T from device %d to device %d did not arrive", m.Body, i, j)
		}
	}
}

func (c *commsTest) everyKind() {
	entries := []raft.Entry{{Index: 9, Term: 7, Kind: raft.EntryCommand, ID: 5, Data: []byte("x"), Time: 3}}
	for _, b := range []raft.Body{
		raft.PreVoteRequest{LastIndex: 8, LastTerm: 6}, raft.PreVoteResponse{For: 8, Granted: true},
		raft.VoteRequest{LastIndex: 8, LastTerm: 6, Transfer: true}, raft.VoteResponse{Granted: true}, raft.TimeoutNow{},
		raft.AppendRequest{PrevIndex: 8, PrevTerm: 6, Entries: entries, Commit: 4, Read: 2, Clock: 3},
		raft.AppendRequest{PrevIndex: 8, PrevTerm: 6, Commit: 4, Read: 3, Clock: 3},
		raft.AppendResponse{Match: 8, Read: 2, Received: 9},
		raft.SnapshotRequest{Index: 8, Term: 6, ConfigIndex: 1, Config: &raft.Configuration{Members: []raft.Member{{ID: commsIDs[0], Role: raft.Voter}}}, Size: 3, Sum: 1, Data: []byte("abc")},
		raft.SnapshotResponse{Index: 8, Offset: 3}, raft.Removed{Index: 3},
		raft.Forward{Boot: 2, Proposals: []raft.ForwardedProposal{{Seq: 1, ID: 4, Data: []byte("y")}}},
		raft.ForwardRefused{Boot: 2, Seq: 1, Reason: raft.RefusedBusy},
		raft.ForwardChange{Boot: 2, Seq: 1, ID: 3, Change: raft.Change{Kind: raft.Remove, ID: commsIDs[2]}},
		raft.TransferRequest{Successor: commsIDs[1]}, raft.ReadRequest{Seq: 1}, raft.ReadResponse{Seq: 1, Index: 8},
		raft.Join{Name: "pi", Member: true}, raft.JoinAnswer{Leader: commsIDs[1], Reason: "why"},
	} {
		c.arrives(0, 1, c.message(0, 1, b))
		c.arrives(1, 0, c.message(1, 0, b))
	}
}

// sized is an AppendEntries with a command of so many bytes, which n tells from
// others.
func sized(n, size int) raft.AppendRequest {
	data := make([]byte, size)
	x := uint32(n)
	for i := range data {
		x = x*1664525 + 1013904223
		data[i] = byte(x >> 24)
	}
	return raft.AppendRequest{PrevIndex: raft.Index(n), PrevTerm: 7, Clock: 1, Entries: []raft.Entry{
		{Index: raft.Index(n) + 1, Term: 7, Kind: raft.EntryCommand, Data: data, Time: 1},
	}}
}

func (c *commsTest) large() {
	for n, size := range []int{1 << 10, 1100, 1200, 1300, 4 << 10, 64 << 10, 300 << 10, 1 << 20} {
		c.arrives(0, 1, c.message(0, 1, sized(n+1, size)))
	}
	c.arrives(1, 2, c.message(1, 2, sized(1, 1<<20)))
}

func (c *commsTest) join() {
	m := raft.Message{From: commsIDs[2], Body: raft.Join{Name: "pi"}}
	c.arrives(2, 0, c.message(2, 0, raft.ReadRequest{Seq: 1})) // those it knows of suffice
	c.arrives(2, 1, c.message(2, 1, raft.ReadRequest{Seq: 1}))
	c.arrives(2, 0, m)
	c.arrives(2, 1, m)
	c.nothing(2)
}

// nothing holds that nothing of a device's own came to it before what another
// sends it now.
func (c *commsTest) nothing(i int) {
	c.t.Helper()
	other := (i + 1) % len(c.all)
	mark := c.message(other, i, raft.ReadRequest{Seq: 1 << 40})
	again := time.NewTicker(commsRepeat)
	defer again.Stop()
	end := time.NewTimer(commsPatience)
	defer end.Stop()
	for {
		c.all[other].Send(mark)
		select {
		case m := <-c.all[i].Received():
			if reflect.DeepEqual(m, mark) {
				return
			}
			if m.From == commsIDs[i] || m.To != commsIDs[i] && m.To != "" {
				c.t.Fatalf("device %d got %+v", i, m)
			}
		case <-again.C:
		case <-end.C:
			c.t.Fatalf("device %d gets nothing any more", i)
		}
	}
}

func (c *commsTest) refused() {
	own := c.message(0, 0, raft.ReadRequest{Seq: 1})
	forged := c.message(1, 2, raft.ReadRequest{Seq: 666})
	toAll := c.message(0, 1, raft.ReadRequest{Seq: 666})
	toAll.To = ""
	noID := c.message(0, 1, raft.ReadRequest{Seq: 666})
	noID.To = "nobody"
	for _, m := range []raft.Message{own, forged, toAll, noID, c.message(0, 1, nil)} {
		c.all[0].Send(m)
	}
	end := time.NewTimer(commsPatience)
	defer end.Stop()
	for i := range c.all {
		from := (i + 1) % len(c.all)
		mark := c.message(from, i, raft.ReadRequest{Seq: 2})
		c.all[from].Send(mark)
		for done := false; !done; {
			select {
			case m := <-c.all[i].Received():
				if b, ok := m.Body.(raft.ReadRequest); !ok || b.Seq == 666 || m.From == commsIDs[i] {
					c.t.Fatalf("device %d got %+v", i, m)
				}
				done = reflect.DeepEqual(m, mark)
			case <-time.After(commsRepeat):
				c.all[from].Send(mark)
			case <-end.C:
				c.t.Fatalf("device %d gets nothing any more", i)
			}
		}
	}
}

func (c *commsTest) undrained() {
	began := time.Now()
	for n := range 5000 {
		c.all[0].Send(c.message(0, 1, raft.ReadRequest{Seq: uint64(n)}))
		if n%500 == 0 {
			c.all[0].Send(c.message(0, 1, sized(n+1, 1<<20)))
		}
	}
	if took := time.Since(began); took > commsBlocked {
		c.t.Errorf("5000 messages took Send %v", took)
	}
	if c.all[1].Received() != c.all[1].Received() {
		c.t.Error("Received is another channel each time")
	}
	c.arrives(0, 2, c.message(0, 2, raft.ReadRequest{Seq: 1})) // past the one that is full
	c.arrives(0, 1, c.message(0, 1, raft.ReadRequest{Seq: 1 << 50}))
}

func (c *commsTest) concurrent() {
	const senders, each = 8, 50
	var wg sync.WaitGroup
	for s := range senders {
		wg.Go(func() {
			for n := range each {
				c.all[0].Send(c.message(0, 1, sized(s*each+n+1, 2<<10)))
				c.all[1].Send(c.message(1, 0, raft.ReadRequest{Seq: uint64(n)}))
			}
		})
	}
	done := make(chan struct{})
	go func() { wg.Wait(); close(done) }()
	for finished := false; !finished; {
		select {
		case m := <-c.all[1].Received():
			b, ok := m.Body.(raft.AppendRequest)
			if !ok {
				c.t.Fatalf("a %T came", m.Body)
			}
			if want := sized(int(b.PrevIndex), 2<<10); !reflect.DeepEqual(b, want) {
				c.t.Fatalf("message %d is not whole", b.PrevIndex)
			}
		case <-done:
			finished = true
		}
	}
	c.arrives(0, 1, c.message(0, 1, raft.ReadRequest{Seq: 1 << 50}))
}

func (c *commsTest) unknown() {
	c.arrives(0, 1, c.message(0, 1, raft.ReadRequest{Seq: 1}))
	c.arrives(1, 0, c.message(1, 0, raft.ReadRequest{Seq: 1}))
	for n := range 500 {
		m := c.message(0, 1, raft.ReadRequest{Seq: 1})
		m.To = raft.NodeIDFrom([10]byte{9, byte(n), byte(n >> 8)})
		c.all[0].Send(m)
	}
	c.arrives(0, 1, c.message(0, 1, raft.ReadRequest{Seq: 2}))
}
