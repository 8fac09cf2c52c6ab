package server

import (
	"time"

	"github.com/edgeraft/edgeraft/raft"
)

// clock turns the monotonic clock into ticks. The wall clock is never asked:
// devices without a battery-backed clock start in 1970 and jump.
type clock struct {
	tick    time.Duration
	began   time.Time
	last    time.Time // up to here ticks were passed on
	planned int       // ticks the loop meant to sleep
}

func (c *clock) start(tick time.Duration) {
	c.tick, c.last = tick, time.Now()
}

// now is the monotonic clock for cluster time. Unlike ticks it is never behind,
// and nothing of it is forgiven.
func (c *clock) now() raft.Time { return raft.Time(time.Since(c.began) / time.Millisecond) }

// plan is how long to sleep for this many ticks, counted from the last one.
func (c *clock) plan(ticks int) time.Duration {
	c.planned = ticks
	return max(time.Until(c.last.Add(time.Duration(ticks)*c.tick)), 0)
}

// calm is how many ticks have passed, at most most. The rest is left to elapsed.
func (c *clock) calm(most int) int {
	n := max(min(int(time.Since(c.last)/c.tick), most), 0)
	c.last = c.last.Add(time.Duration(n) * c.tick)
	c.planned -= n
	return n
}

// elapsed is how many ticks have passed. Time in which this process was not
// run (suspended, starved) says nothing about the silence of others: of more
// than the planned sleep and slack ticks, the rest is forgiven.
func (c *clock) elapsed(slack int) int {
	now := time.Now()
	n := int(now.Sub(c.last) / c.tick)
	if most := c.planned + slack; n > most {
		c.last = now
		return most
	}
	c.last = c.last.Add(time.Duration(n) * c.tick)
	return n
}
