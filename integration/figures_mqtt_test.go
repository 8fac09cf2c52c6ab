package integration

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// measured starts n devices with a broker beside them, founded and settled.
func measured(t *testing.T, n int, transports string) *cluster {
	t.Helper()
	if !*figures {
		t.Skip("a measurement; scripts/figures-mqtt.sh runs it")
	}
	net := lab.New(t, n+1)
	b := newBroker(t, net, n+1, false)
	b.start()
	c := &cluster{t: t, net: net}
	key := ""
	for i := range n {
		a := newAgent(t, net, i+1, append(b.settings(transports), "EDGERAFT_MAX_VOTERS=9")...)
		a.start()
		c.agents = append(c.agents, a)
		if i > 0 {
			if _, err := a.cli(key+"\n", "join", "-"); err != nil {
				t.Fatal(err)
			}
			continue
		}
		var setup api.Setup
		if err := json.Unmarshal([]byte(a.must("init", "--json")), &setup); err != nil {
			t.Fatal(err)
		}
		key = setup.Key
	}
	c.awaitMembers()
	c.awaitLeader(c.agents)
	return c
}

// moved is what all agents sent to the broker and got from it, and what the
// leader sent, in bytes of MQTT.
func (c *cluster) moved(leader *agent) (in, out, uplink uint64) {
	c.t.Helper()
	for _, a := range c.agents {
		st, err := a.status()
		if err != nil {
			c.t.Fatal(err)
		}
		in += st.Traffic.SentBytes
		out += st.Traffic.ReceivedBytes
		if a == leader {
			uplink = st.Traffic.SentBytes
		}
	}
	return in, out, uplink
}

// proposeFor proposes on a device with so many clients for a while, and returns
// how long each took.
func proposeFor(t *testing.T, a *agent, clients int, d time.Duration) []time.Duration {
	t.Helper()
	var mu sync.Mutex
	var took []time.Duration
	var wg sync.WaitGroup
	end := time.Now().Add(d)
	for range clients {
		wg.Go(func() {
			for time.Now().Before(end) {
				began := time.Now()
				_, err := a.client.Propose(context.Background(), make([]byte, 64))
				if err != nil {
					t.Error(err)
					return
				}
				mu.Lock()
				took = append(took, time.Since(began))
				mu.Unlock()
			}
		})
	}
	wg.Wait()
	slices.Sort(took)
	return took
}

// TestFiguresMQTT measures what Raft through a broker costs, beside UDP.
func TestFiguresMQTT(t *testing.T) {
	const span = 5 * time.Second
	for _, transport := range []string{"udp", "mqtt"} {
		c := measured(t, 3, transport)
		leader := c.awaitLeader(c.agents)
		one := proposeFor(t, leader, 1, span)
		many := proposeFor(t, leader, 32, span)
		fmt.Printf("%-4s, 3 devices, 64 bytes, on the leader: one client %v median, %v p99; 32 clients %.0f proposals/s\n", transport,
			one[len(one)/2].Round(10*time.Microsecond), one[len(one)*99/100].Round(10*time.Microsecond), float64(len(many))/span.Seconds())
		for _, a := range c.agents {
			a.proc.Terminate(10 * time.Second)
		}
	}
	fmt.Printf("through the broker, one client, 64 bytes, bytes of MQTT for each commit, heartbeats among them:\n%8s %10s %10s %14s\n", "devices", "broker in", "broker out", "leader sends")
	for _, n := range []int{3, 5, 9} {
		c := measured(t, n, "mqtt")
		leader := c.awaitLeader(c.agents)
		in, out, up := c.moved(leader)
		commits := uint64(len(proposeFor(t, leader, 1, span)))
		in2, out2, up2 := c.moved(leader)
		fmt.Printf("%8d %10d %10d %14d\n", n, (in2-in)/commits, (out2-out)/commits, (up2-up)/commits)
		if n == 3 {
			c.idleBytes(leader)
		}
		for _, a := range c.agents {
			a.proc.Terminate(10 * time.Second)
		}
	}
}

func (c *cluster) idleBytes(leader *agent) {
	in, out, up := c.moved(leader)
	<-time.After(*figureIdle)
	in2, out2, up2 := c.moved(leader)
	per := uint64(figureIdle.Seconds())
	fmt.Printf("idle, 3 devices, bytes of MQTT a minute: broker in %d, out %d, the leader sends %d\n", (in2-in)*60/per, (out2-out)*60/per, (up2-up)*60/per)
}

// TestFiguresWill measures how long a leader is missed whose process died, which
// the broker tells at once, and one that lost its link, which it notices late.
func TestFiguresWill(t *testing.T) {
	c := measured(t, 3, "mqtt")
	for _, how := range []string{"killed: its will is published", "cut off: no will in time"} {
		var times []time.Duration
		for range *figureKills {
			leader := c.awaitLeader(c.agents)
			survivors := c.others(leader)
			began := time.Now()
			if how[0] == 'k' {
				leader.proc.Kill()
			} else {
				c.net.Isolate(leader.i)
			}
			lab.Eventually(t, "a successor commits", time.Minute, func() error {
				ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
				defer cancel()
				_, err := survivors[0].client.Propose(ctx, []byte("x"))
				return err
			})
			times = append(times, time.Since(began))
			if how[0] == 'k' {
				leader.start()
			} else {
				c.net.Heal()
			}
			c.awaitMembers()
			c.awaitLeader(c.agents)
		}
		slices.Sort(times)
		fmt.Printf("leader %s: commits go on after %.2f s median, best %.2f s, worst %.2f s of %d\n", how,
			times[len(times)/2].Seconds(), times[0].Seconds(), times[len(times)-1].Seconds(), len(times))
	}
}
