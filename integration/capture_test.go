package integration

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/miekg/dns"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// Everything that passes the switch from the first packet on, while a cluster
// forms, works, loses its leader and changes: nothing that is secret is in it, and
// mDNS tells the cluster's name, IDs and addresses, and nothing else.
func TestCaptureShowsNothing(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation")
	}
	const clusterName = "glasshouse-nine"
	net := lab.New(t, 3)
	file := filepath.Join(t.TempDir(), "frames")
	p := net.StartOnSwitch(lab.Command{Name: "the eavesdropper", Args: []string{os.Args[0], "frames", file},
		Env: []string{envRole + "=" + roleNeighbour}})
	c := &cluster{t: t, net: net}
	for i := range 3 {
		c.agents = append(c.agents, newAgent(t, net, i+1, "EDGERAFT_CLUSTER="+clusterName))
	}
	c.form()
	secrets := []string{"device-1", "device-2", "device-3", "tulip-key", "orchid-value", "peony-command"}
	for i, a := range c.agents {
		a.must("put", fmt.Sprint("tulip-key-", i), strings.Repeat("orchid-value ", 200))
		a.must("propose", "peony-command")
	}
	leader := c.awaitLeader(c.agents)
	leader.proc.Kill()
	c.awaitLeader(c.others(leader))
	leader.start()
	c.awaitMembers()
	key, err := os.ReadFile(filepath.Join(leader.dir, "cluster.key"))
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, strings.TrimSpace(string(key)), strings.ReplaceAll(strings.TrimSpace(string(key)), "-", "")[3:])
	st, err := leader.status()
	if err != nil {
		t.Fatal(err)
	}
	secrets = append(secrets, st.Cluster.ID)
	ids := map[string]bool{}
	for _, m := range st.Members {
		ids[m.ID] = true
	}
	lab.Eventually(t, "traffic of a following device is captured", 20*time.Second, func() error {
		content, err := os.ReadFile(file)
		if n := len(readDatagrams(content)); err == nil && n < 300 {
			err = fmt.Errorf("%d frames", n)
		}
		return err
	})
	p.Kill()
	content, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range secrets {
		for _, form := range []string{s, strings.ToUpper(s), strings.ToLower(s)} {
			if bytes.Contains(content, []byte(form)) {
				t.Errorf("the capture has %q in it", form)
			}
		}
	}
	packets, answers := 0, 0
	for _, frame := range readDatagrams(content) {
		to, payload := udpOf(frame)
		switch {
		case to == agentPort:
			packets++
			if bytes.Contains(payload, []byte(clusterName)) {
				t.Error("a packet has the cluster's name in it")
			}
		case to == 5353:
			answers += checkMDNS(t, payload, clusterName, ids)
		}
	}
	if packets < 100 || answers < 3 {
		t.Errorf("only %d packets and %d records were captured", packets, answers)
	}
	t.Logf("%d packets between agents, %d mDNS records, %d bytes", packets, answers, len(content))
}

// udpOf is the destination port and the payload of a UDP datagram in a frame;
// port 0 for anything else.
func udpOf(frame []byte) (uint16, []byte) {
	const head, udp = 14, 17
	if len(frame) < head+20+8 {
		return 0, nil
	}
	packet := frame[head:]
	var d []byte
	switch {
	case packet[0]>>4 == 4 && packet[9] == udp:
		d = packet[int(packet[0]&15)*4:]
	case packet[0]>>4 == 6 && packet[6] == udp && len(packet) >= 48:
		d = packet[40:]
	default:
		return 0, nil
	}
	return binary.BigEndian.Uint16(d[2:]), d[8:]
}

// checkMDNS holds that a message tells what it may, and returns the number of its
// records.
func checkMDNS(t *testing.T, payload []byte, cluster string, ids map[string]bool) int {
	t.Helper()
	var m dns.Msg
	if err := m.Unpack(payload); err != nil {
		t.Errorf("an mDNS message does not parse: %v", err)
		return 0
	}
	const service = "_edgeraft._udp.local."
	known := func(name string) bool {
		if name == service || name == "_services._dns-sd._udp.local." {
			return true
		}
		label, rest, _ := strings.Cut(name, ".")
		id, ok := strings.CutPrefix(label, "er-")
		return ok && ids[id] && (rest == service || rest == "local.")
	}
	for _, q := range m.Question {
		if !known(q.Name) {
			t.Errorf("mDNS asks for %s", q.Name)
		}
	}
	all := slices.Concat(m.Answer, m.Ns, m.Extra)
	for _, r := range all {
		ok := known(r.Header().Name)
		switch r := r.(type) {
		case *dns.PTR:
			ok = ok && known(r.Ptr)
		case *dns.SRV:
			ok = ok && known(r.Target) && r.Port == agentPort
		case *dns.TXT:
			ok = ok && len(r.Txt) == 3 && r.Txt[0] == "v=1" && r.Txt[1] == "c="+cluster && ids[strings.TrimPrefix(r.Txt[2], "id=")]
		case *dns.A, *dns.AAAA:
		case *dns.NSEC:
		default:
			ok = false
		}
		if !ok {
			t.Errorf("mDNS tells %v", r)
		}
	}
	return len(all)
}
