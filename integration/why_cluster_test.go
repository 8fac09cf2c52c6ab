package integration

import (
	"fmt"
	"path/filepath"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// foundingTogether: blank devices that found a cluster, some of which are absent.
func foundingTogether(t *testing.T) []whyFault {
	net := lab.New(t, 3)
	all := withKey(t, net, 3, append(peersOf(3), "EDGERAFT_BOOTSTRAP_EXPECT=3")...)
	one, two, three := all[0], all[1], all[2]
	odd := append(two.env[:len(two.env):len(two.env)], "EDGERAFT_BOOTSTRAP_EXPECT=2")
	return []whyFault{
		{"the others are not there yet", one.start, one, "founding", []string{"1 of 3 devices are there", one.name()}, "edgeraft status   (on the devices that are missing)", nil, nil},
		{"one was told another number", func() {
			two.env, odd = odd, two.env
			two.start()
		}, one, "founding", []string{"bootstrap_expect is 3 here and 2 on "}, "edgeraft status", func(string) {
			two.proc.Terminate(30 * time.Second * slowness)
			two.env = odd
			two.start()
			three.start()
		}, nil},
	}
}

// networkFaults: three members, some of which cannot be heard.
func networkFaults(t *testing.T) []whyFault {
	net := lab.New(t, 3)
	one, two, three := newAgent(t, net, 1), newAgent(t, net, 2), newAgent(t, net, 3)
	formOf(t, one, two, three)
	return []whyFault{
		{"it is cut off", func() { net.Isolate(3) }, three, "no_quorum",
			[]string{"There is no quorum: 2 of 3 voters are needed and 1 are heard", "device-1 (", "device-2 ("}, "ping -c 3 ", func(string) { net.Heal() }, nil},
		{"it hears nothing, though it is heard", func() { net.Deafen(3, true) }, three, "no_quorum",
			[]string{"There is no quorum: 2 of 3 voters are needed and 1 are heard", "device-1 (", "device-2 ("}, "ping -c 3 ", func(string) { net.Deafen(3, false) }, nil},
		{"two of three are off", func() { two.proc.Kill(); three.proc.Kill() }, one, "no_quorum",
			[]string{"2 of 3 voters are needed and 1 are heard; missing: device-", "device-2 (", "device-3 ("}, "ping -c 3 ", func(string) { two.start() }, nil},
	}
}

// oneWayOut: what a member sends is lost, while it hears all.
func oneWayOut(t *testing.T) []whyFault {
	net := lab.New(t, 3)
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1))
	}
	formOf(t, c.agents...)
	leader := c.awaitLeader(c.agents)
	mute := c.others(leader)[0]
	return []whyFault{
		{"it is not heard, though it hears", func() { net.Mute(mute.i, true) }, mute, "one_way",
			[]string{"The leader " + leader.name() + " (", "what this device sends does not arrive"}, "ping -c 3 ", func(string) { net.Mute(mute.i, false) }, nil},
	}
}

// wrongKeysAndNames: devices that would join, and are kept apart by what they were
// told.
func wrongKeysAndNames(t *testing.T) []whyFault {
	net := lab.New(t, 5)
	one, two, three, four, five := newAgent(t, net, 1), newAgent(t, net, 2), newAgent(t, net, 3), newAgent(t, net, 4), newAgent(t, net, 5)
	key := formOf(t, one, two)
	joins := func(a *agent, settings ...string) {
		a.env = append(a.env, settings...)
		if _, err := a.cli(key+"\n", "join", "-"); err != nil {
			t.Fatal(err)
		}
		a.start()
	}
	return []whyFault{
		{"another key than the others have", func() {
			three.must("keygen", "--out", filepath.Join(three.dir, "cluster.key"))
			three.start()
		}, three, "wrong_key", []string{"its key may be the wrong one", "10.77.0.", "another cluster key"}, "sudo edgeraft join --replace-key KEY", typed(three, key), nil},
		{"another name of the cluster", func() { joins(four, "EDGERAFT_CLUSTER=garden") }, four, "wrong_name",
			[]string{"may be the wrong one", `none of "garden"`, "default"}, "sudo nano ", func(string) {
				four.proc.Terminate(30 * time.Second * slowness)
				four.env = four.env[:len(four.env)-1]
				four.start()
			}, nil},
		{"nobody to be found", func() { joins(five, "EDGERAFT_DISCOVERY=off") }, five, "no_cluster",
			[]string{`No member of the cluster "default" with this key has been found`, "discovery is off"}, "sudo edgeraft doctor", nil, nil},
		{"a second cluster was founded", func() {
			five.must("init") // by mistake: it should have joined
			five.proc.Terminate(30 * time.Second * slowness)
			five.env = five.env[:len(five.env)-1]
			five.start()
		}, five, "second_cluster", []string{"A second cluster with this name and key exists: " + clusterIDOf(t, one)}, "edgeraft join --as-new", typed(five, "", "--yes"), nil},
	}
}

// admission: a cluster that takes only who was added.
func admission(t *testing.T) []whyFault {
	net := lab.New(t, 2)
	one, two := newAgent(t, net, 1, "EDGERAFT_JOIN=manual"), newAgent(t, net, 2)
	key := formOf(t, one)
	var id string
	return []whyFault{
		{"it was not admitted", func() {
			if _, err := two.cli(key+"\n", "join", "-"); err != nil {
				t.Fatal(err)
			}
			two.start()
		}, two, "not_admitted", []string{"The cluster has not admitted this device"}, "edgeraft members add ", typed(one, ""), nil},
		{"it was removed", func() {
			awaitVoters(t, one, two)
			st, err := two.status()
			if err != nil {
				t.Fatal(err)
			}
			id = st.Node.ID
			one.must("members", "remove", id)
		}, two, "removed", []string{"was removed from its cluster"}, "edgeraft members add ", typed(one, ""), nil},
	}
}

// brokerFaults: two devices with nothing between them but a broker.
func brokerFaults(t *testing.T) []whyFault {
	if emulated() {
		t.Skip("NOT TESTED: says nothing about the machine code")
	}
	net := lab.New(t, 3)
	b := newBroker(t, net, 3, true)
	b.start()
	one, two := newAgent(t, net, 1, b.settings("mqtt")...), newAgent(t, net, 2, b.settings("mqtt")...)
	formOf(t, one, two)
	return []whyFault{
		{"the broker is down, and a device too", func() {
			b.proc.Kill()
			two.proc.Kill()
			awaitSilent(t, one, two) // so that there are two causes to choose from
		}, one, "broker_only",
			[]string{"No connection to the MQTT broker mqtts://10.77.0.3:8883", "refused"}, "sudo edgeraft doctor", nil, nil},
		{"then only the device is", b.start, one, "no_quorum", []string{"2 of 2 voters are needed and 1 are heard", "missing: device-2 ("}, "edgeraft why   (on device-2",
			func(string) { two.start() }, nil},
		{"the password is wrong", func() {
			b.write("password", "wrong\n")
			b.proc.Kill()
			b.start()
		}, one, "broker_only", []string{"not authorized", "mqtt.password_file"}, "sudo edgeraft doctor", func(string) { b.write("password", brokerPassword) }, nil},
	}
}

// awaitSilent waits until a device has not heard another for so long that it counts
// as missing.
func awaitSilent(t *testing.T, a, silent *agent) {
	t.Helper()
	lab.Eventually(t, a.name()+" misses "+silent.name(), 60*time.Second*slowness, func() error {
		st, err := a.status()
		if err != nil {
			return err
		}
		for _, m := range st.Members {
			if m.Name == silent.name() && m.LastContactMS != nil && *m.LastContactMS < 6000 {
				return fmt.Errorf("it was heard %d ms ago", *m.LastContactMS)
			}
		}
		return nil
	})
}

// givenUp: a device that was thought to be gone for good returns.
func givenUp(t *testing.T) []whyFault {
	net := lab.New(t, 2)
	one, two := newAgent(t, net, 1), newAgent(t, net, 2)
	formOf(t, one, two)
	return []whyFault{
		{"the cluster was recovered without it", func() {
			old := clusterIDOf(t, one)
			two.proc.Kill()
			lab.Eventually(t, "the recovery", 60*time.Second*slowness, func() error {
				_, err := one.cli("", "recover", "--yes", "--cluster-id", old)
				return err
			})
			two.start()
		}, two, "recovered_without", []string{"was given up for lost and recovered without it"}, "edgeraft join --as-new", typed(two, "", "--yes"), nil},
	}
}
