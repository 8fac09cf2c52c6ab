package doctor

import (
	"context"
	"fmt"
	"net/netip"
	"sync"
	"time"

	"github.com/edgeraft/edgeraft/udpcomms"
)

// justStarted is how long, in ms, an agent needs until it must have heard of everybody:
// followers speak with the leader, and ask the others a little later.
const justStarted = 60_000

// maxTargets bounds the other devices that are asked.
const maxTargets = 32

// target is another device that should be reached by UDP.
type target struct {
	name string
	addr netip.AddrPort
	// What the running agent says of it; running is false where none does.
	running   bool
	fresh     bool // the agent has just started
	heard     bool
	otherwise bool // another transport reaches it
	ago       time.Duration
	broken    bool
	roundTrip time.Duration
}

// targetsOf are the members that the agent knows, or the devices it kept the
// addresses of.
func (h host) targetsOf(s Subject) []target {
	var out []target
	if s.Status == nil {
		text, _ := h.read(s.Addresses)
		known, _ := udpcomms.ParseBook([]byte(text)) // one that is not there or damaged is a hint lost
		for _, e := range known {
			if len(e.Addrs) > 0 {
				out = append(out, target{name: nameOf(string(e.ID), nil), addr: e.Addrs[0]})
			}
		}
		return out[:min(len(out), maxTargets)]
	}
	for _, m := range s.Status.Members {
		if m.Self {
			continue
		}
		x := target{name: nameOf(m.ID, s.Status), running: true, fresh: s.Status.UptimeMS < justStarted}
		x.addr, _ = udpAddr(m)
		if m.LastContactMS != nil && m.Transport == "udp" {
			x.heard, x.ago, x.roundTrip = true, time.Duration(*m.LastContactMS)*time.Millisecond, time.Duration(m.RoundTripUS)*time.Microsecond
		}
		for _, p := range m.Paths {
			if p.Transport != "udp" {
				x.otherwise = x.otherwise || !p.Broken && p.LastContactMS != nil && *p.LastContactMS < contactFor
				continue
			}
			x.broken, x.heard = p.Broken, p.LastContactMS != nil
			if x.heard {
				x.ago, x.roundTrip = time.Duration(*p.LastContactMS)*time.Millisecond, time.Duration(p.RoundTripUS)*time.Microsecond
			}
		}
		out = append(out, x)
	}
	return out[:min(len(out), maxTargets)]
}

// reach tries the way to the other devices. The agent's own port and keys are the
// agent's, so what it says counts; beside that each device is sent a short ping, and
// one as long as the agent's longest datagrams.
func (h host) reach(ctx context.Context, s Subject) []Finding {
	if s.UDP == "" {
		return nil
	}
	targets := h.targetsOf(s)
	out := make([]Finding, len(targets))
	var wg sync.WaitGroup
	for i, x := range targets {
		wg.Go(func() {
			var p pings
			if x.addr.IsValid() {
				p = pingBoth(ctx, x.addr.Addr())
			}
			out[i] = judgeReach(x, p)
		})
	}
	wg.Wait()
	return out
}

// pings is what came of two pings.
type pings struct {
	short, long bool
	took        time.Duration // of the short one
	// err is why none could be sent; then nothing was found out.
	err error
}

func judgeReach(x target, p pings) Finding {
	const check = "way"
	say := func(l Level, format string, args ...any) Finding {
		return found(groupNetwork, check, l, format, args...)
	}
	who := x.name
	if x.addr.IsValid() {
		who = fmt.Sprintf("%s (%s)", x.name, x.addr)
	}
	ping := fmt.Sprintf("ping -c 3 %s", x.addr.Addr())
	answers := "it answers no ping either: is it off, or elsewhere?"
	switch {
	case !x.addr.IsValid():
		answers = "its address is not known"
	case p.err != nil:
		answers = "this user may not ping: sudo tells more"
	case p.short:
		answers = "it answers pings, so it is the agent there, or a firewall in between, that keeps UDP out"
	}
	switch {
	case p.short && !p.long:
		return say(Warning, "%s answers a short ping, but none of %d bytes: packets of that length do not pass, and edgeraft sends them", who, udpcomms.MaxDatagram).
			do("look for an interface or a tunnel on the way with an MTU below %d", leastMTU).typing("ping -c 3 -M do -s %d %s", udpcomms.MaxDatagram, x.addr.Addr())
	case x.running && x.otherwise && (!x.heard || x.broken || x.ago > contactFor*time.Millisecond):
		return say(Note, "%s is not reached by UDP, but through the broker; %s", who, answers)
	case x.running && !x.heard && x.fresh:
		return say(Note, "%s was not heard yet by UDP; the agent has just started", who)
	case x.running && !x.heard && !x.addr.IsValid():
		return say(Warning, "%s was not heard by UDP since this agent started, and %s", who, answers).typing("edgeraft why")
	case x.running && !x.heard:
		return say(Warning, "%s was not heard by UDP since this agent started; %s", who, answers).whole(ping)
	case x.running && (x.broken || x.ago > contactFor*time.Millisecond):
		return say(Warning, "%s was last heard by UDP %v ago; %s", who, x.ago.Round(time.Second), answers).whole(ping)
	case x.running && p.long:
		return say(OK, "%s was heard by UDP %v ago%s; pings of %d bytes pass", who, x.ago.Round(time.Second), trip(x.roundTrip), udpcomms.MaxDatagram)
	case x.running:
		return say(OK, "%s was heard by UDP %v ago%s", who, x.ago.Round(time.Second), trip(x.roundTrip))
	case p.err != nil:
		return say(Note, "%s, known from before: this user may not ping, and only a running agent can try more", who).typing("sudo edgeraft doctor")
	case !p.short:
		return say(Note, "%s, where it was before, answers no ping (only a running agent can try more)", who).whole(ping)
	}
	return say(OK, "%s, where it was before, answers pings, also of %d bytes (only a running agent can try more)", who, udpcomms.MaxDatagram)
}

func trip(d time.Duration) string {
	if d <= 0 {
		return ""
	}
	return fmt.Sprintf(" (round trip %v)", short(d))
}
