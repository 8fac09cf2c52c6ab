package mqttcomms

import (
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// topics are the names of a cluster's topics; see the package's comment.
type topics struct{ prefix string }

func topicsOf(cluster string) topics { return topics{"edgeraft/" + cluster + "/"} }

func (t topics) all() string                    { return t.prefix + "all" }
func (t topics) inbox(id raft.NodeID) string    { return t.prefix + "n/" + string(id) }
func (t topics) presence(id raft.NodeID) string { return t.prefix + "p/" + string(id) }
func (t topics) everyPresence() string          { return t.prefix + "p/+" }
func (t topics) presentDevice(topic string) (raft.NodeID, bool) {
	id, ok := strings.CutPrefix(topic, t.prefix+"p/")
	return raft.NodeID(id), ok && raft.NodeID(id).Valid()
}

// of is the topic for what is to go to a device, "" for all.
func (t topics) of(id raft.NodeID) string {
	if id == "" {
		return t.all()
	}
	return t.inbox(id)
}
