package lab

import (
	"fmt"
	"strings"
)

// Partition puts each group of devices on a switch of its own; devices that
// are named nowhere stay together on the first one. Between groups nothing
// passes, in either direction, while every device's link stays up. A partition
// that was there before is replaced.
func (n *Network) Partition(groups ...[]int) {
	n.t.Helper()
	bridges := make(map[int]string)
	for g, group := range groups {
		bridge := fmt.Sprintf("br%d", g+1)
		if g >= n.bridges {
			n.addBridge(bridge)
			n.bridges++
		}
		for _, i := range group {
			bridges[i] = bridge
		}
	}
	for i := range n.devices {
		bridge, grouped := bridges[i+1]
		if !grouped {
			bridge = "br0"
		}
		ip(n.t, "-n", n.bridgeSpace(), "link set", port(i+1), "master", bridge)
	}
}

// Isolate cuts devices off from all others, each alone.
func (n *Network) Isolate(devices ...int) {
	n.t.Helper()
	var groups [][]int
	for _, i := range devices {
		groups = append(groups, []int{i})
	}
	n.Partition(groups...)
}

// Heal ends every partition. Loss stays.
func (n *Network) Heal() { n.t.Helper(); n.Partition() }

// Loss makes the switches lose that part of all frames, 0 to 100 percent, at
// random and each frame by itself; 0 ends it.
func (n *Network) Loss(percent int) { n.t.Helper(); n.lose(percent, "") }

// LoseUDP is Loss for UDP only.
func (n *Network) LoseUDP(percent int) { n.t.Helper(); n.lose(percent, "meta l4proto udp ") }

// lose loses what matches.
func (n *Network) lose(percent int, match string) {
	n.t.Helper()
	NeedCommand(n.t, "nft", "nftables")
	if percent < 0 || percent > 100 {
		n.t.Fatalf("loss of %d %%: want 0 to 100", percent)
	}
	// The first two lines make the table if need be, so that the third works.
	script := []string{"add table bridge lab", "delete table bridge lab", "add table bridge lab"}
	chance := fmt.Sprintf("numgen random mod 100 < %d", percent)
	if percent == 100 {
		chance = "" // nft refuses what is always true
	}
	if percent > 0 {
		script = append(script,
			"add chain bridge lab loss { type filter hook forward priority 0; policy accept; }",
			"add rule bridge lab loss "+match+chance+" counter drop")
	}
	run(n.t, []string{"ip", "netns", "exec", n.bridgeSpace(), "nft", "-f", "-"}, strings.Join(script, "\n")+"\n")
}

// Mute loses all UDP that device i sends, as a firewall does, while it hears all others.
func (n *Network) Mute(i int, on bool) { n.t.Helper(); n.oneWay("mute", "iifname", i, on) }

// Deafen loses all UDP that is sent to device i, while all others hear it.
func (n *Network) Deafen(i int, on bool) { n.t.Helper(); n.oneWay("deaf", "oifname", i, on) }

func (n *Network) oneWay(table, side string, i int, on bool) {
	n.t.Helper()
	NeedCommand(n.t, "nft", "nftables")
	name := fmt.Sprintf("bridge %s%d", table, i)
	script := []string{"add table " + name, "delete table " + name}
	if on {
		script = append(script, "add table "+name,
			"add chain "+name+" way { type filter hook forward priority 0; policy accept; }",
			fmt.Sprintf("add rule %s way %s %s meta l4proto udp counter drop", name, side, port(i)))
	}
	run(n.t, []string{"ip", "netns", "exec", n.bridgeSpace(), "nft", "-f", "-"}, strings.Join(script, "\n")+"\n")
}

// ClientIsolation keeps devices from reaching each other, as access points do for
// their clients, while all others reach them and they those; or ends that.
func (n *Network) ClientIsolation(on bool, devices ...int) {
	n.t.Helper()
	NeedCommand(n.t, "bridge", "iproute2")
	state := "off"
	if on {
		state = "on"
	}
	for _, i := range devices {
		run(n.t, []string{"bridge", "-n", n.bridgeSpace(), "link", "set", "dev", port(i), "isolated", state}, "")
	}
}
