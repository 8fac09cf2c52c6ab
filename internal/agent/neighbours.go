package agent

import (
	"errors"
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/seal"
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
