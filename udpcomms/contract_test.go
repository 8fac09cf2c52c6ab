package udpcomms

import (
	"testing"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/rafttest"
)

func TestContract(t *testing.T) {
	rafttest.CheckComms(t, func(t *testing.T, ids []raft.NodeID) []rafttest.Comms {
		var comms []*Comms
		var all []rafttest.Comms
		for _, id := range ids {
			c := listen(t, id)
			for _, other := range comms {
				meet(t, c, other)
			}
			comms, all = append(comms, c), append(all, c)
		}
		return all
	})
}
