package agent

import (
	"testing"
	"time"
)

func TestClock(t *testing.T) {
	built := time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)
	for _, c := range []struct {
		name      string
		elapsed   time.Duration // by the monotonic clock
		wall      time.Time     // what the wall clock showed at the start
		set       time.Duration
		plausible bool
	}{
		{"right", time.Hour, built.Add(24 * time.Hour), 0, true},
		{"corrected a little", time.Hour, built.Add(24 * time.Hour), 5 * time.Second, true},
		{"in 1970", time.Hour, time.Unix(0, 0), 0, false},
		{"in 1970 and set since", time.Hour, time.Unix(0, 0), 60 * 365 * 24 * time.Hour, true},
		{"set back", time.Hour, built.Add(24 * time.Hour), -48 * time.Hour, false},
	} {
		got := clock(c.wall, c.wall.Add(c.elapsed+c.set), c.elapsed, built)
		want := int64(0)
		if c.set.Abs() >= time.Minute {
			want = c.set.Milliseconds()
		}
		if got.Plausible != c.plausible || got.SetByMS != want {
			t.Errorf("%s: %+v, want plausible %v, set by %d ms", c.name, got, c.plausible, want)
		}
		if warned := len(clockWarnings(got, built)) > 0; warned == c.plausible {
			t.Errorf("%s: warned: %v", c.name, warned)
		}
	}
}

func TestWriteWarnings(t *testing.T) {
	for writing, want := range map[time.Duration]int{0: 0, 9 * time.Second: 0, 10 * time.Second: 1, time.Hour: 1} {
		ws := writeWarnings(writing)
		if len(ws) != want || urgent(ws) {
			t.Errorf("a write of %v: %+v", writing, ws)
		}
	}
}
