package integration

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

const (
	roleNeighbour = "neighbour"
	agentPort     = 7521
	// neighbourDevice is where the one lives who has no key.
	neighbourDevice = 4
	// floodFor is how long a flood lasts, floodMemory how much more memory an
	// agent may have after it, in bytes.
	floodFor    = 3 * time.Second
	floodMemory = 16 << 20
)

// siege is a cluster under load, and a neighbour who wishes it ill.
type siege struct {
	*cluster
	dir      string
	captured [][]byte
	files    int
}

// attack sends datagrams to all agents, so many rounds (0: until what is
// returned is killed).
func (s *siege) attack(rounds int, datagrams [][]byte, targets ...string) *lab.Process {
	s.t.Helper()
	s.files++
	file := filepath.Join(s.dir, fmt.Sprint("datagrams-", s.files))
	var content []byte
	for _, d := range datagrams {
		content = appendDatagram(content, d)
	}
	if err := os.WriteFile(file, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	if len(targets) == 0 {
		for _, a := range s.agents {
			targets = append(targets, fmt.Sprintf("%s:%d", s.net.Addr(a.i), agentPort))
		}
	}
	p := s.net.Start(neighbourDevice, lab.Command{Name: "the neighbour",
		Args: append([]string{os.Args[0], "send", fmt.Sprint(rounds), file}, targets...), Env: []string{envRole + "=" + roleNeighbour}})
	if rounds > 0 {
		if err := p.Wait(30 * time.Second); err != nil {
			s.t.Fatalf("the neighbour: %v\n%s", err, p.Log())
		}
	}
	return p
}

// attackFrom sends datagrams to all agents once, as if from an address.
func (s *siege) attackFrom(source string, datagrams [][]byte) {
	s.t.Helper()
	var content []byte
	for _, d := range datagrams {
		content = appendDatagram(content, d)
	}
	file := filepath.Join(s.dir, "spoofed")
	if err := os.WriteFile(file, content, 0o600); err != nil {
		s.t.Fatal(err)
	}
	argv := []string{os.Args[0], "spoof", "1", file, source}
	for _, a := range s.agents {
		argv = append(argv, fmt.Sprintf("%s:%d", s.net.Addr(a.i), agentPort))
	}
	p := s.net.Start(neighbourDevice, lab.Command{Name: "the neighbour", Args: argv, Env: []string{envRole + "=" + roleNeighbour}})
	if err := p.Wait(30 * time.Second); err != nil {
		s.t.Fatalf("the neighbour: %v\n%s", err, p.Log())
	}
}

// listen captures what passes device 1 until there is enough of it.
func (s *siege) listen(enough int) {
	s.t.Helper()
	file := filepath.Join(s.dir, "captured")
	p := s.net.Start(1, lab.Command{Name: "the eavesdropper", Args: []string{os.Args[0], "capture", file},
		Env: []string{envRole + "=" + roleNeighbour}})
	defer p.Kill()
	lab.Eventually(s.t, "traffic is captured", 30*time.Second, func() error {
		content, err := os.ReadFile(file)
		if err != nil {
			return err
		}
		if s.captured = readDatagrams(content); len(s.captured) < enough {
			return fmt.Errorf("%d datagrams: %s", len(s.captured), p.Log())
		}
		return nil
	})
}

// dropped is what each agent counts for some reasons together.
func (s *siege) dropped(reasons ...string) []uint64 {
	s.t.Helper()
	counts := make([]uint64, len(s.agents))
	for i, a := range s.agents {
		st, err := a.status()
		if err != nil {
			s.t.Fatal(err)
		}
		for _, r := range reasons {
			counts[i] += st.Traffic.Dropped[r]
		}
	}
	return counts
}

// counts holds that each agent counted at least so many more drops of these
// reasons since before, together.
func (s *siege) counts(what string, before []uint64, least uint64, reasons ...string) {
	s.t.Helper()
	lab.Eventually(s.t, fmt.Sprintf("%s: %d more of %v are counted on each agent", what, least, reasons), 20*time.Second, func() error {
		now := s.dropped(reasons...)
		for i := range now {
			if now[i] < before[i]+least {
				return fmt.Errorf("%v before, %v now", before, now)
			}
		}
		return nil
	})
}

// unharmed holds that the same three agents are members, are healthy, know
// each other at their own addresses, and commit.
func (s *siege) unharmed(after string) {
	s.t.Helper()
	s.awaitProgress(s.agents)
	for _, a := range s.agents {
		lab.Eventually(s.t, fmt.Sprintf("after %s %s is healthy", after, a.name()), 30*time.Second, func() error {
			st, err := a.status()
			if err != nil {
				return err
			}
			astray := slices.ContainsFunc(st.Members, func(m api.Member) bool {
				return strings.HasPrefix(m.Address, s.net.Addr(neighbourDevice)+":")
			})
			if !st.Healthy || len(st.Members) != len(s.agents) || astray {
				return fmt.Errorf("status is %+v", st)
			}
			return nil
		})
	}
}

// memory is the resident memory of an agent, in bytes.
func (s *siege) memory(a *agent) int {
	s.t.Helper()
	st, err := a.status()
	if err != nil {
		s.t.Fatal(err)
	}
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/statm", st.Node.PID))
	fields := strings.Fields(string(text))
	if err != nil || len(fields) < 2 {
		s.t.Fatalf("statm is %q: %v", text, err)
	}
	pages, err := strconv.Atoi(fields[1])
	if err != nil {
		s.t.Fatal(err)
	}
	return pages * os.Getpagesize()
}

// What a neighbour without the key can do changes nothing.
func TestHostileNeighbour(t *testing.T) {
	if emulated() {
		t.Skip("NOT TESTED: multicast does not work under user-mode emulation, and memory is the emulator's")
	}
	n := lab.New(t, neighbourDevice)
	s := &siege{cluster: &cluster{t: t, net: n}, dir: t.TempDir()}
	for i := range neighbourDevice - 1 {
		s.agents = append(s.agents, newAgent(t, n, i+1))
	}
	s.form()
	s.load = startLoad(t, s.agents)
	s.awaitProgress(s.agents)
	s.listen(200)

	s.randomAndDamaged()
	s.replayed()
	s.strangers()
	s.forgedAnnouncements()
	s.flood()
	s.socket()

	s.load.end()
	s.check("after all attacks")
	for _, a := range s.agents {
		a.proc.Terminate(10 * time.Second)
	}
}

func (s *siege) randomAndDamaged() {
	random := rand.NewChaCha8([32]byte{1})
	var junk, damaged [][]byte
	for i := range 150 {
		d := make([]byte, i*23) // more than a datagram may have, in the end
		random.Read(d)
		junk = append(junk, d)
	}
	for i, d := range s.captured[:100] {
		flipped := slices.Clone(d)
		flipped[len(d)-1-i%16] ^= 1 << (i % 8) // in the tag
		header := slices.Clone(d)
		header[2+i%44] ^= 1 << (i % 8)
		damaged = append(damaged, d[:len(d)-1], d[:i%62], flipped, header)
	}
	before := s.dropped("too_short", "too_long", "version")
	s.attack(1, junk)
	s.counts("random datagrams", before, 100, "too_short", "too_long", "version")
	s.unharmed("random datagrams")

	before = s.dropped("too_short", "auth", "not_for_us", "replay", "own", "wrong_key")
	s.attack(1, damaged)
	s.counts("damaged datagrams", before, 200, "too_short", "auth", "not_for_us", "replay", "own", "wrong_key")
	s.unharmed("damaged datagrams")
}

// replayed sends recorded traffic again: to all, and to one that was just
// restarted and remembers no packet.
func (s *siege) replayed() {
	before := s.dropped("replay", "own", "not_for_us")
	s.attack(3, s.captured)
	s.counts("recorded datagrams", before, uint64(len(s.captured)), "replay", "own", "not_for_us")
	s.unharmed("recorded datagrams")

	again := s.attack(0, s.captured)
	s.agents[0].proc.Kill()
	s.agents[0].start()
	s.awaitProgress(s.agents)
	again.Kill()
	s.unharmed("recorded datagrams to one that restarted")
	if st, err := s.agents[0].status(); err != nil || st.Traffic.Dropped["unproved"] == 0 {
		s.t.Errorf("nothing recorded was held back: %+v, %v", st.Traffic, err)
	}

	// As if from the others, and from another port of theirs: an answer to it goes
	// to them, and moves nobody.
	before = s.dropped("replay", "own", "not_for_us", "unproved")
	for _, source := range []string{"10.77.0.2:7521", "10.77.0.3:9", "192.0.2.7:7521"} {
		s.attackFrom(source, s.captured)
	}
	s.counts("recorded datagrams from forged sources", before, uint64(len(s.captured)), "replay", "own", "not_for_us", "unproved")
	s.unharmed("recorded datagrams from forged sources")
}

// strangers are agents with another key, and with another cluster's name.
func (s *siege) strangers() {
	seeds := "EDGERAFT_PEERS=10.77.0.1:7521,10.77.0.2:7521,10.77.0.3:7521"
	otherKey := newAgent(s.t, s.net, neighbourDevice, seeds)
	key := otherKey.must("keygen")
	if _, err := otherKey.cli(key, "join"); err != nil {
		s.t.Fatal(err)
	}
	s.stranger("an agent with another key", "stranger", otherKey)

	otherName := newAgent(s.t, s.net, neighbourDevice, seeds, "EDGERAFT_CLUSTER=other")
	ours, err := os.ReadFile(filepath.Join(s.agents[0].dir, "cluster.key"))
	if err != nil {
		s.t.Fatal(err)
	}
	if _, err := otherName.cli(string(ours), "join"); err != nil {
		s.t.Fatal(err)
	}
	s.stranger("an agent of another cluster name", "other_name", otherName)
}

func (s *siege) stranger(what, code string, a *agent) {
	s.t.Helper()
	before := s.dropped("wrong_key", "auth")
	a.start()
	s.counts(what, before, 3, "wrong_key", "auth")
	st, err := s.agents[0].status()
	if err != nil || !slices.ContainsFunc(st.Warnings, func(w api.Warning) bool {
		return w.Code == code && strings.Contains(w.Message, ":7521") // the other attacks come from other ports
	}) {
		s.t.Errorf("%s is not warned of: %+v, %v", what, st.Warnings, err)
	}
	if st, err := a.status(); err != nil || st.Node.State != "waiting_for_cluster" || st.Healthy || len(st.Members) != 0 {
		s.t.Errorf("%s itself: %+v, %v", what, st, err)
	}
	s.unharmed(what)
	a.proc.Terminate(10 * time.Second)
}

// forgedAnnouncements tell where members are, falsely, of members that are
// none, and what cannot be understood, while a member must find the others.
func (s *siege) forgedAnnouncements() {
	forged := [][]byte{{}, {0}, bytes.Repeat([]byte{0xff}, 1200), bytes.Repeat([]byte{0xc0, 0x0c}, 400)}
	var real []string
	for _, a := range s.agents {
		st, err := a.status()
		if err != nil {
			s.t.Fatal(err)
		}
		real = append(real, st.Node.ID)
	}
	here := netip.MustParseAddr(s.net.Addr(neighbourDevice)).As4()
	say := func(id string, port uint16, text ...string) {
		forged = append(forged, announcement(id, port, here, text...))
	}
	for _, id := range real {
		say(id, agentPort, "v=1", "c=default", "id="+id)
		say(id, 0, "v=1", "c=default", "id="+id)
		say(id, 1, "v=9", "c=default", "id="+id)
		say(id, 1, strings.Repeat("x", 255), strings.Repeat("y", 255))
		say(id, 1)
	}
	const letters = "abcdefghijklmnopqrstuvwxyz234567"
	for i := range 30_000 {
		id := fmt.Sprintf("zz%c%c%caaaaaaaaaaa", letters[i%32], letters[i/32%32], letters[i/1024])
		say(id, uint16(20000+i), "v=1", "c=default", "id="+id)
	}
	memory := s.memory(s.agents[0])
	liar := s.attack(0, forged, "224.0.0.251:5353")
	s.agents[2].proc.Kill()
	s.agents[2].start()
	s.awaitProgress(s.agents)
	s.unharmed("forged announcements")
	liar.Kill()
	if now := s.memory(s.agents[0]); now > memory+floodMemory {
		s.t.Errorf("after forged announcements %s has %d bytes of memory, and had %d", s.agents[0].name(), now, memory)
	}
}

// announcement is an mDNS answer (RFC 6762) for one instance of our service.
func announcement(id string, port uint16, addr [4]byte, text ...string) []byte {
	name := func(labels ...string) []byte {
		var b []byte
		for _, l := range labels {
			b = append(append(b, byte(len(l))), l...)
		}
		return append(b, 0)
	}
	service := name("_edgeraft", "_udp", "local")
	instance := name("er-"+id, "_edgeraft", "_udp", "local")
	host := name("er-"+id, "local")
	b := []byte{0, 0, 0x84, 0, 0, 0, 0, 4, 0, 0, 0, 0} // an answer with four records
	record := func(owner []byte, kind uint16, data []byte) {
		b = binary.BigEndian.AppendUint16(append(b, owner...), kind)
		b = binary.BigEndian.AppendUint16(b, 1)
		b = binary.BigEndian.AppendUint32(b, 120)
		b = append(binary.BigEndian.AppendUint16(b, uint16(len(data))), data...)
	}
	record(service, 12, instance)
	record(instance, 33, append(binary.BigEndian.AppendUint16([]byte{0, 0, 0, 0}, port), host...))
	var txt []byte
	for _, s := range text {
		txt = append(append(txt, byte(len(s))), s...)
	}
	record(instance, 16, txt)
	record(host, 1, addr[:])
	return b
}

// flood sends as much as the network takes for a while: noise, forged headers
// of true sessions, and what was recorded.
func (s *siege) flood() {
	random := rand.NewChaCha8([32]byte{2})
	var datagrams [][]byte
	for i, d := range s.captured[:200] {
		noise := make([]byte, 40+i*5)
		random.Read(noise)
		forged := slices.Clone(d)
		random.Read(forged[22:46]) // another session each
		random.Read(forged[2:12])  // and sender
		datagrams = append(datagrams, noise, forged, d)
	}
	var memory []int
	for _, a := range s.agents {
		memory = append(memory, s.memory(a))
	}
	before := s.dropped("version", "auth", "replay", "not_for_us")
	flood := s.attack(0, datagrams)
	timer := time.NewTimer(floodFor)
	defer timer.Stop()
	<-timer.C // the length of the attack, and nothing is waited for
	flood.Kill()
	s.counts("a flood", before, 1000, "version", "auth", "replay", "not_for_us")
	s.unharmed("a flood")
	for i, a := range s.agents {
		if now := s.memory(a); now > memory[i]+floodMemory {
			s.t.Errorf("after a flood %s has %d bytes of memory, and had %d", a.name(), now, memory[i])
		}
	}
}

// socket is bad input on the socket of one agent, in which it goes on serving.
func (s *siege) socket() {
	a := s.agents[0]
	path := filepath.Join(a.dir, "s")
	memory := s.memory(a)
	for _, c := range []struct{ name, text, want string }{
		{"noise", "\x16\x03\x01\x00\xff\r\n\r\n", "400"},
		{"a bad path", "GET /v1/kv/%zz HTTP/1.1\r\nHost: x\r\n\r\n", "400"},
		{"half a body", "PUT /v1/kv/half HTTP/1.1\r\nHost: x\r\nContent-Length: 10\r\n\r\nabc", "400"},
		{"too large a body", "PUT /v1/kv/large HTTP/1.1\r\nHost: x\r\nContent-Length: 99999999999\r\n\r\nabc", "413"},
		{"too large a body in chunks", "POST /v1/propose HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n" +
			strings.Repeat("1000\r\n"+strings.Repeat("x", 0x1000)+"\r\n", 17) + "0\r\n\r\n", "413"},
		{"too large headers", "GET /v1/status HTTP/1.1\r\nHost: x\r\nX: " + strings.Repeat("x", 1<<20) + "\r\n\r\n", "431"},
		{"no such call", "GET /v1/nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", "404"},
		{"a request, then noise", "GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" + strings.Repeat("noise \x00\xff", 1000), "400"},
		{"many requests at once, then noise", strings.Repeat("GET /v1/status HTTP/1.1\r\nHost: x\r\n\r\n", 200) + "\r\n\x00\r\n\r\n", "400"},
	} {
		got := ask(s.t, path, c.text)
		last := got[max(strings.LastIndex(got, "HTTP/1.1 "), 0):]
		if status := strings.Fields(last + " nothing nothing"); status[1] != c.want {
			s.t.Errorf("%s: the last answer is %.200q, want %s", c.name, last, c.want)
		}
	}
	// More than are served at a time, each with half a request: whoever comes
	// after them waits until the first are given up.
	var half []net.Conn
	for range 300 {
		conn, err := net.Dial("unix", path)
		if err != nil {
			s.t.Fatal(err)
		}
		defer conn.Close()
		_, _ = io.WriteString(conn, "GET /v1/st") // it may be refused already
		half = append(half, conn)
	}
	lab.Eventually(s.t, "the agent answers in spite of half-open connections", 60*time.Second, func() error {
		_, err := a.status()
		return err
	})
	for _, conn := range half {
		conn.Close()
	}
	s.unharmed("bad input on the socket")
	if now := s.memory(a); now > memory+floodMemory {
		s.t.Errorf("after bad input on the socket %s has %d bytes of memory, and had %d", a.name(), now, memory)
	}
	if _, err := a.cli("", "get", "half"); err == nil {
		s.t.Error("half a value was stored")
	}
}

// ask writes text to a socket, closes that side, and returns all that comes.
func ask(t *testing.T, path, text string) string {
	t.Helper()
	conn, err := net.Dial("unix", path)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(30 * time.Second)); err != nil {
		t.Fatal(err)
	}
	var writing sync.WaitGroup
	defer writing.Wait()
	writing.Go(func() {
		// The agent may have said no and closed before it got all.
		_, _ = io.WriteString(conn, text)
		_ = conn.(*net.UnixConn).CloseWrite()
	})
	got, err := io.ReadAll(conn)
	if err != nil && !errors.Is(err, syscall.ECONNRESET) {
		t.Errorf("after %.60q: %v", text, err)
	}
	return string(got)
}
