package mqttcomms

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// Limits of Config.
const (
	MaxBrokers    = 8
	MinKeepAlive  = time.Second
	MaxKeepAlive  = 10 * time.Minute
	MinPacket     = 1 << 10   // bytes
	MaxPacket     = 256 << 10 // bytes; nothing larger is taken from the broker either
	DefaultPacket = 64 << 10  // bytes
	MaxCredential = 4 << 10   // bytes of a password
	maxCertFile   = 1 << 20   // bytes of a file of certificates
	maxUser       = 256       // bytes
)

// Limits on what is known of others.
const (
	// maxPeers is how many devices are known: twice the members of a cluster.
	// Beyond it those that were only announced give way, then those unused for
	// peerUnused; else the new one is ignored.
	maxPeers   = 2 * raft.MaxMembers
	peerUnused = time.Minute
)

// Limits on what is on its way out.
const (
	// maxQueue and maxQueueBytes bound what waits for one topic, maxAllQueue and
	// maxAllQueueBytes for all. Beyond them the oldest message is dropped:
	// Raft's newer messages say more.
	maxQueue         = 64
	maxQueueBytes    = 2 * wire.MaxMessage
	maxAllQueue      = 512
	maxAllQueueBytes = 4 * wire.MaxMessage
	// maxWrite is about how many bytes are written to the connection at a time.
	maxWrite = 32 << 10
	// maxChecks is how many topics wait to be checked. Beyond it one is not.
	maxChecks = maxPeers
	// maxRefused is how many refusals are remembered for Status.
	maxRefused = 8
)

// Limits on what is on its way in.
const (
	// maxReceived is how many messages wait to be taken from Received, of which
	// only a few may be large. Beyond it the new message is dropped.
	maxReceived      = 128
	largeMessage     = 8 << 10
	maxReceivedLarge = 8
	// receiveMaximum is how many publications are read ahead.
	receiveMaximum = 64
	// maxAllAssemblyBytes bounds the messages being put together of parts.
	// Beyond it no new one is begun. One sender has one under way.
	maxAllAssemblyBytes = 4 * wire.MaxMessage
	assemblyAtMost      = 10 * time.Second
)

// Times of a connection.
const (
	// dialTimeout bounds connecting, with the handshake of TLS.
	dialTimeout = 4 * time.Second
	// packetTimeout bounds the wait for an answer of the broker.
	packetTimeout = 4 * time.Second
	// A write that takes longer than twice the keep-alive, within these bounds,
	// ends the connection.
	writeAtLeast = 3 * time.Second
	writeAtMost  = 15 * time.Second
	// checkAfter is how long what this device sends itself may take.
	checkAfter = 3 * time.Second
	// goodbyeTimeout bounds the farewell of Close.
	goodbyeTimeout = time.Second

	// After a failure of all brokers comes a pause: from pauseFirst doubling, to
	// a share of how long no connection was had, within these bounds; so after
	// a short outage the devices are back soon, and after hours they cost little.
	pauseFirst   = 200 * time.Millisecond
	pauseAtMost  = 15 * time.Second
	pauseAtLeast = time.Second // of the upper bound
	pauseShare   = 8
	// settledAfter is how long a connection must last to count as one: a broker may
	// let a device in only to throw it out for what it publishes.
	settledAfter = 5 * time.Second
	// takenOverPause is the pause after another client took this one's place, so
	// that two with one identity do not fight.
	takenOverPause = 30 * time.Second
	// After a connection on which nothing came there is a pause, from deafFirst
	// doubling to deafAtMost.
	deafFirst  = 500 * time.Millisecond
	deafAtMost = time.Minute
	// lonelyFirst is how long nobody may be heard at one of several brokers. It
	// doubles up to lonelyAtMost.
	lonelyFirst  = 10 * time.Second
	lonelyAtMost = 5 * time.Minute
	// At another than the first of several brokers a device tries an earlier one
	// every homeFirst. It doubles up to lonelyAtMost while going there was in vain,
	// that is, did not last for homeProven at the first.
	homeFirst  = 20 * time.Second
	homeProven = time.Minute
	// Why there is no connection is logged when it is something else than before,
	// after maxOutageLines at most every outageLogEvery: texts may alternate.
	maxOutageLines = 4
	outageLogEvery = time.Hour
)
