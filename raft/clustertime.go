package raft

// Time is cluster time: milliseconds that went by while the cluster had a
// leader or at least a device that remembered, since it was founded. The leader
// stamps each entry with it, so that every device expires the same things at
// the same place in the log. No wall clock is involved.
//
// It may lag behind, after all devices were off, but never leads: between two
// entries of one log no more of it goes by than of real time between the
// moments at which they were appended, as the leaders' monotonic clocks count
// it. That holds because a device takes a clock over only together with a log
// that is a beginning of the sender's, and lets it run on from there.
type Time uint64

// maxTime bounds it, so that sums do not overflow. There it stands still.
const maxTime = Time(1) << 62

// clusterClock is what a device knows of cluster time. At any moment it is
// valid for the log of this device, in the sense above.
type clusterClock struct {
	now  Time // the device's own clock
	base Time // cluster time when the device's own clock showed at
	at   Time
	term Term // of the leader who told base; its own, on a leader
}

// read rounds down: one millisecond less than the difference of two readings
// has gone by for sure, and handing over must not add up.
func (k *clusterClock) read() Time { return k.base + max(k.now-k.at, 1) - 1 }

func (k *clusterClock) set(t Time, term Term) { k.base, k.at, k.term = t, k.now, term }

// hear takes over the clock of the leader of a term. What is older than what
// the same leader said before is late.
func (k *clusterClock) hear(t Time, term Term) {
	if term != k.term || t >= k.base {
		k.set(t, term)
	}
}

// SetNow tells the Core what the device's monotonic clock shows, in
// milliseconds since any moment. Call it before each input, or entries are
// stamped too early and what they hold with a TTL expires too early by as much.
// A clock that goes back is taken to stand.
func (c *Core) SetNow(now Time) { c.clock.now = max(c.clock.now, now) }

// ClusterTime is what this device believes cluster time to be: on a leader the
// time that an entry appended now would bear, elsewhere an estimate.
func (c *Core) ClusterTime() Time { return min(max(c.clock.read(), c.log.lastTime()), maxTime) }

// hearClock takes over the clock that came with a request of the leader of this
// term, if the whole log here is a beginning of the leader's. Otherwise the
// clock that fits this log stays.
func (c *Core) hearClock(t Time) {
	if c.verified >= c.log.last() {
		c.clock.hear(max(t, c.log.lastTime()), c.hard.Term)
	}
}
