package mqttcomms

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// evil is a broker's hook that drops, repeats, reorders, delays and corrupts what
// is published, mixes it up, injects what it recorded, and lies about who is
// there.
type evil struct {
	tap
	broker *mochi.Server

	mu       sync.Mutex
	active   bool
	rng      *rand.Rand
	recorded []packets.Packet // at most 500
	done     int              // bad deeds
}

func (h *evil) OnPublish(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if cl.Net.Inline || p.FixedHeader.Qos > 0 || len(p.Payload) == 0 {
		return p, nil
	}
	if len(h.recorded) < 500 {
		h.recorded = append(h.recorded, packets.Packet{TopicName: p.TopicName, Payload: bytes.Clone(p.Payload)})
	} else {
		h.recorded[h.rng.IntN(500)] = packets.Packet{TopicName: p.TopicName, Payload: bytes.Clone(p.Payload)}
	}
	if !h.active {
		return p, nil
	}
	h.done++
	switch h.rng.IntN(16) {
	case 0, 1: // lost
		return p, packets.ErrRejectPacket
	case 2, 3: // twice
		h.later(p.TopicName, p.Payload, 0)
	case 4, 5, 6: // late, and so out of order
		h.later(p.TopicName, p.Payload, time.Duration(h.rng.IntN(400))*time.Millisecond)
		return p, packets.ErrRejectPacket
	case 7: // damaged
		p.Payload = bytes.Clone(p.Payload)
		p.Payload[h.rng.IntN(len(p.Payload))] ^= byte(1 << h.rng.IntN(8))
	case 8: // cut
		p.Payload = p.Payload[:h.rng.IntN(len(p.Payload))]
	case 9: // to somebody else
		h.later(h.recorded[h.rng.IntN(len(h.recorded))].TopicName, p.Payload, 0)
	case 10, 11, 12: // what it recorded, however old
		old := h.recorded[h.rng.IntN(len(h.recorded))]
		h.later(old.TopicName, old.Payload, 0)
	case 13: // lies
		id := raft.NodeIDFrom([10]byte{byte(1 + h.rng.IntN(3)), 7})
		h.later("edgeraft/test/p/"+string(id), presenceGone, 0)
	}
	return p, nil
}

// later publishes something as the broker itself.
func (h *evil) later(topic string, payload []byte, d time.Duration) {
	payload = bytes.Clone(payload)
	time.AfterFunc(d, func() { _ = h.broker.Publish(topic, payload, false, 0) })
}

func (h *evil) act(on bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.active = on
}

// memory is a log in memory, which survives its server.
type memory struct {
	mu     sync.Mutex
	stored raft.Stored
}

func (l *memory) Save(s raft.Save) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	es := slices.Clone(l.stored.Entries)
	if len(s.Entries) > 0 {
		es = append(slices.DeleteFunc(es, func(e raft.Entry) bool { return e.Index >= s.Entries[0].Index }), s.Entries...)
	}
	l.stored.State, l.stored.Entries = s.State, es
	return nil
}

func (*memory) Short() bool { return false }

func (l *memory) load() raft.Stored {
	l.mu.Lock()
	defer l.mu.Unlock()
	return raft.Stored{State: l.stored.State, Entries: slices.Clone(l.stored.Entries)}
}

// applied is an App that keeps what it was given.
type applied struct {
	mu       sync.Mutex
	commands []string
}

func (a *applied) Apply(e raft.Entry) []byte {
	if e.Kind == raft.EntryCommand {
		a.mu.Lock()
		defer a.mu.Unlock()
		a.commands = append(a.commands, string(e.Data))
	}
	return nil
}
func (a *applied) Snapshot() []byte         { return nil }
func (a *applied) Restore([]byte) error     { return errors.New("no snapshot is ever taken") }
func (a *applied) Due() (raft.Time, []byte) { return 0, nil }
func (a *applied) all() []string            { a.mu.Lock(); defer a.mu.Unlock(); return slices.Clone(a.commands) }

// member is a device of TestMaliciousBroker.
type member struct {
	id    raft.NodeID
	boot  uint64
	log   *memory
	app   *applied
	comms *Comms
	*server.Server
	stop  context.CancelFunc
	ended chan error
}

func (m *member) run(t *testing.T, url string) {
	t.Helper()
	m.boot++
	m.app = &applied{}
	lost := make(chan raft.NodeID, 16)
	m.comms = start(t, url, m.id, func(c *Config) {
		c.Seal = newSealer(t, testKey, m.id, m.boot)
		c.Lost = func(id raft.NodeID) {
			select {
			case lost <- id:
			default:
			}
		}
	})
	var err error
	m.Server, err = server.New(server.Config{
		Core: raft.Config{ID: m.id, ElectionTicks: 30, HeartbeatTicks: 10, Random: rand.IntN, Boot: m.boot, ProposalBase: uint64(tag(m.id))<<32 + m.boot<<16},
		Tick: 10 * time.Millisecond, Name: "x", MaxVoters: 3, SnapshotBytes: 1 << 30,
	}, server.Parts{Comms: m.comms, Log: m.log, App: m.app}, m.log.load())
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(context.Background())
	m.stop, m.ended = stop, make(chan error, 1)
	go func() { m.ended <- m.Run(ctx) }()
	go func() {
		for {
			select {
			case id := <-lost:
				_ = m.LeaderSuspected(ctx, id)
			case <-ctx.Done():
				return
			}
		}
	}()
}

func (m *member) halt(t *testing.T) {
	t.Helper()
	m.stop()
	if err := <-m.ended; err != nil {
		t.Error(err)
	}
	m.comms.Close()
}

// Whatever the broker does, all devices apply the same, and what was acknowledged
// is in it once; and when it stops the cluster works again.
func TestMaliciousBroker(t *testing.T) {
	seed := rand.Uint64()
	t.Logf("seed %d", seed)
	hook := &evil{rng: rand.New(rand.NewPCG(seed, 0))}
	b := newBroker(t, "127.0.0.1:0", hook)
	hook.broker = b.Server
	var all []*member
	for i := range 3 {
		m := &member{id: raft.NodeIDFrom([10]byte{byte(i + 1), 7}), log: &memory{}}
		m.run(t, b.url)
		all = append(all, m)
	}
	if err := all[0].Found(t.Context(), raft.ClusterIDFrom([16]byte{1})); err != nil {
		t.Fatal(err)
	}
	eventually(t, "all are voters", func() error {
		for _, m := range all {
			if st, err := m.Status(t.Context()); err != nil || st.Config.Voters() != 3 {
				return fmt.Errorf("%+v, %w", st.Config, err)
			}
		}
		return nil
	})
	acked := map[string]bool{}
	propose := func(m *member, command string, patience time.Duration) error {
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		_, err := m.Propose(ctx, []byte(command))
		if err == nil {
			acked[command] = true
		}
		return err
	}
	hook.act(true)
	n := 0
	for began := time.Now(); time.Since(began) < 6*time.Second; n++ {
		_ = propose(all[n%3], fmt.Sprint("evil ", n), 300*time.Millisecond)
		if n%10 == 9 { // what was recorded before a restart is injected after it
			m := all[rand.IntN(3)]
			m.halt(t)
			m.run(t, b.url)
		}
	}
	hook.act(false)
	during := len(acked)
	t.Cleanup(func() {
		if t.Failed() {
			for _, m := range all {
				st, err := m.Status(context.Background())
				t.Logf("%s, boot %d: %+v, %+v, %+v, %v", m.id, m.boot, m.comms.Status(), m.comms.Stats(), st.Status, err)
			}
		}
	})
	for _, m := range all {
		eventually(t, "it works again", func() error { return propose(m, "good "+string(m.id), 2*time.Second) })
	}
	last := all[0].app
	eventually(t, "all applied the same", func() error {
		want := last.all()
		for _, m := range all[1:] {
			if got := m.app.all(); !slices.Equal(got, want) {
				return fmt.Errorf("%d commands and %d", len(got), len(want))
			}
		}
		return nil
	})
	count := map[string]int{}
	for _, c := range last.all() {
		count[c]++
	}
	for c := range acked {
		if count[c] == 0 {
			t.Errorf("%q was acknowledged and is nowhere", c)
		}
	}
	for c, times := range count {
		if times > 1 && c[:4] == "evil" {
			t.Errorf("%q is there %d times", c, times)
		}
	}
	hook.mu.Lock()
	t.Logf("%d of %d proposals were acknowledged during %d bad deeds", during, n, hook.done)
	if hook.done < 100 {
		t.Errorf("the broker did only %d bad deeds", hook.done)
	}
	hook.mu.Unlock()
	for _, m := range all {
		m.halt(t)
	}
}
