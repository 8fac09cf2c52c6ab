package integration

import (
	"fmt"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// mqttElection is the election timeout of agents that use MQTT.
const mqttElection = 3 * time.Second

// throughBroker prepares three devices that cannot reach each other, and a broker
// on a fourth that they can reach.
func throughBroker(t *testing.T, secure bool) (*cluster, *broker) {
	net := lab.New(t, 4)
	net.ClientIsolation(true, 1, 2, 3)
	b := newBroker(t, net, 4, secure)
	b.start()
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, b.settings("mqtt")...))
	}
	return c, b
}

// Three devices with nothing between them but a broker keep every promise: it has
// TLS, a password, and lets each device do what the documentation says, no more.
func TestThreeDevicesThroughABroker(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: needs isolated ports and Mosquitto, and says nothing about the machine code")
	}
	c, b := throughBroker(t, true)
	c.form()
	c.load = startLoad(t, c.agents)
	c.awaitProgress(c.agents)
	for _, a := range c.agents {
		st, err := a.status()
		if err != nil || st.MQTT == nil || !st.MQTT.Connected || len(st.MQTT.Refused) > 0 || len(st.Warnings) > 0 {
			t.Errorf("status of %s: %+v, warnings %+v, %v", a.name(), st.MQTT, st.Warnings, err)
		}
	}

	leader := c.awaitLeader(c.agents)
	leader.proc.Kill()
	c.awaitLeader(c.others(leader))
	c.awaitProgress(c.others(leader))
	leader.start()
	c.awaitProgress(c.agents)
	c.check("after kill -9 of the leader")

	b.proc.Kill()
	b.start()
	c.awaitProgress(c.agents)
	c.check("after a restart of the broker")

	cut := c.awaitLeader(c.agents)
	c.net.Isolate(cut.i)
	c.awaitLeader(c.others(cut))
	c.awaitProgress(c.others(cut))
	c.net.Heal()
	c.awaitProgress(c.agents)
	c.load.end()
	c.check("after the leader's link was cut")
}

// How agents show what a broker refuses, or that there is none.
func TestBrokerTrouble(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: says nothing about the machine code")
	}
	net := lab.New(t, 2)
	b := newBroker(t, net, 2, true)
	a := newAgent(t, net, 1, b.settings("mqtt")...)
	a.start()
	a.must("init")
	warned := func(code string, parts ...string) {
		t.Helper()
		a.awaitWarning(code, parts...)
	}
	warned("mqtt_disconnected", "mqtts://10.77.0.2:8883", "refused")
	b.write("password", "wrong\n")
	b.start()
	warned("mqtt_disconnected", "not authorized", "mqtt.password_file")
	b.proc.Kill()
	b.write("password", brokerPassword) // it is read again for each connection
	b.write("acl", "user edgeraft\ntopic read edgeraft/default/#\n")
	b.start()
	warned("mqtt_refused", "to publish to edgeraft/default/all", "not authorized")
	b.proc.Kill()
	b.write("acl", "user edgeraft\ntopic write edgeraft/default/#\n")
	b.start()
	warned("mqtt_refused", "to receive what is published to edgeraft/default/all")
	out := a.must("status", "--json")
	if strings.Contains(out+a.proc.Log(), brokerPassword) {
		t.Error("the password is shown")
	}
}

// awaitWarning waits until there is a warning with these parts in it.
func (a *agent) awaitWarning(code string, parts ...string) {
	a.t.Helper()
	lab.Eventually(a.t, "a warning of "+code, 30*time.Second, func() error {
		st, err := a.status()
		if err != nil {
			return err
		}
		for _, w := range st.Warnings {
			missing := false
			for _, part := range parts {
				missing = missing || !strings.Contains(w.Message, part)
			}
			if w.Code == code && !missing {
				return nil
			}
		}
		return fmt.Errorf("warnings are %+v", st.Warnings)
	})
}

// A broker that asks for certificates lets in who shows one of its authority, and
// who does not is told what is missing.
func TestClientCertificates(t *testing.T) {
	if emulated() {
		t.Skip("NOT TESTED: says nothing about the machine code")
	}
	net := lab.New(t, 2)
	b := newBroker(t, net, 2, true)
	conf, err := os.ReadFile(b.path("conf"))
	if err != nil {
		t.Fatal(err)
	}
	b.write("conf", string(conf)+"require_certificate true\n")
	b.start()
	cert, key := b.clientCert("device", true)
	strange, strangeKey := b.clientCert("stranger", false)
	for _, c := range []struct {
		name, cert, key string
		want            []string // none: it is let in
	}{
		{"none", "", "", []string{"certificate", "mqtt.cert_file"}},
		{"of another authority", strange, strangeKey, []string{"certificate", "mqtt.cert_file"}},
		{"the right one", cert, key, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			set := b.settings("mqtt")
			if c.cert != "" {
				set = append(set, "EDGERAFT_MQTT_CERT_FILE="+c.cert, "EDGERAFT_MQTT_KEY_FILE="+c.key)
			}
			a := newAgent(t, net, 1, set...)
			a.start()
			a.must("init")
			if c.want != nil {
				a.awaitWarning("mqtt_disconnected", c.want...)
				a.must("put", "k", "v") // it works alone as ever
				a.proc.Terminate(10 * time.Second)
				return
			}
			lab.Eventually(t, "it is let in", 30*time.Second, func() error {
				st, err := a.status()
				if err == nil && (st.MQTT == nil || !st.MQTT.Connected || len(st.MQTT.Refused) > 0) {
					err = fmt.Errorf("%+v", st.MQTT)
				}
				return err
			})
			// A broker that hangs does not keep the agent from ending.
			b.proc.Pause()
			a.proc.Terminate(10 * time.Second)
			b.proc.Resume()
		})
	}
}

// usedPath is the path that a uses to each other member, if that is the same.
func usedPath(a *agent) (string, error) {
	st, err := a.status()
	if err != nil {
		return "", err
	}
	path := ""
	for _, m := range st.Members {
		if m.Self {
			continue
		}
		used := "all"
		for _, p := range m.Paths {
			if p.Used {
				used = p.Transport
			}
		}
		if path != "" && used != path {
			return "different ones", nil
		}
		path = used
	}
	return path, nil
}

func awaitPath(t *testing.T, a *agent, want string) {
	t.Helper()
	lab.Eventually(t, a.name()+" uses "+want, 60*time.Second, func() error {
		got, err := usedPath(a)
		if err == nil && got != want {
			err = fmt.Errorf("it uses %q", got)
		}
		return err
	})
}

// While there is a broker too, the end of UDP between devices costs neither a
// leader nor much time, and its return is noticed.
func TestUDPIsCut(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 4)
	b := newBroker(t, net, 4, false)
	b.start()
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, b.settings("udp,mqtt")...))
	}
	c.form()
	c.load = startLoad(t, c.agents)
	c.awaitProgress(c.agents)
	leader := c.awaitLeader(c.agents)
	awaitPath(t, leader, "udp")
	before, err := leader.status()
	if err != nil {
		t.Fatal(err)
	}

	cut := time.Now()
	net.ClientIsolation(true, 1, 2, 3)
	c.awaitProgress(c.agents)
	awaitPath(t, leader, "mqtt")
	for _, a := range c.agents {
		if gap := c.load.longestGap(a, cut); gap > 2*mqttElection {
			t.Errorf("%s had nothing acknowledged for %v", a.name(), gap)
		} else {
			t.Logf("the longest time without an acknowledgement on %s: %v", a.name(), gap.Round(time.Millisecond))
		}
	}
	net.ClientIsolation(false, 1, 2, 3)
	awaitPath(t, leader, "udp")
	c.awaitProgress(c.agents)
	c.load.end()
	c.check("after UDP was cut and healed")
	after, err := leader.status()
	if err != nil {
		t.Fatal(err)
	}
	if !sameLeadership(before, after) {
		t.Errorf("the leader changed: %+v, was %+v", after.Node, before.Node)
	}
}

func sameLeadership(a, b api.Status) bool {
	return a.Node.Term == b.Node.Term && a.Cluster.Leader == b.Cluster.Leader
}

// longestGap is the longest time without an acknowledgement on a device after an
// instant, up to its newest.
func (l *load) longestGap(a *agent, after time.Time) (gap time.Duration) {
	last := after
	for _, p := range l.soFar() {
		if p.outcome != acknowledged || p.got.Before(after) || !strings.HasPrefix(p.command, "load "+a.name()+" ") {
			continue
		}
		gap = max(gap, p.got.Sub(last))
		last = p.got
	}
	return gap
}

// Steady loss on UDP makes devices go to the broker and back, but not all the
// time, and costs no leader.
func TestPathsUnderLoss(t *testing.T) {
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	net := lab.New(t, 4)
	b := newBroker(t, net, 4, false)
	b.start()
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, append(b.settings("udp,mqtt"), "EDGERAFT_LOG_LEVEL=debug")...))
	}
	c.form()
	c.load = startLoad(t, c.agents)
	c.awaitProgress(c.agents)
	leader := c.awaitLeader(c.agents)
	before, err := leader.status()
	if err != nil {
		t.Fatal(err)
	}
	switches := func() (n int) {
		for _, a := range c.agents {
			n += strings.Count(a.proc.Log(), "another path is used")
		}
		return n
	}
	settled := switches()
	net.LoseUDP(30)
	const lasts = 20 * time.Second
	began := time.Now()
	for time.Since(began) < lasts {
		c.awaitProgress(c.agents)
	}
	n := switches() - settled
	t.Logf("%d changes of path on six ways in %v", n, lasts)
	// A way is left at most once in a patience (1 s) and returned to as often.
	if n > 60 {
		t.Errorf("%d changes of path in %v", n, lasts)
	}
	for _, a := range c.agents {
		gap := c.load.longestGap(a, began)
		t.Logf("the longest time without an acknowledgement on %s: %v", a.name(), gap.Round(time.Millisecond))
		// What another device forwards is asked for again after a while.
		if a == leader && gap > 2*mqttElection {
			t.Errorf("%s had nothing acknowledged for %v", a.name(), gap)
		}
	}
	net.Loss(0)
	c.load.end()
	c.check("after loss on UDP")
	after, err := c.awaitLeader(c.agents).status()
	if err != nil {
		t.Fatal(err)
	}
	if !sameLeadership(before, after) {
		t.Errorf("the leader changed: %+v, was %+v", after.Node, before.Node)
	}
}
