package discovery

import (
	"net"
	"net/netip"
	"slices"
	"strings"
)

// maxInterfaces bounds how many interfaces are used at once; those after it,
// in the kernel's order, are left out. Each costs packets in every round.
const maxInterfaces = 8

// link is one interface that discovery uses, as it was when it was read. Two
// reads that compare unequal mean that sockets and announcement are stale:
// multicast membership dies with an interface that is made anew under its old
// name, and an announced address that has gone misleads the others.
type link struct {
	index    int
	name     string
	flags    net.Flags
	prefixes []netip.Prefix
}

func (l link) equal(o link) bool {
	return l.index == o.index && l.name == o.name && l.flags == o.flags &&
		slices.Equal(l.prefixes, o.prefixes)
}

// netInterface is what the package zeroconf wants of a link.
func (l link) netInterface() net.Interface {
	return net.Interface{Index: l.index, Name: l.name, Flags: l.flags}
}

// Usable names the interfaces that Run would use now for that configuration:
// up, with multicast and an address. None means that no device can be found by
// multicast until that changes, and the configured peers are all there is.
func Usable(interfaces []string) []string {
	links, err := readLinks(interfaces)
	if err != nil {
		return nil
	}
	return linkNames(links)
}

func linkNames(links []link) []string {
	var names []string
	for _, l := range links {
		names = append(names, l.name)
	}
	return names
}

// readLinks asks the kernel for the interfaces to use, in the kernel's order.
func readLinks(wanted []string) ([]link, error) {
	all, err := net.Interfaces()
	if err != nil {
		return nil, err
	}
	var links []link
	for _, i := range all {
		if len(links) == maxInterfaces {
			break
		}
		if !suitable(i.Name, i.Flags, wanted) {
			continue
		}
		// An interface may vanish between the two calls: then it is not there.
		addrs, err := i.Addrs()
		if err != nil {
			continue
		}
		l := link{index: i.Index, name: i.Name, flags: i.Flags, prefixes: prefixesOf(addrs)}
		if len(l.prefixes) > 0 {
			links = append(links, l)
		}
	}
	return links, nil
}

// suitable decides by name and flags. A configured list replaces the guess
// from the name; without multicast an interface is of no use either way.
func suitable(name string, flags net.Flags, wanted []string) bool {
	if flags&net.FlagUp == 0 || flags&net.FlagMulticast == 0 {
		return false
	}
	if len(wanted) > 0 {
		return slices.Contains(wanted, name)
	}
	return flags&(net.FlagLoopback|net.FlagPointToPoint) == 0 && !virtual(name)
}

// virtualPrefixes begin the names of interfaces behind which there are
// containers, virtual machines or tunnels, not the devices of one building.
var virtualPrefixes = []string{
	"docker", "veth", "virbr", "cni", "flannel", "podman", "lxcbr", "lxdbr", "tun", "tap", "wg",
}

func virtual(name string) bool {
	for _, p := range virtualPrefixes {
		if strings.HasPrefix(name, p) {
			return true
		}
	}
	// Docker names the bridge of a network "br-" and 12 hex digits. Not all of
	// "br-": the LAN of an OpenWrt router is "br-lan".
	hex, ok := strings.CutPrefix(name, "br-")
	return ok && len(hex) == 12 && strings.Trim(hex, "0123456789abcdef") == ""
}

// prefixesOf keeps the addresses under which this device may be reached, with
// the length of their subnet, sorted so that two reads compare.
func prefixesOf(addrs []net.Addr) []netip.Prefix {
	var prefixes []netip.Prefix
	for _, a := range addrs {
		n, ok := a.(*net.IPNet)
		if !ok {
			continue
		}
		ip, ok := netip.AddrFromSlice(n.IP)
		if !ok || ip.Unmap().IsLoopback() {
			continue
		}
		ip = ip.Unmap()
		ones, bits := n.Mask.Size()
		if bits != ip.BitLen() { // no contiguous mask of this family
			continue
		}
		prefixes = append(prefixes, netip.PrefixFrom(ip, ones))
	}
	slices.SortFunc(prefixes, netip.Prefix.Compare)
	return prefixes
}
