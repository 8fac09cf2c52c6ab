package lab

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"sync"
	"testing"
)

// Network is some devices on one bridge. Its methods are for one goroutine,
// that of the test, and fail the test when they cannot do what they say.
type Network struct {
	t       testing.TB
	prefix  string // of the names of its namespaces
	devices int
	bridges int // besides br0, made by Partition
}

var (
	networksMu sync.Mutex
	networks   int // made by this process
)

// New makes a network of n devices (1 to 200), and removes it when t ends.
func New(t testing.TB, n int) *Network {
	t.Helper()
	NeedNetwork(t)
	if n < 1 || n > 200 {
		t.Fatalf("a network of %d devices: want 1 to 200", n)
	}
	owner, err := ownerOf(os.Getpid())
	if err != nil {
		t.Fatal(err)
	}
	networksMu.Lock()
	defer networksMu.Unlock()
	removeAbandoned(t)
	networks++
	net := &Network{t: t, prefix: fmt.Sprintf("%s%s-%d-", namespacePrefix, owner, networks), devices: n}
	t.Cleanup(net.remove)
	net.build()
	return net
}

func (n *Network) build() {
	n.t.Helper()
	sw := n.bridgeSpace()
	ip(n.t, "netns add", sw)
	n.addBridge("br0")
	for i := range n.devices {
		i++
		ns := n.Namespace(i)
		ip(n.t, "netns add", ns)
		ip(n.t, "-n", ns, "link set lo up")
		ip(n.t, "-n", sw, "link add", port(i), "type veth peer name eth0 netns", ns)
		ip(n.t, "-n", sw, "link set", port(i), "master br0 up")
		ip(n.t, "-n", ns, fmt.Sprintf("addr add 10.77.0.%d/24 brd + dev eth0", i))
		ip(n.t, "-n", ns, fmt.Sprintf("addr add fd77::%x/64 dev eth0 nodad", i))
		ip(n.t, "-n", ns, "link set eth0 up")
	}
}

// addBridge makes a switch that forwards at once and floods multicast, as the
// cheap ones do.
func (n *Network) addBridge(name string) {
	n.t.Helper()
	ip(n.t, "-n", n.bridgeSpace(), "link add name", name, "type bridge mcast_snooping 0 forward_delay 0 stp_state 0")
	ip(n.t, "-n", n.bridgeSpace(), "link set", name, "up")
}

func (n *Network) remove() {
	for i := range n.devices {
		removeNamespace(n.t, n.Namespace(i+1))
	}
	removeNamespace(n.t, n.bridgeSpace())
}

// Devices is how many devices there are; they are numbered from 1.
func (n *Network) Devices() int { return n.devices }

// Namespace is the name of device i's network namespace.
func (n *Network) Namespace(i int) string { return fmt.Sprintf("%s%d", n.prefix, i) }

// Addr is the IPv4 address of device i.
func (n *Network) Addr(i int) string { return fmt.Sprintf("10.77.0.%d", i) }

func (n *Network) bridgeSpace() string { return n.prefix + "sw" }

func port(i int) string { return fmt.Sprintf("p%d", i) }

// ip runs the command ip; an argument may hold several words.
func ip(t testing.TB, args ...string) {
	t.Helper()
	run(t, append([]string{"ip"}, strings.Fields(strings.Join(args, " "))...), "")
}

func run(t testing.TB, argv []string, stdin string) {
	t.Helper()
	cmd := exec.Command(argv[0], argv[1:]...)
	cmd.Stdin = strings.NewReader(stdin)
	if out, err := cmd.CombinedOutput(); err != nil {
		t.Fatalf("%s: %v\n%s", strings.Join(argv, " "), err, out)
	}
}
