package doctor

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os/exec"
	"strconv"
	"strings"

	"github.com/edgeraft/edgeraft/discovery"
)

// answer is whether a rule fits a packet, as far as was understood.
type answer int

const (
	no answer = iota
	maybe
	yes
)

// and is the answer to both.
func (a answer) and(b answer) answer { return min(a, b) }

// verdict is what a rule does with a packet that fits.
type verdict int

const (
	nothing verdict = iota
	accept
	drop // or reject
	jump
	gone // goto
	back // return
)

// rule is one rule, as it concerns the packet in question.
type rule struct {
	fits    answer
	verdict verdict
	chain   string // of jump and gone
	text    string // for people; may be empty
}

// chain is a chain of rules. One that the kernel itself goes through has a hook.
type chain struct {
	name  string // for people
	only  string // the version of IP that it sees, "ip" or "ip6"; "" for both
	hook  bool   // it sees what comes in
	drops bool   // its policy
	rules []rule
	// insert begins the command that puts a rule before all others, %d being the port.
	insert string
}

// fate is what becomes of the packet, and where.
type fate struct {
	verdict verdict
	sure    bool
	where   string
	insert  string // as in chain
}

// maxDepth bounds jumps, as the kernel does.
const maxDepth = 16

// walk follows the packet through a chain. A rule that may let it through makes
// all after it unsure.
func walk(chains map[string]*chain, c *chain, depth int) fate {
	sure := true
	for _, r := range c.rules {
		if r.fits == no || r.verdict == nothing {
			continue
		}
		at := c.name
		if r.text != "" {
			at += ": " + r.text
		}
		var f fate
		switch r.verdict {
		case jump, gone:
			next := chains[r.chain]
			if next == nil || depth == maxDepth {
				sure = false
				continue
			}
			f = walk(chains, next, depth+1)
			if f.verdict == nothing {
				sure = sure && f.sure
				if r.verdict == gone && r.fits == yes {
					return fate{nothing, sure, "", ""}
				}
				continue
			}
		default:
			f = fate{r.verdict, true, at, ""}
		}
		if r.verdict == back {
			if r.fits == yes {
				return fate{nothing, sure, "", ""}
			}
			sure = false
			continue
		}
		if r.fits == yes {
			return fate{f.verdict, sure && f.sure, f.where, ""}
		}
		// It may be taken here, or not.
		sure = false
	}
	return fate{nothing, sure, "", ""}
}

// fateOf is the worst that the chains with a hook do to the packet of a version of IP,
// "ip" or "ip6". Each of them must let it through.
func fateOf(chains map[string]*chain, version string) fate {
	worst := fate{accept, true, "", ""}
	for _, c := range chains {
		if !c.hook || c.only != "" && c.only != version {
			continue
		}
		f := walk(chains, c, 0)
		if f.verdict == nothing {
			f = fate{accept, f.sure, "", ""}
			if c.drops {
				f = fate{drop, f.sure, c.name + ": its policy is drop, and no rule accepts it", ""}
			}
		}
		f.insert = c.insert
		if f.verdict == drop && (worst.verdict != drop || f.sure && !worst.sure) || f.verdict != drop && worst.verdict != drop && !f.sure {
			worst = f
		}
	}
	return worst
}

// packet is what must get in: UDP to a port, from another device on the network, the
// first of its kind.
type packet struct {
	port int
	what string
	// device is the interface it comes in by, "" where there are several.
	device string
}

// mdnsGroup is where mDNS is sent to, by IPv4.
const mdnsGroup = "224.0.0.251"

// multicast reports whether it is sent to all on the network.
func (p packet) multicast() bool { return p.port == portMDNS }

// ruleset is what the firewall's own commands print.
type ruleset struct {
	nft      string            // nft -j list ruleset
	iptables map[string]string // what iptables-save and its like print, by their names
	// looked says that something could be read; denied that it needs root.
	looked, denied bool
	// front is what the rules are kept by: "ufw", "firewalld" or "".
	front string
}

func (h host) firewall(ctx context.Context, s Subject) []Finding {
	if s.UDP == "" {
		return nil
	}
	var ps []packet
	device := ""
	if usable := discovery.Usable(s.Interfaces); len(usable) == 1 {
		device = usable[0]
	}
	if _, text, err := net.SplitHostPort(s.UDP); err == nil {
		if n, err := strconv.Atoi(text); err == nil && n > 0 {
			ps = append(ps, packet{n, "the agent's UDP port", device})
		}
	}
	if s.Multicast {
		ps = append(ps, packet{portMDNS, "mDNS, by which devices are found", device})
	}
	return judgeFirewall(h.readRules(ctx), ps)
}

func (h host) readRules(ctx context.Context) ruleset {
	r := ruleset{front: h.front(), iptables: map[string]string{}}
	if h.uid != 0 {
		r.denied = true
		return r
	}
	if text, err := h.run(ctx, "nft", "-j", "list", "ruleset"); err == nil {
		r.nft, r.looked = text, true
	} else if !errors.Is(err, exec.ErrNotFound) {
		r.denied = true
	}
	for _, name := range []string{"iptables-save", "ip6tables-save", "iptables-legacy-save", "ip6tables-legacy-save"} {
		if text, err := h.run(ctx, name); err == nil {
			r.iptables[name], r.looked = text, true
		}
	}
	return r
}

// front tells what keeps the rules, so that the remedy fits.
func (h host) front() string {
	if text, _ := h.read("etc/ufw/ufw.conf"); strings.Contains("\n"+text, "\nENABLED=yes") {
		return "ufw"
	}
	if h.exists("run/firewalld.pid") || h.exists("run/firewalld") {
		return "firewalld"
	}
	return ""
}

// judgeFirewall judges what the rules do with each packet. It claims only what
// follows from rules that it understands.
func judgeFirewall(r ruleset, packets []packet) []Finding {
	const check = "firewall"
	say := func(l Level, format string, args ...any) Finding {
		return found(groupNetwork, check, l, format, args...)
	}
	with := ""
	if r.front != "" {
		with = " (" + r.front + " is active)"
	}
	switch {
	case !r.looked && r.denied:
		return []Finding{say(Note, "its rules%s could not be looked at, which needs root, and in a container the right to (CAP_NET_ADMIN)", with).typing("sudo edgeraft doctor")}
	case !r.looked && with != "":
		return []Finding{say(Note, "%s is active, but neither nft nor iptables-save is installed to look at its rules", r.front).whole(opening(r.front, "", packets...))}
	case !r.looked:
		return []Finding{say(OK, "neither nft nor iptables is installed, so there are hardly any rules")}
	}
	var out []Finding
	var well []string
	for _, p := range packets {
		chains, err := nftChains(r.nft, p, len(r.iptables) > 0)
		if err != nil {
			return []Finding{say(Note, "what nft prints is not understood: %v", err).typing("sudo nft list ruleset")}
		}
		for name, text := range r.iptables {
			iptablesChains(chains, name, text, p)
		}
		f, six := fateOf(chains, "ip"), fateOf(chains, "ip6")
		switch {
		case f.verdict == drop && f.sure:
			out = append(out, say(Warning, "its rules%s seem to keep out UDP port %d, %s (%s)", with, p.port, p.what, f.where).
				do("let it in:").whole(opening(r.front, f.insert, p)))
		case f.verdict == drop || !f.sure:
			out = append(out, say(Note, "whether its rules%s let in UDP port %d, %s, could not be told", with, p.port, p.what).typing("sudo nft list ruleset"))
		case six.verdict == drop && six.sure:
			out = append(out, say(Note, "its rules%s seem to keep out UDP port %d, %s, but only by IPv6 (%s)", with, p.port, p.what, six.where).
				typing("%s", opening(r.front, six.insert, p)))
		default:
			well = append(well, strconv.Itoa(p.port))
		}
	}
	switch {
	case len(well) > 0 && r.denied: // of some rules nothing is known
		out = append(out, say(Note, "whether its rules%s let in UDP port %s could not be told, as nft may not read them", with, strings.Join(well, " or ")).typing("sudo nft list ruleset"))
	case len(well) > 0:
		out = append(out, say(OK, "nothing in its rules%s keeps out UDP port %s", with, strings.Join(well, " or ")))
	}
	return out
}

// opening is the command that lets packets in: that of what keeps the rules, or else of
// the chain that drops them.
func opening(front, insert string, packets ...packet) string {
	var all []string
	for _, p := range packets {
		switch front {
		case "ufw":
			all = append(all, fmt.Sprintf("sudo ufw allow %d/udp", p.port))
		case "firewalld":
			all = append(all, fmt.Sprintf("sudo firewall-cmd --permanent --add-port=%d/udp && sudo firewall-cmd --reload", p.port))
		default:
			all = append(all, fmt.Sprintf(insert, p.port))
		}
	}
	return strings.Join(all, " && ")
}
