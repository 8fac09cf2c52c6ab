package mqttcomms

import (
	"bytes"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/edgeraft/edgeraft/raft"
)

// tap is a broker's hook that lets all pass and counts what is published.
type tap struct {
	mochi.HookBase
	mu        sync.Mutex
	published map[string]int // by topic
	bytes     int
}

func (*tap) ID() string { return "tap" }
func (*tap) Provides(b byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish}, []byte{b})
}
func (*tap) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*tap) OnACLCheck(*mochi.Client, string, bool) bool              { return true }
func (h *tap) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.published == nil {
		h.published = map[string]int{}
	}
	if p.FixedHeader.Qos == 0 {
		h.published[p.TopicName]++
		h.bytes += len(p.Payload)
	}
	return p, nil
}

// take returns the counts since the last call.
func (h *tap) take() (map[string]int, int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	p, n := h.published, h.bytes
	h.published, h.bytes = nil, 0
	return p, n
}

// acquaint makes all devices take each other's packets.
func acquaint(t testing.TB, all ...*Comms) {
	t.Helper()
	for _, a := range all {
		for _, b := range all {
			if a == b {
				continue
			}
			eventually(t, string(a.self)+" hears "+string(b.self), func() error {
				b.Send(note(b.self, a.self, 1))
				select {
				case m := <-a.Received():
					if m.From != b.self {
						return errMalformed
					}
					return nil
				case <-time.After(time.Second): // it may be lost, as any other
					return fmt.Errorf("%+v %+v", a.Status(), a.Stats())
				}
			})
		}
	}
	for _, c := range all {
		for len(c.Received()) > 0 {
			<-c.Received()
		}
	}
}

// What a leader says alike to its followers leaves it once, however many they
// are; who needs something else gets it alone.
func TestFanOut(t *testing.T) {
	sent := map[int]int{}
	for _, n := range []int{3, 5, 9} {
		hook := &tap{}
		b := newBroker(t, "127.0.0.1:0", hook)
		var all []*Comms
		for i := range n {
			all = append(all, start(t, b.url, raft.NodeIDFrom([10]byte{byte(i + 1), 7})))
		}
		up(t, all...)
		leader := all[0]
		for _, c := range all[1:] {
			acquaint(t, leader, c)
		}
		hook.take()
		var batch []raft.Message
		for _, c := range all[1 : n-1] {
			batch = append(batch, large(leader.self, c.self, 64, 5))
		}
		straggler := all[n-1]
		if n == 3 {
			batch = append(batch, large(leader.self, straggler.self, 64, 5))
		} else {
			batch = append(batch, large(leader.self, straggler.self, 64, 2))
		}
		leader.SendBatch(batch)
		for i, c := range all[1:] {
			wantSame(t, receive(t, c), batch[i])
		}
		published, _ := hook.take()
		want := map[string]int{"edgeraft/test/all": 1}
		if n > 3 {
			want["edgeraft/test/n/"+string(straggler.self)] = 1
		}
		if len(published) != len(want) || published["edgeraft/test/all"] != 1 {
			t.Errorf("%d devices: published %v, want %v", n, published, want)
		}
		// And all alike, for the bytes.
		for i := range batch {
			batch[i] = large(leader.self, batch[i].To, 64, 9)
		}
		leader.SendBatch(batch)
		for i, c := range all[1:] {
			wantSame(t, receive(t, c), batch[i])
		}
		_, sent[n] = hook.take()
	}
	if sent[9] > sent[3]+tagLen*6 {
		t.Errorf("bytes of an entry to all followers, by devices: %v", sent)
	}
	t.Logf("bytes a leader sends for an entry of 64 bytes, by devices: %v", sent)
}

// Messages that differ in anything but the addressee are not one.
func TestAlike(t *testing.T) {
	base := large(alice, bob, 10, 5)
	other := large(alice, carol, 10, 5)
	if !alike(base, other) {
		t.Error("the same to another is not alike")
	}
	change := func(f func(*raft.AppendRequest)) raft.Message {
		m := large(alice, carol, 10, 5)
		b := m.Body.(raft.AppendRequest)
		f(&b)
		m.Body = b
		return m
	}
	later := other
	later.Term++
	foreign := other
	foreign.Cluster[0]++
	for name, m := range map[string]raft.Message{
		"term": later, "cluster": foreign,
		"previous index": change(func(b *raft.AppendRequest) { b.PrevIndex++ }),
		"previous term":  change(func(b *raft.AppendRequest) { b.PrevTerm++ }),
		"commit":         change(func(b *raft.AppendRequest) { b.Commit++ }),
		"read":           change(func(b *raft.AppendRequest) { b.Read++ }),
		"clock":          change(func(b *raft.AppendRequest) { b.Clock++ }),
		"entries":        change(func(b *raft.AppendRequest) { b.Entries = nil }),
		"entry's term":   change(func(b *raft.AppendRequest) { b.Entries[0].Term++ }),
		"kind":           note(alice, carol, 1),
	} {
		if alike(base, m) {
			t.Errorf("a message with another %s is alike", name)
		}
	}
	vote := raft.Message{From: alice, To: bob, Term: 2, Body: raft.VoteRequest{LastIndex: 1}}
	same, not := vote, vote
	same.To = carol
	not.Body = raft.VoteRequest{LastIndex: 2}
	if !alike(vote, same) || alike(vote, not) {
		t.Error("votes are not told apart")
	}
	if alike(note(alice, bob, 1), note(alice, carol, 1)) {
		t.Error("what is never sent to several is grouped")
	}
}

// Without a broker nothing blocks, and what waits stays within its limits.
func TestQueueIsBounded(t *testing.T) {
	c := start(t, "mqtt://"+freePort(t), alice)
	whole := large(alice, carol, 1<<20, 1)
	began := time.Now()
	for n := range 3000 {
		c.Send(note(alice, raft.NodeIDFrom([10]byte{byte(n), 9}), uint64(n)))
		c.Send(note(alice, bob, uint64(n)))
		c.Send(whole)
		c.Send(beat(alice, dora, raft.Index(n)))
	}
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("sending took %v", took)
	}
	c.queue.mu.Lock()
	defer c.queue.mu.Unlock()
	count, beats := map[raft.NodeID]int{}, 0
	for _, x := range c.queue.items {
		count[x.to]++
		if x.beat() {
			if beats++; x.m.Body.(raft.AppendRequest).Commit != 2999 {
				t.Errorf("an old heartbeat waits: %+v", x.m)
			}
		}
	}
	if len(c.queue.items) > maxAllQueue || c.queue.bytes > maxAllQueueBytes || count[bob] > maxQueue || count[carol] > 2 || beats != 1 {
		t.Errorf("%d wait, %d bytes, of them %d and %d for two, and %d heartbeats", len(c.queue.items), c.queue.bytes, count[bob], count[carol], beats)
	}
	total := 0
	for _, x := range c.queue.items {
		total += x.size
	}
	if total != c.queue.bytes {
		t.Errorf("%d bytes wait, %d are counted", total, c.queue.bytes)
	}
}

// What waited too long for a broker is not sent any more, so that no heartbeat
// of yesterday is.
func TestStaleMessagesAreDropped(t *testing.T) {
	q := newQueue()
	now := time.Now()
	q.push(&item{to: bob, m: note(alice, bob, 1), size: 1, at: now.Add(-time.Minute)})
	q.push(&item{to: bob, m: note(alice, bob, 2), size: 1, at: now})
	x, stale := q.pop(now.Add(-time.Second))
	if x == nil || stale != 1 || x.m.Body.(raft.ReadRequest).Seq != 2 {
		t.Errorf("got %+v, and %d were too old", x, stale)
	}
	if x, _ := q.pop(now); x != nil || q.bytes != 0 {
		t.Errorf("%+v is left, and %d bytes", x, q.bytes)
	}
}

// Messages carry an expiry, and nothing but presence is retained.
func TestWhatIsAskedOfTheBroker(t *testing.T) {
	var mu sync.Mutex
	var wrong []string
	b := newBroker(t, "127.0.0.1:0", &watcher{see: func(p packets.Packet) {
		mu.Lock()
		defer mu.Unlock()
		presence := strings.HasPrefix(p.TopicName, "edgeraft/test/p/")
		if p.FixedHeader.Retain != presence || !presence && p.Properties.MessageExpiryInterval != 3 {
			wrong = append(wrong, p.TopicName)
		}
	}})
	x, y := start(t, b.url, alice), start(t, b.url, bob)
	up(t, x, y)
	acquaint(t, x, y)
	mu.Lock()
	defer mu.Unlock()
	if len(wrong) > 0 {
		t.Errorf("published otherwise than it should: %v", wrong)
	}
}

// watcher is a tap that shows every publication.
type watcher struct {
	tap
	see func(packets.Packet)
}

func (h *watcher) OnPublish(_ *mochi.Client, p packets.Packet) (packets.Packet, error) {
	h.see(p)
	return p, nil
}
