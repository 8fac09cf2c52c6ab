package udpcomms

import (
	"time"

	"github.com/edgeraft/edgeraft/internal/seal"
	"github.com/edgeraft/edgeraft/raft"
	"github.com/edgeraft/edgeraft/raft/wire"
)

// MaxDatagram is the most bytes of UDP payload that are sent or taken. It fits
// every path that IPv6 may use (RFC 8200: 1280 bytes) with room for a tunnel,
// so that no packet depends on IP fragmentation. Longer ones are dropped.
const MaxDatagram = 1200

// Sizes that follow from MaxDatagram.
const (
	maxPlain     = MaxDatagram - seal.Overhead // what one packet carries before sealing
	fragmentData = maxPlain - fragmentHeader   // what every fragment but the last carries
	maxFragments = (wire.MaxMessage + fragmentData - 1) / fragmentData
)

// Limits on what is known of others.
const (
	// maxPeers is how many devices have an entry in the address book: twice the
	// members of a cluster. Beyond it, entries that were never more than a hint
	// give way to devices that are spoken with, then those unused for
	// peerUnused; else the new one gets none and what needs it is dropped.
	maxPeers   = 2 * raft.MaxMembers
	peerUnused = time.Minute
	// maxHints is how many candidate addresses one device may have. A newer one
	// pushes out the oldest.
	maxHints = 8
	// maxSeeds is how many seeds Config may name. More is an error of Listen.
	maxSeeds = 64
	// maxSeedAddrs is how many addresses of one seed's name are used, the first.
	maxSeedAddrs = 8
	// maxBroadcast is how many addresses get a message to anyone, or a question
	// where a device is. Where more are known, those are left out that were
	// never heard from, at random.
	maxBroadcast = 64
)

// Limits on what is on its way out.
const (
	// maxQueue and maxQueueBytes bound what waits for one peer. Beyond them the
	// oldest message is dropped: Raft's newer messages say more.
	maxQueue      = 64
	maxQueueBytes = 2 * wire.MaxMessage
	// inlineBytes is how much may wait for one peer, that message included, for it
	// to be sent by the goroutine that calls Send, in about the time of a system
	// call. It is about one datagram.
	inlineBytes = maxPlain
	// maxControls is how many answers and repeats wait for one peer. Beyond it
	// the new one is dropped: it will be asked for again.
	maxControls = 16
	// maxRetained and maxRetainedBytes bound the fragmented messages kept for
	// repeats. Beyond them the oldest is forgotten: it is then lost as a whole
	// if a fragment was, and Raft sends it again.
	maxRetained      = 32
	maxRetainedBytes = 4 * wire.MaxMessage
	// retainFor is how long after its last use a message is kept, and
	// retainAtMost how long in all.
	retainFor    = 2 * time.Second
	retainAtMost = 10 * time.Second
	// maxRepeats is how often, on average, a fragment of one message is
	// repeated. Then the message is forgotten.
	maxRepeats = 3
	// burst fragments go out at once, then comes a pause: an ordinary receive
	// buffer (212,992 bytes) holds about 90 packets of this size, and a slow
	// device opens them at about this pace (9 MB/s at most).
	burst      = 64
	burstPause = 8 * time.Millisecond
	// roomWait is the pause before a packet for which the kernel has no room is
	// tried again, since the interface is slower than what goes out; maxRoomWaits is
	// how often. Then it is dropped.
	roomWait     = 5 * time.Millisecond
	maxRoomWaits = 400
)

// Limits on what is on its way in.
const (
	// maxReceived is how many messages wait to be taken from Received, of which
	// only a few may be large, so that they cannot fill the memory. Beyond it
	// the new message is dropped.
	maxReceived      = 128
	largeMessage     = 8 << 10
	maxReceivedLarge = 8 // messages that wait when a large one is still taken
	// maxAssemblies and maxAssemblyBytes bound what is put together for one
	// sender. Beyond them its oldest incomplete message is abandoned.
	maxAssemblies    = 4
	maxAssemblyBytes = 2 * wire.MaxMessage
	// maxAllAssemblyBytes bounds it for all senders together. Beyond it no new
	// message is begun, so that those under way can be finished.
	maxAllAssemblyBytes = 4 * wire.MaxMessage
	// rememberDone is how many finished and abandoned messages of a sender are
	// remembered, so that late fragments do not begin them again.
	rememberDone = 16
	// askAfter is how long nothing must arrive before the missing fragments are
	// asked for, doubling up to askAtMost between further requests.
	askAfter  = 50 * time.Millisecond
	askAtMost = 200 * time.Millisecond
	// maxRequests is how many requests in a row may stay without effect, and
	// assemblyAtMost how long a message may take. Then it is abandoned.
	maxRequests    = 8
	assemblyAtMost = 10 * time.Second
	// maxRanges is how many runs of missing fragments one request names; the
	// rest comes with the next.
	maxRanges = 256
)

// Times of the search for addresses.
const (
	// silentAfter is how long a peer may be spoken to without an answer before
	// other addresses are tried too.
	silentAfter = 3 * time.Second
	// searchFirst is the first pause between two searches for one peer. It
	// doubles up to searchAtMost, with jitter.
	searchFirst  = 500 * time.Millisecond
	searchAtMost = 30 * time.Second
	// tellFor is how long after a device was last heard others are told its
	// address.
	tellFor = 10 * time.Minute
	// resolveTimeout bounds one look-up of a seed's name, resolveEvery is how
	// long its addresses are used at most before the next; sooner after the start
	// and when this device's own addresses changed, as its name may have, too.
	// Names are looked up only while somebody is searched for.
	resolveTimeout = 5 * time.Second
	resolveEvery   = 10 * time.Second
)

const (
	// receiveBuffer is what the kernel is asked for, in bytes. It may give less.
	receiveBuffer = 1 << 20
	// After an error of the socket reading pauses, from errorPauseFirst
	// doubling to errorPauseAtMost.
	errorPauseFirst  = 10 * time.Millisecond
	errorPauseAtMost = time.Second
)
