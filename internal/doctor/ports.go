package doctor

import (
	"encoding/hex"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"
)

const (
	portMDNS = 5353
	// maxSockets bounds the sockets of the kernel's tables that are looked at.
	maxSockets = 4096
	tcpListen  = "0A" // state TCP_LISTEN
)

// holder is a socket that has a port, and the process that has it, as far as that
// could be seen.
type holder struct {
	addr    netip.AddrPort
	uid     int
	inode   string
	pid     int    // 0: not known
	program string // "" with it
}

func (h holder) String() string {
	if h.pid == 0 {
		return fmt.Sprintf("a process of the user %d (sudo tells which)", h.uid)
	}
	return fmt.Sprintf("%s (process %d)", h.program, h.pid)
}

// holdersOf lists who has ports, of "udp" or, listening, "tcp".
func (h host) holdersOf(protocol string) []holder {
	var out []holder
	for _, suffix := range []string{"", "6"} {
		text, _ := h.read("proc/self/net/" + protocol + suffix) // absent without IPv6
		out = append(out, parseSockets(text, protocol == "tcp")...)
	}
	return out
}

// parseSockets reads /proc/net/udp and its like (proc_net(5)).
func parseSockets(text string, listening bool) []holder {
	var out []holder
	for line := range strings.Lines(text) {
		f := strings.Fields(line)
		if len(f) < 10 || len(out) == maxSockets || listening && f[3] != tcpListen {
			continue
		}
		addr, ok := parseSocketAddr(f[1])
		uid, err := strconv.Atoi(f[7])
		if ok && err == nil {
			out = append(out, holder{addr: addr, uid: uid, inode: f[9]})
		}
	}
	return out
}

// parseSocketAddr reads an address in hexadecimal: words of 32 bits as the machine
// has them, which is little-endian wherever edgeraft runs.
func parseSocketAddr(text string) (netip.AddrPort, bool) {
	ip, port, _ := strings.Cut(text, ":")
	b, err := hex.DecodeString(ip)
	n, err2 := strconv.ParseUint(port, 16, 16)
	if err != nil || err2 != nil || len(b)%4 != 0 {
		return netip.AddrPort{}, false
	}
	for i := 0; i < len(b); i += 4 {
		slices.Reverse(b[i : i+4])
	}
	a, ok := netip.AddrFromSlice(b)
	return netip.AddrPortFrom(a.Unmap(), uint16(n)), ok
}

// name finds the processes of sockets.
func (h host) name(holders []holder) {
	byInode := map[string]*holder{}
	for i := range holders {
		byInode["socket:["+holders[i].inode+"]"] = &holders[i]
	}
	if len(byInode) == 0 {
		return
	}
	for _, entry := range h.list("proc") {
		pid, err := strconv.Atoi(entry)
		if err != nil {
			continue
		}
		for _, fd := range h.list("proc/" + entry + "/fd") {
			link, _ := os.Readlink(h.path("proc/" + entry + "/fd/" + fd)) // it may be closed by now
			x, ok := byInode[link]
			if !ok {
				continue
			}
			x.pid = pid
			x.program, _ = h.read("proc/" + entry + "/comm")
		}
	}
}

// conflicts keeps those that are in the way of listening at an address.
func conflicts(all []holder, listen string) []holder {
	host, text, err := net.SplitHostPort(listen)
	port, err2 := strconv.Atoi(text)
	if err != nil || err2 != nil || port == 0 {
		return nil
	}
	var out []holder
	want, _ := netip.ParseAddr(host) // localhost is like any address: nobody else should be there
	for _, h := range all {
		if int(h.addr.Port()) == port && (!want.IsValid() || want.IsUnspecified() || h.addr.Addr().IsUnspecified() || want == h.addr.Addr()) {
			out = append(out, h)
		}
	}
	return out
}

func (h host) ports(s Subject) []Finding {
	udp, tcp := h.holdersOf("udp"), h.holdersOf("tcp")
	var mdns []holder
	for _, x := range udp {
		if x.addr.Port() == portMDNS {
			mdns = append(mdns, x)
		}
	}
	var out []Finding
	if hasPort(s.UDP) {
		held := conflicts(udp, s.UDP)
		h.name(held)
		var err error
		if len(held) == 0 && !s.Listens {
			err = tryUDP(s.UDP)
		}
		out = append(out, judgePort(port{"UDP port", "udp.listen", "udp", s.UDP, true}, held, s, err))
	}
	if hasPort(s.Metrics) {
		held := conflicts(tcp, s.Metrics)
		h.name(held)
		var err error
		if len(held) == 0 && !s.Listens {
			err = tryTCP(s.Metrics)
		}
		out = append(out, judgePort(port{"metrics port", "metrics.listen", "tcp", s.Metrics, false}, held, s, err))
	}
	if s.UDP != "" && s.Multicast {
		h.name(mdns)
		out = append(out, judgeResponder(mdns)...)
	}
	return out
}

// hasPort reports whether an address has a port of which there is something to say: 0
// is any.
func hasPort(address string) bool {
	_, port, err := net.SplitHostPort(address)
	return err == nil && port != "0"
}

func tryUDP(address string) error {
	c, err := net.ListenPacket("udp", address)
	if err == nil {
		err = c.Close()
	}
	return err
}

func tryTCP(address string) error {
	c, err := net.Listen("tcp", address)
	if err == nil {
		err = c.Close()
	}
	return err
}

// port is one that an agent wants.
type port struct {
	check, setting, protocol, address string
	// needsKey says that it is opened only when there is a cluster key.
	needsKey bool
}

// judgePort judges who has a port, where err is what came of trying to listen.
func judgePort(p port, held []holder, s Subject, err error) Finding {
	say := func(l Level, format string, args ...any) Finding {
		return found(groupNetwork, p.check, l, format, args...)
	}
	where := fmt.Sprintf("%s %s", p.setting, p.address)
	other := "stop that program, or set " + p.setting + " to another port"
	if p.needsKey {
		other += ", the same on all devices"
	}
	_, number, _ := net.SplitHostPort(p.address)
	look := fmt.Sprintf("sudo ss -lnp%s 'sport = :%s'", p.protocol[:1], number)
	// In a container an agent has another number, but its name.
	mine := slices.ContainsFunc(held, func(h holder) bool {
		return s.Status != nil && (h.pid == s.Status.Node.PID || h.program == "edgeraft")
	})
	unknown := slices.ContainsFunc(held, func(h holder) bool { return h.pid == 0 })
	switch {
	case len(held) > 0 && mine:
		return say(OK, "%s is the agent's", where)
	case len(held) > 0 && unknown && s.Listens:
		return say(OK, "%s is in use, most likely by the agent", where)
	case len(held) > 0 && s.Listens && s.Status == nil:
		return say(Note, "%s is in use by %v; whether that is the agent is not known, as it does not answer", where, held[0])
	case len(held) > 0:
		return say(Error, "%s is taken by %v", where, held[0]).do("%s", other).whole(look)
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return say(Error, "%s is no address of this device", where).do("correct %s; without an address, as in \":7521\", all are used", p.setting).typing("ip -br addr")
	case errors.Is(err, unix.EACCES):
		return say(Note, "this user may not listen at %s, so it was not tried", where).typing("sudo edgeraft doctor")
	case err != nil:
		return say(Error, "nothing can listen at %s: %v", where, err).do("%s", other).whole(look)
	case s.Status != nil && p.needsKey && s.Status.Node.State == "waiting_for_key":
		return say(OK, "%s is free; the agent opens it when there is a key", where)
	case s.Status != nil:
		return say(Warning, "the agent runs, but not at %s: was the setting changed since it started?", where).typing("sudo systemctl restart edgeraft")
	case s.Listens:
		return say(Note, "nobody is at %s, and the agent does not answer", where)
	}
	return say(OK, "%s is free", where)
}

// judgeResponder tells who else answers mDNS on this device.
func judgeResponder(mdns []holder) []Finding {
	for _, h := range mdns {
		if h.program == "avahi-daemon" || h.program == "systemd-resolve" {
			return []Finding{found(groupNetwork, "mDNS port", OK, "%s runs, too; it and edgeraft share UDP port %d, which is fine", h.program, portMDNS)}
		}
	}
	return nil
}
