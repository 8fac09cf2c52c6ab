package lab

import (
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// The test's own binary is what runs on the devices, told by this variable.
const role = "EDGERAFT_TEST_LAB_ROLE"

func TestMain(m *testing.M) {
	switch os.Getenv(role) {
	case "":
		os.Exit(m.Run())
	case "echo":
		echo()
	case "ask":
		ask(os.Args[1:])
	}
}

// echo answers datagrams until it is killed.
func echo() {
	conn, err := net.ListenPacket("udp", ":7")
	if err != nil {
		panic(err)
	}
	fmt.Println("listening")
	buf := make([]byte, 64)
	for {
		n, from, err := conn.ReadFrom(buf)
		if err != nil {
			panic(err)
		}
		if _, err := conn.WriteTo(buf[:n], from); err != nil {
			panic(err)
		}
	}
}

const (
	questions = 100
	// quiet is how long no answer comes until none is expected any more.
	quiet = 500 * time.Millisecond
)

// ask sends datagrams to an address and prints how many were answered.
func ask(args []string) {
	conn, err := net.Dial("udp", args[0])
	if err != nil {
		panic(err)
	}
	answered := 0
	buf := make([]byte, 64)
	// The first alone: until the neighbour's address is known, few are queued.
	for _, batch := range []int{1, questions - 1} {
		for range batch {
			// Errors are those of unreachable neighbours: no answer.
			_, _ = conn.Write([]byte("?"))
		}
		for range batch {
			_ = conn.SetReadDeadline(time.Now().Add(quiet))
			if _, err := conn.Read(buf); errors.Is(err, os.ErrDeadlineExceeded) {
				break
			} else if err == nil {
				answered++
			}
		}
	}
	fmt.Println("answered", answered)
}

func (n *Network) answers(from int, addr string) int {
	n.t.Helper()
	p := n.Start(from, Command{Name: "ask", Args: []string{os.Args[0], addr}, Env: []string{role + "=ask"}})
	if err := p.Wait(30 * time.Second); err != nil {
		n.t.Fatal(err)
	}
	var answered int
	if _, err := fmt.Sscanf(p.Log(), "answered %d", &answered); err != nil {
		n.t.Fatalf("%v in %q", err, p.Log())
	}
	return answered
}

func startEcho(t *testing.T, n *Network, i int) *Process {
	t.Helper()
	p := n.Start(i, Command{Name: fmt.Sprintf("echo %d", i), Args: []string{os.Args[0]}, Env: []string{role + "=echo"}})
	Eventually(t, "the echo listens", 10*time.Second, func() error {
		if !strings.Contains(p.Log(), "listening") {
			return fmt.Errorf("it printed %q", p.Log())
		}
		return nil
	})
	return p
}

func TestFaults(t *testing.T) {
	n := New(t, 3)
	for i := range n.Devices() {
		startEcho(t, n, i+1)
	}
	expect := func(what string, from, to int, want bool) {
		t.Helper()
		got := n.answers(from, n.Addr(to)+":7")
		if want && got < questions*9/10 || !want && got != 0 {
			t.Errorf("%s: %d of %d questions of device %d answered by %d, want all: %v", what, got, questions, from, to, want)
		}
	}
	expect("at first", 1, 2, true)
	if got := n.answers(1, "[fd77::2]:7"); got < questions*9/10 {
		t.Errorf("IPv6: %d of %d questions answered", got, questions)
	}
	n.Isolate(1)
	expect("1 isolated", 1, 2, false)
	expect("1 isolated", 3, 1, false)
	expect("1 isolated", 2, 3, true)
	n.Partition([]int{1, 2}, []int{3})
	expect("1,2 and 3", 1, 2, true)
	expect("1,2 and 3", 2, 3, false)
	n.Heal()
	expect("healed", 1, 3, true)

	n.Loss(30)
	if got := n.answers(1, n.Addr(2)+":7"); got < questions/4 || got > questions*3/4 {
		t.Errorf("loss of 30 %% each way: %d of %d questions answered, want about half", got, questions)
	}
	n.Loss(100)
	expect("all is lost", 1, 2, false)
	n.Loss(0)
	expect("nothing is lost", 1, 2, true)
}

func TestProcess(t *testing.T) {
	n := New(t, 2)
	p := startEcho(t, n, 1)
	p.Pause()
	if got := n.answers(2, n.Addr(1)+":7"); got != 0 {
		t.Errorf("paused: %d questions answered", got)
	}
	p.Resume()
	if got := n.answers(2, n.Addr(1)+":7"); got < questions*9/10 {
		t.Errorf("resumed: %d of %d questions answered", got, questions)
	}
	p.Kill()
	if p.Running() {
		t.Error("killed, yet running")
	}
	startEcho(t, n, 1) // its port is free again
}

func TestTail(t *testing.T) {
	var w tail
	for i := range 3 * maxLog / 10 {
		fmt.Fprintf(&w, "line %4d\n", i%1000)
	}
	fmt.Fprint(&w, "the end")
	if s := w.String(); len(s) > maxLog+10 || !strings.HasSuffix(s, "the end") || !strings.HasPrefix(s, "[...]\n") {
		t.Errorf("%d bytes, from %.20q to %q", len(s), s, s[len(s)-20:])
	}
	if n, err := w.Write(make([]byte, 5*maxLog)); n != 5*maxLog || err != nil || len(w.String()) > maxLog+10 {
		t.Errorf("one write of too much: %d, %v, %d bytes kept", n, err, len(w.String()))
	}
}

func TestAbandonedNamespaces(t *testing.T) {
	NeedNetwork(t)
	owner, err := ownerOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	ended := exec.Command("true")
	if err := ended.Run(); err != nil {
		t.Fatal(err)
	}
	gone := fmt.Sprintf("%s%d.1-1-1", namespacePrefix, ended.Process.Pid)
	for name, want := range map[string]bool{
		gone: true,
		fmt.Sprintf("%s%d.1-1-1", namespacePrefix, os.Getpid()): true, // the ID was used again
		namespacePrefix + owner + "-1-1":                        false,
		namespacePrefix + "x-1-1":                               false,
		"edgeraft":                                              false,
		"1.1-1-1":                                               false,
	} {
		if got := abandoned(name); got != want {
			t.Errorf("abandoned(%s) = %v, want %v", name, got, want)
		}
	}
	ip(t, "netns add", gone)
	New(t, 1)
	if _, err := os.Stat("/run/netns/" + gone); err == nil {
		t.Errorf("%s is still there", gone)
	}
}
