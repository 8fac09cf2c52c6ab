package paths

import (
	"fmt"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"go.uber.org/goleak"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/rafttest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	alice = raft.NodeID("abaaaaaaaaaaaaaa")
	bob   = raft.NodeID("bbbbbbbbbbbbbbb2")
)

// cable is a medium that takes as long as it is told and can be cut, one way or
// both.
type cable struct {
	mu    sync.Mutex
	ends  map[raft.NodeID]*end
	delay time.Duration
	cut   map[[2]raft.NodeID]bool
	sent  int // messages and probes
}

// end is a device's Path over a cable.
type end struct {
	*cable
	id    raft.NodeID
	in    chan raft.Message
	heard map[raft.NodeID]time.Time
	trip  map[raft.NodeID]time.Duration
	echo  map[raft.NodeID]time.Time
}

func newCable(delay time.Duration) *cable {
	return &cable{ends: map[raft.NodeID]*end{}, delay: delay, cut: map[[2]raft.NodeID]bool{}}
}

func (c *cable) end(id raft.NodeID) *end {
	e := &end{c, id, make(chan raft.Message, 1024), map[raft.NodeID]time.Time{}, map[raft.NodeID]time.Duration{}, map[raft.NodeID]time.Time{}}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.ends[id] = e
	return e
}

func (c *cable) setCut(from, to raft.NodeID, cut bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.cut[[2]raft.NodeID{from, to}] = cut
}

func (c *cable) count() int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.sent
}

// carry does something at the other end after the delay, unless the way is cut.
func (c *cable) carry(from, to raft.NodeID, f func(at *end)) {
	c.sent++
	if c.cut[[2]raft.NodeID{from, to}] || c.ends[to] == nil {
		return
	}
	time.AfterFunc(c.delay, func() {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.ends[to].heard[from] = time.Now()
		f(c.ends[to])
	})
}

func (e *end) Received() <-chan raft.Message { return e.in }

func (e *end) Send(m raft.Message) {
	if _, joins := m.Body.(raft.Join); m.From != e.id || m.Body == nil || m.To == "" && !joins {
		return
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	for id := range e.ends {
		if id != e.id && (m.To == "" || m.To == id) {
			e.carry(e.id, id, func(at *end) {
				select {
				case at.in <- m:
				default:
				}
			})
		}
	}
}

func (e *end) Probe(id raft.NodeID) {
	e.mu.Lock()
	defer e.mu.Unlock()
	began := time.Now()
	e.carry(e.id, id, func(*end) {
		e.carry(id, e.id, func(*end) { e.trip[id], e.echo[id] = time.Since(began), time.Now() })
	})
}

func (e *end) Contact(id raft.NodeID) (time.Time, time.Duration) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.heard[id], e.trip[id]
}

func (e *end) Echoed(id raft.NodeID) time.Time {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.echo[id]
}

const (
	heartbeat = 500 * time.Millisecond
	election  = 1200 * time.Millisecond
	testWait  = 350 * time.Millisecond
)

// join makes one transport of several cables for a device.
func join(t testing.TB, id raft.NodeID, cables ...*cable) *Comms {
	t.Helper()
	cfg := Config{Patience: testWait}
	for i, c := range cables {
		cfg.Paths = append(cfg.Paths, Named{fmt.Sprint(i), c.end(id)})
	}
	c, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func TestContract(t *testing.T) {
	rafttest.CheckComms(t, func(t *testing.T, ids []raft.NodeID) []rafttest.Comms {
		first, second := newCable(time.Millisecond), newCable(2*time.Millisecond)
		var all []rafttest.Comms
		for _, id := range ids {
			all = append(all, join(t, id, first, second))
		}
		return all
	})
}

// pair is a leader and a follower that exchange heartbeats.
type pair struct {
	leader, follower *Comms
	stop             chan struct{}
	wg               sync.WaitGroup

	mu       sync.Mutex
	last     [2]time.Time     // when the follower and the leader were last heard by the other
	worst    [2]time.Duration // the longest silence
	received [2]int
}

func newPair(t *testing.T, cables ...*cable) *pair {
	p := &pair{leader: join(t, alice, cables...), follower: join(t, bob, cables...), stop: make(chan struct{})}
	p.last = [2]time.Time{time.Now(), time.Now()}
	p.wg.Go(func() {
		tick := time.NewTicker(heartbeat)
		defer tick.Stop()
		for n := raft.Index(1); ; n++ {
			p.leader.Send(raft.Message{From: alice, To: bob, Body: raft.AppendRequest{Commit: n}})
			select {
			case <-tick.C:
			case <-p.stop:
				return
			}
		}
	})
	p.wg.Go(func() {
		for {
			select {
			case m := <-p.follower.Received():
				p.note(1)
				b := m.Body.(raft.AppendRequest)
				p.follower.Send(raft.Message{From: bob, To: alice, Body: raft.AppendResponse{Match: b.Commit}})
			case <-p.leader.Received():
				p.note(0)
			case <-p.stop:
				return
			}
		}
	})
	return p
}

func (p *pair) note(by int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	p.worst[by] = max(p.worst[by], now.Sub(p.last[by]))
	p.last[by] = now
	p.received[by]++
}

// silence returns the longest silences, of the leader and of the follower, since
// the last call, and how many messages came to each.
func (p *pair) silence() (leader, follower time.Duration, received [2]int) {
	p.note(0)
	p.note(1)
	p.mu.Lock()
	defer p.mu.Unlock()
	leader, follower, received = p.worst[1], p.worst[0], p.received
	p.worst, p.received = [2]time.Duration{}, [2]int{}
	return leader, follower, received
}

func (p *pair) end() {
	close(p.stop)
	p.wg.Wait()
	p.leader.Close()
	p.follower.Close()
	synctest.Wait()
}

// used is the path in use, "" for none alone.
func used(c *Comms, id raft.NodeID) string {
	for _, l := range c.Links(id) {
		if l.Used {
			return l.Path
		}
	}
	return ""
}

func pass(d time.Duration) {
	<-time.After(d)
	synctest.Wait()
}

func TestTheShorterPathIsUsed(t *testing.T) {
	for _, c := range []struct {
		first, second time.Duration
		want          string
	}{
		{time.Millisecond, 20 * time.Millisecond, "0"},
		{20 * time.Millisecond, time.Millisecond, "1"},
		{1500 * time.Microsecond, time.Millisecond, "0"}, // about the same: the order decides
	} {
		synctest.Test(t, func(t *testing.T) {
			p := newPair(t, newCable(c.first), newCable(c.second))
			pass(5 * time.Second)
			if got := used(p.leader, bob); got != c.want {
				t.Errorf("of %v and %v path %q is used: %+v", c.first, c.second, got, p.leader.Links(bob))
			}
			p.silence()
			pass(10 * time.Second)
			if _, _, n := p.silence(); n[1] > 23 {
				t.Errorf("20 heartbeats arrived as %d messages", n[1])
			}
			p.end()
		})
	}
}

// Whatever way a path breaks, neither hears nothing of the other for an election
// timeout, and when it is mended it is used again.
func TestAPathBreaks(t *testing.T) {
	for name, cut := range map[string][][2]raft.NodeID{
		"both ways":    {{alice, bob}, {bob, alice}},
		"the way to":   {{alice, bob}},
		"the way back": {{bob, alice}},
	} {
		for _, after := range []time.Duration{0, 10, 200, 490} {
			synctest.Test(t, func(t *testing.T) {
				first, second := newCable(time.Millisecond), newCable(10*time.Millisecond)
				p := newPair(t, first, second)
				pass(10*time.Second + after*time.Millisecond)
				if got := used(p.leader, bob); got != "0" {
					t.Fatalf("at first %q is used", got)
				}
				p.silence()
				for _, way := range cut {
					first.setCut(way[0], way[1], true)
				}
				pass(5 * time.Second)
				leader, follower, _ := p.silence()
				if leader >= election || follower >= election {
					t.Errorf("%s: for %v nothing was heard of the leader, for %v nothing of the follower", name, leader, follower)
				}
				if got := used(p.leader, bob); got != "1" {
					t.Errorf("%s: while it is cut %q is used: %+v", name, got, p.leader.Links(bob))
				}
				pass(time.Hour)
				p.silence()
				for _, way := range cut {
					first.setCut(way[0], way[1], false)
				}
				pass(2 * repairAtMost)
				leader, follower, _ = p.silence()
				if got := used(p.leader, bob); got != "0" {
					t.Errorf("%s: when it is mended %q is used: %+v", name, got, p.leader.Links(bob))
				}
				if leader >= election || follower >= election {
					t.Errorf("%s: the way back to it cost a silence of %v and %v", name, leader, follower)
				}
				p.end()
			})
		}
	}
}

// Where nothing works everything is tried, and a path that comes is used at once.
func TestAllPathsBreak(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCable(time.Millisecond), newCable(10*time.Millisecond)
		p := newPair(t, first, second)
		pass(5 * time.Second)
		for _, c := range []*cable{first, second} {
			c.setCut(alice, bob, true)
			c.setCut(bob, alice, true)
		}
		pass(time.Minute)
		p.silence()
		second.setCut(alice, bob, false)
		second.setCut(bob, alice, false)
		pass(heartbeat + 30*time.Millisecond)
		if _, _, n := p.silence(); n[0] == 0 || n[1] == 0 {
			t.Errorf("within a heartbeat %d and %d messages arrived", n[0], n[1])
		}
		p.end()
	})
}

// The second path costs a few packets a minute, and none for a device that is not
// spoken with.
func TestProbesAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCable(time.Millisecond), newCable(10*time.Millisecond)
		p := newPair(t, first, second)
		pass(time.Minute)
		before := second.count()
		const minutes = 60
		pass(minutes * time.Minute)
		if n := second.count() - before; n > 10*minutes || n < 2*minutes {
			t.Errorf("%d packets in %d minutes on the path that is not used", n, minutes)
		}
		close(p.stop)
		p.wg.Wait()
		pass(2 * activeFor)
		before = first.count() + second.count()
		pass(time.Hour)
		if n := first.count() + second.count() - before; n > 0 {
			t.Errorf("%d packets to a device that is not spoken with", n)
		}
		p.stop = make(chan struct{})
		p.end()
	})
}

func TestAJoinGoesByAllPaths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCable(time.Millisecond), newCable(time.Millisecond)
		a, b := join(t, alice, first, second), join(t, bob, first, second)
		a.Send(raft.Message{From: alice, Body: raft.Join{Name: "pi"}})
		pass(10 * time.Millisecond)
		if n := len(b.Received()); n != 2 {
			t.Errorf("it arrived %d times", n)
		}
		a.Close()
		b.Close()
	})
}

// One path works in one direction only, and one in the other.
func TestOneWayEach(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCable(time.Millisecond), newCable(10*time.Millisecond)
		first.setCut(bob, alice, true)
		second.setCut(alice, bob, true)
		p := newPair(t, first, second)
		pass(10 * time.Second)
		p.silence()
		pass(10 * time.Minute)
		if leader, follower, _ := p.silence(); leader >= election || follower >= election {
			t.Errorf("for %v nothing was heard of the leader, for %v nothing of the follower", leader, follower)
		}
		p.end()
	})
}

// Who looks at the only path learns soon that it works in one direction only, and
// since when, though the other is heard all the time; and that it works again. Of
// several paths none is probed because somebody looks.
func TestAsked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		only := newCable(time.Millisecond)
		p := newPair(t, only)
		look := func() Link {
			p.follower.Ask(alice)
			pass(testWait + 100*time.Millisecond)
			return p.follower.Links(alice)[0]
		}
		pass(10 * time.Second)
		if l := look(); l.Broken {
			t.Errorf("%+v", l)
		}
		only.setCut(bob, alice, true)
		pass(askEvery)
		began := time.Now()
		if l := look(); !l.Broken || l.Since.Before(began) || time.Since(l.Heard) > 2*heartbeat {
			t.Errorf("cut one way: %+v", l)
		}
		pass(10 * time.Second)
		if l := look(); !l.Broken || l.Since.Sub(began) > time.Second {
			t.Errorf("cut one way, for a while: %+v", l)
		}
		only.setCut(bob, alice, false)
		pass(repairAtMost + time.Second)
		if l := look(); l.Broken {
			t.Errorf("healed: %+v", l)
		}
		for range 10 { // it is off for a while, and comes back
			for _, off := range []bool{true, false} {
				only.setCut(alice, bob, off)
				only.setCut(bob, alice, off)
				began = time.Now()
				if off {
					pass(2 * time.Minute)
				}
			}
			pass(2 * heartbeat)
			if l := p.follower.Links(alice)[0]; l.Broken && l.Since.Before(began) {
				t.Errorf("back: it counts as not answering since %v before", began.Sub(l.Since))
			}
			pass(probeEvery / 4)
			if l := p.follower.Links(alice)[0]; l.Broken {
				t.Errorf("back for a while: %+v", l)
			}
		}
		before := only.count()
		for range 100 {
			p.follower.Ask(alice)
		}
		if n := only.count() - before; n > 1 {
			t.Errorf("%d probes at once", n)
		}
		p.end()

		first, second := newCable(time.Millisecond), newCable(time.Millisecond)
		p = newPair(t, first, second)
		pass(10 * time.Second)
		before = first.count() + second.count()
		p.follower.Ask(alice)
		if n := first.count() + second.count() - before; n > 0 {
			t.Errorf("%d probes where there are two paths", n)
		}
		p.end()
	})
}

// A path by which a device is heard that does not hear by it itself is not gone
// back to, however much comes by it.
func TestHeardByADeafPath(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		first, second := newCable(time.Millisecond), newCable(10*time.Millisecond)
		p := newPair(t, first, second)
		chatter := first.ends[bob]
		p.wg.Go(func() {
			tick := time.NewTicker(100 * time.Millisecond)
			defer tick.Stop()
			for {
				chatter.Send(raft.Message{From: bob, To: alice, Body: raft.Forward{}})
				select {
				case <-tick.C:
				case <-p.stop:
					return
				}
			}
		})
		pass(10 * time.Second)
		first.setCut(alice, bob, true)
		p.silence()
		pass(2 * time.Second)
		if leader, _, _ := p.silence(); leader >= election {
			t.Errorf("for %v nothing was heard of the leader", leader)
		}
		pass(10 * time.Minute)
		if leader, _, _ := p.silence(); leader > heartbeat+20*time.Millisecond {
			t.Errorf("later for %v nothing was heard of the leader", leader)
		}
		p.end()
	})
}
