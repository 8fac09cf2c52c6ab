package discovery

import (
	"fmt"
	"net"
	"time"

	"github.com/grandcat/zeroconf"

	"github.com/edgeraft/edgeraft/raft"
)

// retractTimeout bounds the goodbye. It is a few packets; one that cannot be
// sent must not hold up the end of the agent.
const retractTimeout = 2 * time.Second

// announcement is this device as the network sees it, on all links.
type announcement struct{ server *zeroconf.Server }

// announce answers queries on links, and tells of the device at once.
//
// No addresses are given to the server on purpose: then each answer carries
// those that the interface of the query has at that moment. A device with two
// networks does not announce on one the address it has on the other.
func announce(self raft.NodeID, label string, port int, links []link) (*announcement, error) {
	name := instanceName(self)
	server, err := zeroconf.RegisterProxy(name, service, domain, port, name, nil,
		textRecord(self, label), netInterfaces(links))
	if err != nil {
		return nil, fmt.Errorf("announcing this device by mDNS on %v: %w", linkNames(links), err)
	}
	return &announcement{server: server}, nil
}

// retract says goodbye and closes the sockets; false if that takes too long
// and goes on by itself.
func (a *announcement) retract() bool {
	done := make(chan struct{})
	go func() {
		a.server.Shutdown()
		close(done)
	}()
	timer := time.NewTimer(retractTimeout)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
		return false
	}
}

func netInterfaces(links []link) []net.Interface {
	var all []net.Interface
	for _, l := range links {
		all = append(all, l.netInterface())
	}
	return all
}
