package agent

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/paths"
	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/server"
)

// unreadableWarnings tell of neighbours that this device cannot understand, or
// would not look for: most likely one of the two has a wrong key or name.
func (d *device) unreadableWarnings(st server.Status) []api.Warning {
	from, reason := d.comms.stranger()
	d.mu.Lock()
	others := d.found.Others
	if d.found.Peers > 0 || len(st.Config.Members) > 0 {
		others = nil // it has found its own
	}
	d.mu.Unlock()
	switch name := d.cfg.Cluster; {
	case errors.Is(reason, seal.ErrAuth):
		return []api.Warning{{Code: "other_name", Next: otherNameNext, Message: fmt.Sprintf(
			"Packets under this device's key, but not of the cluster %q, or damaged ones, arrive from %s.", name, from)}}
	case reason != nil:
		return []api.Warning{{Code: "stranger", Next: "edgeraft why   (on that device)", Message: fmt.Sprintf(
			"Packets that cannot be read arrive from %s (%v): a device with another key?", from, reason)}}
	case len(others) > 0:
		return []api.Warning{{Code: "other_name", Next: otherNameNext, Message: fmt.Sprintf(
			"There are devices of other clusters here, but none of %q: mDNS hears those of %s.", name, strings.Join(others, ", "))}}
	}
	return nil
}

const otherNameNext = "sudo nano /etc/edgeraft/edgeraft.toml   (cluster = \"NAME\", as on the others; then: sudo systemctl restart edgeraft)"

// unansweredFor is how long no way to the leader may answer, though it is heard,
// before that is worth a warning: a loss or two is not.
const unansweredFor = 10 * time.Second

// oneWayWarnings tell of a leader that is heard and does not hear this device: what
// it sends does not arrive. Else all would seem well here, since heartbeats come.
func (d *device) oneWayWarnings(st server.Status) []api.Warning {
	leader, member := st.Config.Member(st.Leader)
	if !member || leader.ID == d.self {
		return nil
	}
	d.comms.Ask(leader.ID)
	return oneWay(leader, d.comms.Links(leader.ID), d.comms.contacts()[leader.ID].address, time.Now(), d.silenceLimit())
}

func oneWay(leader raft.Member, links []paths.Link, address string, now time.Time, silence time.Duration) []api.Warning {
	var heard, since time.Time
	for _, l := range links {
		if !l.Broken {
			return nil
		}
		if l.Heard.After(heard) {
			heard = l.Heard
		}
		if l.Since.After(since) {
			since = l.Since
		}
	}
	if len(links) == 0 || now.Sub(heard) >= silence || now.Sub(since) < unansweredFor {
		return nil
	}
	next := "sudo edgeraft doctor"
	if a, err := netip.ParseAddrPort(address); err == nil {
		next = fmt.Sprintf("ping -c 3 %s   (if that is answered, a firewall here or there: sudo nft list ruleset)", a.Addr())
	}
	return []api.Warning{{Code: "one_way", Next: next, Message: fmt.Sprintf(
		"The leader %s (%s) is heard, but has answered nothing for %v: what this device sends does not arrive, so it can change nothing and confirms nothing.",
		leader.Name, show.ShortID(string(leader.ID)), now.Sub(since).Round(time.Second))}}
}
