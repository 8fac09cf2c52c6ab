package mqttcomms

import (
	"bytes"
	"fmt"
	"log/slog"
	"net"
	"strings"
	"sync"
	"testing"
	"time"

	library "github.com/eclipse/paho.golang/packets"
	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
)

// down waits until a device has no connection, for a reason with this in it.
func down(t testing.TB, c *Comms, why string) {
	t.Helper()
	eventually(t, string(c.self)+" has no connection: "+why, func() error {
		if s := c.Status(); s.Connected || !strings.Contains(s.Error, why) {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

func TestABrokerThatComesLater(t *testing.T) {
	address := freePort(t)
	c := start(t, "mqtt://"+address, alice)
	down(t, c, "connection refused")
	b := newBroker(t, address, nil)
	up(t, c)
	b.stop()
	down(t, c, "")
	newBroker(t, address, nil)
	up(t, c)
}

// A broker that is away for hours does not fill the log, whatever the reasons
// are that come in turn.
func TestAnOutageIsLoggedAFewTimes(t *testing.T) {
	var log lines
	c := &Comms{ctx: t.Context()}
	withLog(&log)(&c.cfg)
	for n := range 100 {
		c.disconnected(broker{address: "b:1"}, fmt.Errorf("from port %d", n))
	}
	if n := strings.Count(log.String(), "no connection"); n != maxOutageLines {
		t.Errorf("%d lines: %s", n, log.String())
	}
}

func TestBrokersAreTriedInTheirOrder(t *testing.T) {
	first, second := freePort(t), newBroker(t, "127.0.0.1:0", nil)
	c := start(t, second.url, alice, func(c *Config) { c.Access.Brokers = []string{"mqtt://" + first, second.url} })
	up(t, c)
	if got := c.Status().Broker; got != second.url {
		t.Errorf("connected to %s", got)
	}
	b := newBroker(t, first, nil)
	second.stop()
	eventually(t, "the first is used", func() error {
		if s := c.Status(); !s.Connected || s.Broker != b.url {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}

// With several brokers, one at which nobody is heard is left.
func TestLonelyDevicesLookElsewhere(t *testing.T) {
	c := &Comms{brokers: make([]broker, 2), lonelyPatience: time.Millisecond, anyHeard: time.Now()}
	select {
	case <-c.lonely(t.Context()):
	case <-time.After(patience):
		t.Error("it stays alone for ever")
	}
	c.brokers = c.brokers[:1]
	select {
	case <-c.lonely(t.Context()):
		t.Error("it leaves the only broker")
	case <-time.After(50 * time.Millisecond):
	}
	c.wg.Wait()
}

// A path that is cut without a word is noticed within one and a half keep-alives,
// and some.
func TestHalfOpenConnection(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	p := newProxy(t, b.address())
	c := start(t, p.url(), alice, func(c *Config) { c.KeepAlive = time.Second })
	up(t, c)
	<-time.After(2 * time.Second) // several keep-alives pass without an end
	if s := c.Status(); !s.Connected || s.For < 2*time.Second {
		t.Fatalf("an idle connection ended: %+v", s)
	}
	p.goSilent(true)
	began := time.Now()
	down(t, c, errSilentBroker.Error())
	if took := time.Since(began); took > 4*time.Second {
		t.Errorf("it took %v", took)
	}
	p.goSilent(false)
	up(t, c)
}

// A broker that reads nothing costs messages, not memory, and in the end the
// connection.
func TestABrokerThatDoesNotRead(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	p := newProxy(t, b.address())
	c := start(t, p.url(), alice, func(c *Config) { c.KeepAlive = time.Second })
	up(t, c)
	p.goSilent(true)
	whole := large(alice, bob, 1<<20, 1)
	began := time.Now()
	for range 200 {
		c.Send(whole)
	}
	if took := time.Since(began); took > time.Second {
		t.Errorf("Send took %v", took)
	}
	down(t, c, "")
	if n := c.Stats().Dropped["mqtt_queue_full"]; n < 100 {
		t.Errorf("%d messages gave way: %+v", n, c.Stats())
	}
}

func TestTakenOver(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	var log lines
	first := start(t, b.url, alice, withLog(&log))
	up(t, first)
	second := start(t, b.url, alice)
	up(t, second)
	down(t, first, "another client took over this device's identity")
	<-time.After(time.Second)
	if s := second.Status(); !s.Connected {
		t.Errorf("they fight: %+v", s)
	}
	if !strings.Contains(log.String(), "copies of one card") {
		t.Errorf("the log says only %s", log.String())
	}
}

// doorman is a broker's hook that lets pass what it is told.
type doorman struct {
	mochi.HookBase
	user, password string
	deny           func(topic string, write bool) bool
}

func (*doorman) ID() string { return "doorman" }
func (*doorman) Provides(b byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck}, []byte{b})
}
func (h *doorman) OnConnectAuthenticate(_ *mochi.Client, p packets.Packet) bool {
	return string(p.Connect.Username) == h.user && string(p.Connect.Password) == h.password
}
func (h *doorman) OnACLCheck(_ *mochi.Client, topic string, write bool) bool {
	return h.deny == nil || !h.deny(topic, write)
}

func TestWrongPassword(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", &doorman{user: "pi", password: "right"})
	file := writeFile(t, "wrong\n", 0o600)
	var log lines
	c := start(t, b.url, alice, withLog(&log), func(c *Config) { c.Access.User, c.Access.PasswordFile = "pi", file })
	down(t, c, "wrong user or password (mqtt.user, mqtt.password_file)")
	replaceFile(t, file, "right\r\n") // it is read again for each connection
	up(t, c)
	if s := fmt.Sprint(c.Status(), log.String()); strings.Contains(s, "right") {
		t.Errorf("the password is shown: %s", s)
	}
}

func TestRefusedTopics(t *testing.T) {
	for name, c := range map[string]struct {
		deny func(topic string, write bool) bool
		want string
	}{
		"to publish to all":      {func(t string, w bool) bool { return w && t == "edgeraft/test/all" }, "to publish to edgeraft/test/all: not authorized"},
		"to publish to others":   {func(t string, w bool) bool { return w && t == "edgeraft/test/n/"+string(bob) }, "to publish to edgeraft/test/n/" + string(bob)},
		"to subscribe":           {func(t string, w bool) bool { return !w && t == "edgeraft/test/n/"+string(alice) }, "edgeraft/test/n/" + string(alice)},
		"to announce itself":     {func(t string, w bool) bool { return w && strings.Contains(t, "/p/") }, "to publish to edgeraft/test/p/" + string(alice)},
		"to get what is for all": {func(t string, w bool) bool { return !w && t == "edgeraft/test/all" }, "to receive what is published to edgeraft/test/all"},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBroker(t, "127.0.0.1:0", &doorman{deny: c.deny})
			x := start(t, b.url, alice)
			up(t, x)
			x.Send(note(alice, bob, 1))
			eventually(t, "it is told", func() error { return refused(x, c.want) })
		})
	}
	b := newBroker(t, "127.0.0.1:0", nil)
	x, y := start(t, b.url, alice), start(t, b.url, bob)
	up(t, x, y)
	acquaint(t, x, y)
	<-time.After(checkAfter + time.Second)
	if s := x.Status(); len(s.Refused) > 0 {
		t.Errorf("where all is allowed it says %q", s.Refused)
	}
}

// hints collects what is told of other devices.
type hints struct {
	mu          sync.Mutex
	found, lost map[raft.NodeID]int
}

func (h *hints) into(c *Config) {
	h.found, h.lost = map[raft.NodeID]int{}, map[raft.NodeID]int{}
	c.Found = func(id raft.NodeID) { h.mu.Lock(); defer h.mu.Unlock(); h.found[id]++ }
	c.Lost = func(id raft.NodeID) { h.mu.Lock(); defer h.mu.Unlock(); h.lost[id]++ }
}

func (h *hints) await(t *testing.T, what string, of map[raft.NodeID]int, id raft.NodeID, n int) {
	t.Helper()
	eventually(t, fmt.Sprintf("%s is %s %d times", id, what, n), func() error {
		h.mu.Lock()
		defer h.mu.Unlock()
		if of[id] != n {
			return fmt.Errorf("%d times", of[id])
		}
		return nil
	})
}

// Devices find each other through the broker, whoever comes first, and hear of
// one whose connection is lost, or that stops.
func TestPresence(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	p := newProxy(t, b.address())
	var h hints
	early := start(t, p.url(), bob)
	up(t, early)
	watching := start(t, b.url, alice, h.into)
	h.await(t, "found", h.found, bob, 1)
	late := start(t, b.url, carol)
	h.await(t, "found", h.found, carol, 1)
	p.cut() // the broker publishes its will
	h.await(t, "lost", h.lost, bob, 1)
	h.await(t, "found", h.found, bob, 2)
	late.Close()
	h.await(t, "lost", h.lost, carol, 1)
	watching.Close()
	var again hints
	start(t, b.url, alice, again.into)
	again.await(t, "found", again.found, bob, 1)
	again.await(t, "found", again.found, carol, 0)
	if len(again.lost) > 0 {
		t.Errorf("lost before it came: %v", again.lost)
	}
}

// What somebody else stores or publishes on the topics does no harm.
func TestForeignPublications(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	x := start(t, b.url, alice)
	up(t, x)
	other := newSealer(t, seal.NewKey(), bob, 1)
	sealed, err := other.Seal(nil, alice, []byte{kindCheck})
	if err != nil {
		t.Fatal(err)
	}
	for _, payload := range [][]byte{nil, {1}, bytes.Repeat([]byte{1}, 200), sealed} {
		for _, topic := range []string{"all", "n/" + string(alice), "p/" + string(bob), "p/nobody", "p/" + string(alice)} {
			for _, retain := range []bool{false, true} {
				if err := b.Publish("edgeraft/test/"+topic, payload, retain, 0); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
	for i := range 1000 { // invented devices
		if err := b.Publish("edgeraft/test/p/"+string(raft.NodeIDFrom([10]byte{byte(i), byte(i >> 8), 5})), presenceHere, false, 0); err != nil {
			t.Fatal(err)
		}
	}
	y := start(t, b.url, carol)
	up(t, y)
	acquaint(t, x, y)
	if n := len(x.Peers()); n > maxPeers {
		t.Errorf("%d devices are known", n)
	}
	if s := x.Stats(); s.Dropped["mqtt_sealed"] == 0 || s.LastStranger.Reason == nil {
		t.Errorf("%+v", s)
	}
	if s := y.Stats(); s.Dropped["mqtt_retained"] == 0 { // it came later
		t.Errorf("%+v", s)
	}
}

func TestProbe(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	x, y := start(t, b.url, alice), start(t, b.url, bob)
	up(t, x, y)
	acquaint(t, x, y)
	x.Probe(bob)
	eventually(t, "the round trip is known", func() error {
		heard, trip := x.Contact(bob)
		if heard.IsZero() || trip <= 0 || trip > patience {
			return fmt.Errorf("%v, %v", heard, trip)
		}
		return nil
	})
}

func TestStartSaysWhatIsWrong(t *testing.T) {
	open := writeFile(t, "secret", 0o644)
	for name, c := range map[string]struct {
		change func(*Config)
		want   string
	}{
		"no broker":       {func(c *Config) { c.Access.Brokers = nil }, "mqtt.brokers"},
		"no URL":          {func(c *Config) { c.Access.Brokers = []string{"broker:1883"} }, "mqtt://broker.local:1883"},
		"open password":   {func(c *Config) { c.Access.User, c.Access.PasswordFile = "u", open }, "chmod 600"},
		"no such file":    {func(c *Config) { c.Access.CAFile = "/no/such" }, "no such file"},
		"no certificates": {func(c *Config) { c.Access.CAFile = open }, "holds no certificate in PEM form"},
		"open key":        {func(c *Config) { c.Access.CertFile, c.Access.KeyFile = open, open }, "chmod 600"},
		"half a second":   {func(c *Config) { c.KeepAlive = 500 * time.Millisecond }, "whole seconds"},
		"tiny packets":    {func(c *Config) { c.MaxPacket = 10 }, "mqtt.max_packet"},
		"no keys":         {func(c *Config) { c.Seal = nil }, "lacks"},
	} {
		cfg := Config{
			Cluster: "test", Self: alice, Seal: newSealer(t, testKey, alice, 1), Access: Access{Brokers: []string{"mqtt://b"}},
			KeepAlive: time.Second, Expiry: time.Second, Logger: slog.New(slog.DiscardHandler),
		}
		c.change(&cfg)
		x, err := Start(cfg)
		if err == nil {
			x.Close()
		}
		if err == nil || !strings.Contains(err.Error(), c.want) || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v, want %q in it", name, err, c.want)
		}
	}
}

// A peer that breaks the protocol in any way ends the connection, and no more.
func TestHostileBroker(t *testing.T) {
	connack := []byte{0x20, 3, 0, 0, 0}
	after := func(more ...byte) []byte { return append(bytes.Clone(connack), more...) }
	var wg sync.WaitGroup
	for _, say := range [][]byte{
		after(connack...), // twice
		{0x20, 0x0a, 0, 0, 7, 0x15, 0, 4, 'e', 'v', 'i', 'l', 0xf0}, // with an authentication method
		{0xf0, 2, 0x18, 0},                  // AUTH
		{0x20, 3, 0, 0x87, 0},               // not authorized
		after(0x30, 0xff, 0xff, 0xff, 0x7f), // a publication of 256 MB
		after(0x30, 0xff, 0xff, 0xff, 0xff), // a length without end
		after(0x32, 5, 0, 1, 'x', 0, 0),     // QoS 1
		after(0x30, 2, 0, 9),                // a topic beyond the end
		after(0x90, 4, 0, 1, 0, 0x87),       // a refusal of the subscription
		after(0x90, 3, 0, 1, 0),             // an answer to it without reasons
		after(0x40, 2, 0, 1),                // an answer of another kind
		after(0xe0, 2, 0x8e, 0),             // taken over
		after(0xe0, 0),
		{0x10, 0}, {0x00}, {},
	} {
		l, err := net.Listen("tcp", "127.0.0.1:0")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { l.Close() })
		c := start(t, "mqtt://"+l.Addr().String(), alice)
		wg.Go(func() {
			conn, err := l.Accept()
			if err != nil {
				t.Error(err)
				return
			}
			defer conn.Close()
			conn.SetDeadline(time.Now().Add(patience))
			buf := make([]byte, 512)
			_, _ = conn.Read(buf)
			_, _ = conn.Write(say)
			_, _ = conn.Read(buf) // what it subscribes to, or the end
		})
		wg.Go(func() {
			eventually(t, fmt.Sprintf("the connection ends after %x", say), func() error {
				if s := c.Status(); s.Error == "" {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
		})
	}
	wg.Wait()
}

// No bytes of a broker make the library panic, or read more than it should.
func FuzzBytesOfABroker(f *testing.F) {
	f.Add([]byte{0x20, 3, 0, 0, 0})
	f.Add([]byte{0x30, 8, 0, 1, 'x', 0, 1, 2, 3, 4})
	f.Add([]byte{0x90, 4, 0, 1, 0, 0x87, 0xe0, 2, 0x8e, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		ours, theirs := net.Pipe()
		defer ours.Close()
		go func() {
			_, _ = theirs.Write(data)
			theirs.Close()
		}()
		c := newConn(ours, time.Second, newCounters())
		for {
			if _, err := library.ReadPacket(c); err != nil {
				return
			}
		}
	})
}

// Whatever a hung broker leaves unanswered, Close ends within seconds.
func TestCloseWithAHungBroker(t *testing.T) {
	for name, silentAtFirst := range map[string]bool{"before it answers": true, "in a connection": false} {
		t.Run(name, func(t *testing.T) {
			p := newProxy(t, newBroker(t, "127.0.0.1:0", nil).address())
			p.goSilent(silentAtFirst)
			c := start(t, p.url(), alice)
			if !silentAtFirst {
				up(t, c)
				p.goSilent(true)
				for range 100 {
					c.Send(large(alice, bob, 1<<20, 1))
				}
			}
			began := time.Now()
			if err := c.Close(); err != nil {
				t.Error(err)
			}
			if took := time.Since(began); took > 4*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}
