package main

import (
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
)

// The screen says whether the clock is sane: by itself, and beside the leader's.
func TestClockInStatus(t *testing.T) {
	ms := func(n int64) *int64 { return &n }
	for want, c := range map[string]api.Clock{
		"2026-11-28 19:00:00 UTC, plausible":                                                            {Plausible: true},
		"2026-11-28 19:00:00 UTC, WRONG":                                                                {},
		"2026-11-28 19:00:00 UTC, plausible; the leader's agrees":                                       {Plausible: true, LeaderAheadMS: ms(-2100)},
		"2026-11-28 19:00:00 UTC, plausible; 3h0m0s behind the leader's":                                {Plausible: true, LeaderAheadMS: ms(3 * 3_600_000)},
		"2026-11-28 19:00:00 UTC, plausible; 1m1s ahead of the leader's":                                {Plausible: true, LeaderAheadMS: ms(-61_000)},
		"2026-11-28 19:00:00 UTC, WRONG; set back by 2m0s since the agent started; the leader's agrees": {SetByMS: -120_000, LeaderAheadMS: ms(0)},
	} {
		c.Time = "2026-11-28T19:00:00Z"
		if got := clockLine(c); got != want {
			t.Errorf("%q, want %q", got, want)
		}
	}
}
