package mqttcomms

import (
	"testing"

	mochi "github.com/mochi-mqtt/server/v2"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/rafttest"
)

func TestContract(t *testing.T) {
	for name, limit := range map[string]int{"no limit": 0, "small packets": 2048} {
		t.Run(name, func(t *testing.T) {
			rafttest.CheckComms(t, func(t *testing.T, ids []raft.NodeID) []rafttest.Comms {
				b := newBroker(t, "127.0.0.1:0", nil, func(o *mochi.Options) { o.Capabilities.MaximumPacketSize = uint32(limit) })
				var all []rafttest.Comms
				for _, id := range ids {
					c := start(t, b.url, id, func(c *Config) { c.MaxPacket = limit }) // this broker does not announce it
					up(t, c)
					all = append(all, c)
				}
				return all
			})
		})
	}
}
