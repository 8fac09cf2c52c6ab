package agent

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/show"
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

// clockApart is by how much the clocks of two devices may differ before that is
// worth a warning.
const clockApart = time.Minute

// leaderAhead is by how much the leader's clock is ahead of this device's, where
// that is another and its clock is known.
func leaderAhead(members []api.Member) *int64 {
	for _, m := range members {
		if m.Leader {
			return m.ClockAheadMS
		}
	}
	return nil
}

// apartWarnings tells of clocks that differ: on a follower of its own and the
// leader's, on the leader of all. Which of two is wrong cannot be known; one that
// differs from several is most likely that.
func apartWarnings(c *api.Clock, members []api.Member) []api.Warning {
	if !c.Plausible {
		return nil // that is told already
	}
	leads := slices.ContainsFunc(members, func(m api.Member) bool { return m.Self && m.Leader })
	known, first := 0, ""
	var apart []string
	for _, m := range members {
		if m.Self || m.ClockAheadMS == nil || !leads && !m.Leader {
			continue
		}
		known++
		if ahead := time.Duration(*m.ClockAheadMS) * time.Millisecond; ahead.Abs() >= clockApart {
			apart, first = append(apart, fmt.Sprintf("%s (%s) by %s", m.Name, show.ShortID(m.ID), signed(ahead))), cmp.Or(first, m.Name)
		}
	}
	w := api.Warning{Code: "clock_differs", Next: "timedatectl status   (on " + first + ")"}
	switch {
	case len(apart) == 0:
		return nil
	case !leads:
		w.Message, w.Next = "The clock of the leader differs from this device's, and one of the two is wrong: "+apart[0]+".", "timedatectl status   (here, and on "+first+")"
	case len(apart) == known && known > 1:
		w.Message, w.Next = "All other clocks differ from this device's, so this one is most likely wrong: "+strings.Join(apart, ", ")+".", "timedatectl status"
	default:
		w.Message = "Clocks differ from this device's: " + strings.Join(apart, ", ") + "."
	}
	return []api.Warning{w}
}

// signed shows a difference, to the second.
func signed(d time.Duration) string {
	if d = d.Round(time.Second); d > 0 {
		return "+" + d.String()
	}
	return d.String()
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
