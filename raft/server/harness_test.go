package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"hash/fnv"
	"math/rand"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// The tests run whole servers in a synctest bubble: real goroutines, virtual
// time, so that a disk that takes ten seconds costs the test nothing.

const testTick = 50 * time.Millisecond

// lan delivers messages between servers after a short delay, unless cut.
type lan struct {
	mu    sync.Mutex
	inbox map[raft.NodeID]chan raft.Message
	cut   map[raft.NodeID]bool
	// answersLate makes a JoinAnswer take longer than other messages.
	answersLate time.Duration
}

type port struct {
	lan *lan
	id  raft.NodeID
	in  chan raft.Message
}

func (l *lan) port(id raft.NodeID) *port {
	l.mu.Lock()
	defer l.mu.Unlock()
	in := make(chan raft.Message, 1024)
	l.inbox[id] = in
	return &port{l, id, in}
}

func (l *lan) setCut(id raft.NodeID, cut bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.cut[id] = cut
}

func (p *port) Received() <-chan raft.Message { return p.in }

func (p *port) Send(m raft.Message) {
	if _, joins := m.Body.(raft.Join); m.From != p.id || m.Body == nil || m.To == "" && !joins {
		return
	}
	delay := time.Millisecond
	if _, late := m.Body.(raft.JoinAnswer); late {
		delay += p.lan.answersLate
	}
	time.AfterFunc(delay, func() {
		p.lan.mu.Lock()
		defer p.lan.mu.Unlock()
		for id, in := range p.lan.inbox {
			if id == p.id || m.To != "" && m.To != id || p.lan.cut[id] || p.lan.cut[p.id] {
				continue
			}
			select {
			case in <- m:
			default:
			}
		}
	})
}

// card is a Log whose saves take as long as they are told to.
type card struct {
	mu     sync.Mutex
	delay  time.Duration
	fail   error
	full   bool // only hard states fit
	stored raft.Stored
	saves  int
}

// Short says that there is no room as soon as nothing more fits.
func (c *card) Short() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.full
}

func (c *card) setFull(full bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.full = full
}

func (c *card) Save(s raft.Save) error {
	c.mu.Lock()
	delay := c.delay
	c.mu.Unlock()
	<-time.After(delay)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.fail != nil {
		return c.fail
	}
	if c.full && (len(s.Entries) > 0 || s.Snapshot != nil) {
		return raft.ErrDiskFull
	}
	c.saves++
	c.stored.State = s.State
	es := slices.Clone(c.stored.Entries)
	if s.Reset {
		es = nil
	}
	if len(s.Entries) > 0 {
		es = slices.DeleteFunc(es, func(e raft.Entry) bool { return e.Index >= s.Entries[0].Index })
		es = append(es, s.Entries...)
	}
	if s.Snapshot != nil {
		c.stored.Snapshot = s.Snapshot
		es = slices.DeleteFunc(es, func(e raft.Entry) bool { return e.Index < s.First })
	}
	for i, e := range es {
		if i > 0 && e.Index != es[i-1].Index+1 {
			return fmt.Errorf("a gap before entry %d", e.Index)
		}
	}
	c.stored.Entries = es
	return nil
}

func (c *card) set(delay time.Duration, fail error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.delay, c.fail = delay, fail
}

// list is an App that remembers what it applied.
type list struct {
	mu    sync.Mutex
	items []string
	due   raft.Time // when "is due" is to be proposed, 0 for never
}

func (l *list) Due() (raft.Time, []byte) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.due == 0 {
		return 0, nil
	}
	return l.due, []byte("is due")
}

func (l *list) Apply(e raft.Entry) []byte {
	if e.Kind != raft.EntryCommand {
		return nil
	}
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = append(l.items, string(e.Data))
	switch in, ok := strings.CutPrefix(string(e.Data), "due in "); {
	case ok:
		ms, _ := strconv.Atoi(in)
		l.due = e.Time + raft.Time(ms)
	case string(e.Data) == "is due" && e.Time > l.due:
		l.due = 0
	}
	result, _ := json.Marshal(len(l.items))
	return result
}

func (l *list) Snapshot() []byte {
	l.mu.Lock()
	defer l.mu.Unlock()
	data, _ := json.Marshal(l.items)
	return data
}

func (l *list) Restore(data []byte) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.items = nil
	return json.Unmarshal(data, &l.items)
}

func (l *list) all() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return append([]string(nil), l.items...)
}

type device struct {
	*Server
	id    raft.NodeID
	card  *card
	app   *list
	boot  uint64
	stop  context.CancelFunc
	ended chan error
	// salt tells a device from a copy of it, level is its protocol level.
	salt  uint64
	level uint32
	// replaces is who the device was.
	replaces []raft.NodeID
	// expect is with how many it founds a cluster, itself among them; 0: it does not.
	expect int
	// ahead is by how much its wall clock is wrong, in nanoseconds.
	ahead atomic.Int64
}

type world struct {
	t *testing.T
	// bootMu guards the servers of devices against restarts under load.
	bootMu sync.RWMutex
	// newApp, when not nil, makes the App of a device instead of a list.
	newApp func(d *device) App
	// snapshotBytes and trailBytes are for devices booted from now on.
	snapshotBytes, trailBytes int
	window                    time.Duration
	lan                       *lan
	devices                   []*device
}

func testID(i int) raft.NodeID { return raft.NodeIDFrom([10]byte{byte(i + 1)}) }

// start starts n devices and makes the first found a cluster.
func start(t *testing.T, n int) *world { return startWith(t, n, func(*world) {}) }

func startWith(t *testing.T, n int, prepare func(*world)) *world {
	w := &world{t: t, lan: &lan{inbox: map[raft.NodeID]chan raft.Message{}, cut: map[raft.NodeID]bool{}}}
	prepare(w)
	for i := range n {
		d := &device{id: testID(i), card: &card{delay: 2 * time.Millisecond}}
		w.devices = append(w.devices, d)
		w.boot(d, nil)
	}
	if err := w.devices[0].Found(t.Context(), raft.ClusterIDFrom([16]byte{1})); err != nil {
		t.Fatal(err)
	}
	w.eventually("all devices are voters", func() bool {
		for _, d := range w.devices {
			st := w.status(d)
			if st.Config.Voters() != min(n, 5) || st.Leader == "" {
				return false
			}
		}
		return true
	})
	return w
}

func (w *world) boot(d *device, m Monitor) {
	d.boot++
	h := fnv.New64a()
	fmt.Fprint(h, d.id, d.boot)
	rng := rand.New(rand.NewSource(int64(h.Sum64())))
	d.app = &list{}
	var app App = d.app
	if w.newApp != nil {
		app = w.newApp(d)
	}
	s, err := New(Config{
		Core: raft.Config{
			ID: d.id, ElectionTicks: 30, HeartbeatTicks: 10, StallTicks: 200,
			Random: rng.Intn, Boot: d.boot, Level: d.level, ProposalBase: h.Sum64(), MaxTrailBytes: w.trailBytes, MaxAppendBytes: 1 << 10,
			Founding: raft.FoundingConfig{Expect: d.expect, Name: "device", MaxVoters: 5},
		},
		SnapshotBytes: w.snapshotBytes, CommitWindow: w.window,
		Tick: testTick, Session: (h.Sum64() ^ d.salt) | 1, Wall: d.wall, Version: fmt.Sprint("1.", d.level), Name: "device " + string(d.id[:4]), MaxVoters: 5, Replaces: d.replaces,
	}, Parts{Comms: w.lan.port(d.id), Log: d.card, App: app, Monitor: m}, d.card.stored)
	if err != nil {
		w.t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	d.Server, d.stop, d.ended = s, cancel, make(chan error, 1)
	go func() { d.ended <- s.Run(ctx) }()
}

// wall is what the device's wall clock shows.
func (d *device) wall() time.Time { return time.Now().Add(time.Duration(d.ahead.Load())) }

func (w *world) halt(d *device) {
	d.stop()
	if err := <-d.ended; err != nil {
		w.t.Errorf("device %s ended with: %v", d.id, err)
	}
}

func (w *world) haltAll() {
	for _, d := range w.devices {
		w.halt(d)
	}
	synctest.Wait()
}

func (w *world) status(d *device) Status {
	st, err := d.Status(w.t.Context())
	if err != nil && !errors.Is(err, raft.ErrStopped) {
		w.t.Fatal(err)
	}
	if st.Config == nil {
		st.Config = &raft.Configuration{}
	}
	return st
}

func (w *world) leader() *device {
	var found *device
	w.eventually("there is a leader", func() bool {
		for _, d := range w.devices {
			if w.status(d).Role == raft.Leader && !w.lan.isCut(d.id) {
				found = d
				return true
			}
		}
		return false
	})
	return found
}

func (l *lan) isCut(id raft.NodeID) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.cut[id]
}

func (w *world) followers() []*device {
	l := w.leader()
	var fs []*device
	for _, d := range w.devices {
		if d != l {
			fs = append(fs, d)
		}
	}
	return fs
}

// eventually waits, in virtual time, at most a virtual minute.
func (w *world) eventually(what string, f func() bool) {
	w.t.Helper()
	for range 6000 {
		synctest.Wait()
		if f() {
			return
		}
		<-time.After(10 * time.Millisecond)
	}
	w.t.Fatalf("a minute went by and not yet: %s", what)
}

func (w *world) propose(d *device, text string, patience time.Duration) (Applied, error) {
	ctx, cancel := context.WithTimeout(w.t.Context(), patience)
	defer cancel()
	return d.Propose(ctx, []byte(text))
}

func (w *world) mustPropose(d *device, text string) {
	w.t.Helper()
	if _, err := w.propose(d, text, 30*time.Second); err != nil {
		w.t.Fatalf("propose %q on %s: %v", text, d.id, err)
	}
}

func timeout(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}
