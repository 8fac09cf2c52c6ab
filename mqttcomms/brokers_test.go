package mqttcomms

import (
	"bytes"
	"fmt"
	"net"
	"os/exec"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	mochi "github.com/mochi-mqtt/server/v2"
	"github.com/mochi-mqtt/server/v2/packets"

	"github.com/edgeraft/edgeraft/internal/need"
	"github.com/edgeraft/edgeraft/raft"
)

// realBroker starts Mosquitto at an address; it ends with the test, or when the
// function is called.
func realBroker(t testing.TB, address string, more ...string) (kill func()) {
	t.Helper()
	need.Command(t, "mosquitto", "mosquitto")
	host, port, err := net.SplitHostPort(address)
	if err != nil {
		t.Fatal(err)
	}
	conf := fmt.Sprintf("persistence false\nset_tcp_nodelay true\nlistener %s %s\n", port, host)
	if len(more) == 0 {
		more = []string{"allow_anonymous true"}
	}
	for _, line := range more {
		conf += line + "\n"
	}
	cmd := exec.Command("mosquitto", "-c", writeFile(t, conf, 0o600))
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	killed := false
	kill = func() {
		if !killed {
			killed = true
			_ = cmd.Process.Kill()
			_ = cmd.Wait()
		}
	}
	t.Cleanup(kill)
	return kill
}

// together waits until all are at one broker and hear each other there.
func together(t testing.TB, url string, all []*Comms, n *uint64) {
	t.Helper()
	eventually(t, "all meet at "+url, func() error {
		for _, c := range all {
			if s := c.Status(); !s.Connected || s.Broker != url {
				return fmt.Errorf("%s: %+v", c.self, s)
			}
		}
		return nil
	})
	for _, from := range all {
		for _, to := range all {
			if from == to {
				continue
			}
			*n++
			seq := *n
			eventually(t, fmt.Sprintf("%s hears %s", to.self, from.self), func() error {
				from.Send(note(from.self, to.self, seq))
				select {
				case m := <-to.Received():
					if m.From == from.self && m.Body == note(from.self, to.self, seq).Body {
						return nil
					}
					return fmt.Errorf("it got %+v", m)
				case <-time.After(100 * time.Millisecond):
					return fmt.Errorf("%+v", to.Stats())
				}
			})
		}
	}
}

// Devices at brokers that do not know each other end at one of them: at the
// second when the first dies, and at the first when that returns, also when some
// are at each, so that nobody is lonely.
func TestAllMeetAtOneBroker(t *testing.T) {
	first, second := freePort(t), freePort(t)
	kill := realBroker(t, first)
	realBroker(t, second)
	way := newProxy(t, first) // of some of the devices to the first broker
	var all []*Comms
	for _, id := range []struct {
		id  raft.NodeID
		url string
	}{{alice, "mqtt://" + first}, {bob, "mqtt://" + first}, {carol, way.url()}, {dora, way.url()}} {
		all = append(all, start(t, id.url, id.id, func(c *Config) {
			c.Access.Brokers = append(c.Access.Brokers, "mqtt://"+second)
			c.homeFirst = time.Second
		}))
	}
	atFirst := func() {
		t.Helper()
		var n uint64 = 1000
		for _, c := range all[2:] {
			eventually(t, "carol and dora are at the first", func() error {
				if s := c.Status(); !s.Connected || s.Broker != way.url() {
					return fmt.Errorf("%+v", s)
				}
				return nil
			})
		}
		together(t, "mqtt://"+first, all[:2], &n)
		acquaint(t, all[0], all[2])
		acquaint(t, all[1], all[3])
	}
	atFirst()
	kill()
	var n uint64
	together(t, "mqtt://"+second, all, &n)
	way.goSilent(true) // two return, two cannot: some are at each
	kill = realBroker(t, first)
	for _, c := range all[:2] {
		eventually(t, "two are at the first", func() error {
			if s := c.Status(); !s.Connected || s.Broker != "mqtt://"+first {
				return fmt.Errorf("%+v", s)
			}
			return nil
		})
	}
	together(t, "mqtt://"+second, all[2:], &n)
	way.goSilent(false)
	way.cut()
	atFirst()
	kill()
	together(t, "mqtt://"+second, all, &n)
}

// Two URLs of one broker: a device is not taken for its own twin.
func TestTwoWaysToOneBroker(t *testing.T) {
	b := newBroker(t, "127.0.0.1:0", nil)
	address := freePort(t)
	var log lines
	c := start(t, "mqtt://"+address, alice, withLog(&log), func(c *Config) {
		c.Access.Brokers = append(c.Access.Brokers, b.url)
		c.homeFirst = 100 * time.Millisecond
	})
	up(t, c)
	p := newProxyAt(t, address, b.address())
	eventually(t, "the first way is used", func() error {
		if s := c.Status(); !s.Connected || s.Broker != p.url() {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
	if strings.Contains(log.String(), "copies of one card") {
		t.Errorf("it says %s", log.String())
	}
}

// thrower is a broker's hook that ends the connection of who publishes.
type thrower struct {
	mochi.HookBase
	thrown atomic.Int32
}

func (*thrower) ID() string { return "thrower" }
func (*thrower) Provides(b byte) bool {
	return bytes.Contains([]byte{mochi.OnConnectAuthenticate, mochi.OnACLCheck, mochi.OnPublish}, []byte{b})
}
func (*thrower) OnConnectAuthenticate(*mochi.Client, packets.Packet) bool { return true }
func (*thrower) OnACLCheck(*mochi.Client, string, bool) bool              { return true }
func (h *thrower) OnPublish(cl *mochi.Client, p packets.Packet) (packets.Packet, error) {
	h.thrown.Add(1)
	cl.Stop(packets.ErrNotAuthorized)
	return p, nil
}

// A broker that throws out who it let in is not besieged, nor is the log filled,
// and another one gets its turn.
func TestThrownOut(t *testing.T) {
	h := new(thrower)
	b := newBroker(t, "127.0.0.1:0", h)
	var log lines
	start(t, b.url, alice, withLog(&log))
	<-time.After(4 * time.Second)
	if n := h.thrown.Load(); n < 2 || n > 12 {
		t.Errorf("thrown out %d times in 4 s", n)
	}
	if n := strings.Count(log.String(), "\n"); n > maxOutageLines+1 {
		t.Errorf("%d lines: %s", n, log.String())
	}
	other := newBroker(t, "127.0.0.1:0", nil)
	c := start(t, b.url, bob, func(c *Config) { c.Access.Brokers = append(c.Access.Brokers, other.url) })
	eventually(t, "the other broker is used", func() error {
		if s := c.Status(); !s.Connected || s.Broker != other.url {
			return fmt.Errorf("%+v", s)
		}
		return nil
	})
}
