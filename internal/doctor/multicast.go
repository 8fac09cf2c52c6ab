package doctor

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/discovery"
)

const checkMulticast = "multicast"

// leastMTU is what every path must carry that IPv6 may use; edgeraft's datagrams
// fit into it.
const leastMTU = 1280

// contactFor is how long ago a member may have been heard to count as there. The
// agent makes sure of each every five minutes, and looks each minute.
const contactFor = 7 * 60_000 // ms

// judgeMulticast judges what was heard on each interface. With a status it knows who
// should have been.
func judgeMulticast(hearings []discovery.Hearing, st *api.Status) []Finding {
	var out []Finding
	used := 0
	for _, h := range hearings {
		if h.Unfit == "" {
			used++
			out = append(out, judgeHearing(h, st))
		}
	}
	if used == 0 {
		f := found(groupNetwork, checkMulticast, Error, "no interface can be used, so no device can be found: %s", unfit(hearings))
		return []Finding{f.do("connect one, correct udp.interfaces, or give peers = [\"HOST:7521\"]").typing("ip -br addr")}
	}
	if text := unfit(hearings); text != "" {
		out = append(out, found(groupNetwork, checkMulticast, OK, "not used: %s", text))
	}
	return out
}

func unfit(hearings []discovery.Hearing) string {
	var all []string
	for _, h := range hearings {
		if h.Unfit != "" {
			all = append(all, fmt.Sprintf("%s (%s)", h.Interface, h.Unfit))
		}
	}
	if len(all) == 0 && len(hearings) == 0 {
		return "there is none but loopback"
	}
	return strings.Join(all, ", ")
}

func judgeHearing(h discovery.Hearing, st *api.Status) Finding {
	name := h.Interface
	say := func(l Level, format string, args ...any) Finding {
		return found(groupNetwork, checkMulticast, l, name+": "+format, args...)
	}
	missing, heard := expected(h, st), whoWasHeard(h, st)
	announces := st != nil && (st.Node.State == "member" || st.Node.State == "waiting_for_cluster")
	const passing = "multicast does not pass. Wi-Fi: switch off client isolation and multicast filtering at the access point; " +
		"switch: switch off IGMP snooping, or give it a querier; or name the others in peers, which needs no multicast"
	switch {
	case h.Err != nil:
		return say(Warning, "nothing could be asked: %v", h.Err).typing("sudo ss -lnpu 'sport = :%d'", portMDNS)
	case !h.Echo && len(h.Peers) == 0 && !h.Self:
		return say(Warning, "this device does not hear even itself: a firewall on it keeps UDP port %d out", portMDNS).
			do("let it in").typing("sudo nft list ruleset")
	case len(missing) > 0 && len(h.Peers) == 0 && h.Hosts == 0:
		return say(Warning, "only this device itself is heard, though %s is in the same subnet: multicast does not pass, or a firewall there keeps UDP port %d out", strings.Join(missing, ", "), portMDNS).
			do("%s", passing)
	case len(missing) > 0:
		return say(Warning, "%s is not heard, though in the same subnet; %s: a firewall there keeps UDP port %d out, or multicast passes only in part", strings.Join(missing, ", "), heard, portMDNS).
			do("look at edgeraft doctor on that device")
	case announces && !h.Self:
		return say(Warning, "the agent of this device does not answer (%s): has the interface just come up, or does the agent use other interfaces?", heard).
			do("if it stays so, restart the agent").typing("sudo systemctl restart edgeraft")
	case onlyLinkLocal(h.Prefixes):
		return say(Note, "it has only link-local addresses: no DHCP server answered; %s", heard).do("devices still find each other, within this one network")
	case !hasIPv4(h.Prefixes):
		return say(Note, "it has no IPv4 address; %s", heard)
	case h.MTU > 0 && h.MTU < leastMTU:
		return say(Warning, "its MTU is %d, and datagrams of the agent need %d", h.MTU, leastMTU).typing("sudo ip link set %s mtu 1500", name)
	}
	return say(OK, "%s", heard)
}

// whoWasHeard says it in words.
func whoWasHeard(h discovery.Hearing, st *api.Status) string {
	var who []string
	for _, p := range h.Peers {
		who = append(who, nameOf(string(p.ID), st))
	}
	if h.Self {
		who = append(who, "this device itself")
	}
	text := "nobody of this cluster answered"
	if len(who) > 0 {
		text = strings.Join(who, ", ") + " answered"
	}
	if h.Foreign > 0 {
		text += fmt.Sprintf(", %d devices of other clusters, too", h.Foreign)
	}
	if h.Hosts > 0 && len(h.Peers) == 0 {
		text += "; others speak mDNS here, so multicast passes"
	}
	return text
}

func nameOf(id string, st *api.Status) string {
	if st != nil {
		for _, m := range st.Members {
			if m.ID == id && m.Name != "" {
				return m.Name
			}
		}
	}
	return id[:min(8, len(id))]
}

// expected are the members that are there, on the interface's own subnet, and yet
// were not heard by multicast.
func expected(h discovery.Hearing, st *api.Status) []string {
	var out []string
	if st == nil {
		return nil
	}
	for _, m := range st.Members {
		addr, ok := udpAddr(m)
		if m.Self || !ok || m.LastContactMS == nil || *m.LastContactMS > contactFor {
			continue
		}
		near := slices.ContainsFunc(h.Prefixes, func(p netip.Prefix) bool { return p.Contains(addr.Addr().WithZone("")) })
		if zone := addr.Addr().Zone(); zone != "" {
			near = zone == h.Interface
		}
		heard := slices.ContainsFunc(h.Peers, func(p discovery.Peer) bool { return string(p.ID) == m.ID })
		if near && !heard {
			out = append(out, fmt.Sprintf("%s (%s)", nameOf(m.ID, st), addr.Addr()))
		}
	}
	return out
}

// udpAddr is the address of a member by UDP, where that is known.
func udpAddr(m api.Member) (netip.AddrPort, bool) {
	addr, err := netip.ParseAddrPort(m.Address)
	return addr, err == nil && addr.IsValid()
}

func onlyLinkLocal(prefixes []netip.Prefix) bool {
	return len(prefixes) > 0 && !slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return !p.Addr().IsLinkLocalUnicast() })
}

func hasIPv4(prefixes []netip.Prefix) bool {
	return slices.ContainsFunc(prefixes, func(p netip.Prefix) bool { return p.Addr().Is4() })
}
