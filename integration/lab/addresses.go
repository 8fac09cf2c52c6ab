package lab

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
)

// Renumber takes all addresses but the link-local one from the first interface
// of device i and gives it these, such as "10.78.0.3/24", as a DHCP server does
// that has forgotten everything.
func (n *Network) Renumber(i int, cidrs ...string) {
	n.t.Helper()
	ns := n.Namespace(i)
	ip(n.t, "-n", ns, "addr flush dev eth0 scope global")
	for _, a := range cidrs {
		n.addAddr(i, "eth0", a)
	}
}

func (n *Network) addAddr(i int, dev, cidr string) {
	n.t.Helper()
	how := "brd +"
	if strings.Contains(cidr, ":") {
		how = "nodad"
	}
	ip(n.t, "-n", n.Namespace(i), "addr add", cidr, how, "dev", dev)
}

// Replug removes the first interface of device i and makes it anew, with these
// addresses: an adapter that was pulled out and put in again.
func (n *Network) Replug(i int, cidrs ...string) {
	n.t.Helper()
	ns, sw := n.Namespace(i), n.bridgeSpace()
	ip(n.t, "-n", ns, "link del eth0")
	ip(n.t, "-n", sw, "link add", port(i), "type veth peer name eth0 netns", ns)
	ip(n.t, "-n", sw, "link set", port(i), "master br0 up")
	for _, a := range cidrs {
		n.addAddr(i, "eth0", a)
	}
	ip(n.t, "-n", ns, "link set eth0 up")
}

// NoIPv6 takes IPv6 from all devices.
func (n *Network) NoIPv6() {
	n.t.Helper()
	for i := range n.devices {
		run(n.t, []string{"ip", "netns", "exec", n.Namespace(i + 1), "sh", "-c", "echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6"}, "")
	}
}

// Link sets an interface of device i up or down.
func (n *Network) Link(i int, dev string, up bool) {
	n.t.Helper()
	state := "down"
	if up {
		state = "up"
	}
	ip(n.t, "-n", n.Namespace(i), "link set", dev, state)
}

// Second gives every device a second interface, eth1, on a network of its own
// with the addresses 10.79.0.i.
func (n *Network) Second() {
	n.t.Helper()
	sw := n.bridgeSpace()
	n.addBridge("second")
	for i := range n.devices {
		i++
		ip(n.t, "-n", sw, "link add", fmt.Sprintf("q%d", i), "type veth peer name eth1 netns", n.Namespace(i))
		ip(n.t, "-n", sw, "link set", fmt.Sprintf("q%d", i), "master second up")
		n.addAddr(i, "eth1", fmt.Sprintf("10.79.0.%d/24", i))
		n.Link(i, "eth1", true)
	}
}

// Narrow has the switch drop what is longer than 1000 bytes on its way to or from
// device i, without a word, as a tunnel that was set up wrongly.
func (n *Network) Narrow(i int) {
	n.t.Helper()
	ip(n.t, "-n", n.bridgeSpace(), "link set dev", port(i), "mtu 1000")
}

// Multicast lets multicast pass, or not: as many wireless networks do not, all
// but what IPv6 needs to find a neighbour.
func (n *Network) Multicast(passes bool) {
	n.t.Helper()
	NeedCommand(n.t, "nft", "nftables")
	script := "add table bridge multicast\ndelete table bridge multicast\n"
	if !passes {
		script += "add table bridge multicast\n" +
			"add chain bridge multicast mdns { type filter hook forward priority 0; policy accept; }\n" +
			"add rule bridge multicast mdns udp dport 5353 counter drop\n"
	}
	run(n.t, []string{"ip", "netns", "exec", n.bridgeSpace(), "nft", "-f", "-"}, script)
}

// Hosts gives all devices a file of host names, lines of address and name. The
// first call must come before a process is started that is to see it.
func (n *Network) Hosts(lines ...string) {
	n.t.Helper()
	text := "127.0.0.1 localhost\n" + strings.Join(lines, "\n") + "\n"
	for i := range n.devices {
		// The command ip puts what is there over /etc (ip-netns(8)).
		dir := filepath.Join("/etc/netns", n.Namespace(i+1))
		if err := os.MkdirAll(dir, 0o755); err != nil {
			n.t.Fatal(err)
		}
		n.t.Cleanup(func() { os.RemoveAll(dir) })
		// Written in place: another file would not be seen any more.
		if err := os.WriteFile(filepath.Join(dir, "hosts"), []byte(text), 0o644); err != nil {
			n.t.Fatal(err)
		}
	}
}

// StartOnSwitch runs a command where all frames of the network pass, on br0.
func (n *Network) StartOnSwitch(c Command) *Process {
	n.t.Helper()
	c.Args = append([]string{"ip", "netns", "exec", n.bridgeSpace()}, c.Args...)
	return Start(n.t, c)
}
