package agent

import (
	"fmt"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// clockJump is by how much the wall clock may be corrected before that is worth
// telling.
const clockJump = time.Minute

// clock tells of the wall clock, on which nothing depends but what people read:
// what it shows, and showed when the agent was started. Where it was set since
// then, it went another way than the monotonic clock, by which it runs for so long.
func clock(started, now time.Time, running time.Duration, built time.Time) *api.Clock {
	set := now.Round(0).Sub(started.Round(0)) - running
	c := &api.Clock{Time: now.UTC().Format(time.RFC3339), Plausible: !now.Before(built)}
	if set.Abs() >= clockJump {
		c.SetByMS = set.Milliseconds()
	}
	return c
}

// clockWarnings tells of a clock that must be wrong.
func clockWarnings(c *api.Clock, built time.Time) []api.Warning {
	if c.Plausible {
		return nil
	}
	return []api.Warning{{Code: "clock_wrong", Next: "timedatectl status",
		Message: fmt.Sprintf("The clock of this device says %s, before this program was made (%s). The cluster does not depend on it; what is written today, and times in the log, do.",
			c.Time, built.UTC().Format(time.DateOnly)),
	}}
}

// slowWrite is how long a write to the card may last before that is worth a
// warning: so long nobody waits with patience.
const slowWrite = 10 * time.Second

// writeWarnings tells of a write that does not come back.
func writeWarnings(writing time.Duration) []api.Warning {
	if writing < slowWrite {
		return nil
	}
	return []api.Warning{{Code: "storage_slow", Next: "dmesg | tail",
		Message: fmt.Sprintf("A write to the card has lasted %v so far. Until it is done this device confirms nothing; the others go on without it. If this comes often, replace the card.",
			writing.Round(time.Second)),
	}}
}
