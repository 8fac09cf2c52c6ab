package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
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

// Clocks that differ are told of where it is known: on the leader of all, on
// others of the leader's and their own; and of the likely one that is wrong.
func TestClocksThatDiffer(t *testing.T) {
	const none = -1 << 62
	h := int64(3 * time.Hour / time.Millisecond)
	for name, c := range map[string]struct {
		leads bool
		ahead [2]int64 // of the first other, which leads where this one does not, and of the second
		want  string   // in the message, and what to do; "" for no warning
	}{
		"all agree":                {true, [2]int64{1500, -59_000}, ""},
		"nothing is known":         {true, [2]int64{none, none}, ""},
		"one of two":               {true, [2]int64{0, -h}, "Clocks differ from this device's: shed (cccccccc) by -3h0m0s. timedatectl status   (on shed)"},
		"the only one known":       {true, [2]int64{h, none}, "Clocks differ from this device's: cellar (bbbbbbbb) by +3h0m0s. timedatectl status   (on cellar)"},
		"all others":               {true, [2]int64{h, h}, "this one is most likely wrong: cellar (bbbbbbbb) by +3h0m0s, shed (cccccccc) by +3h0m0s. timedatectl status"},
		"the leader's":             {false, [2]int64{60_000, none}, "The clock of the leader differs from this device's, and one of the two is wrong: cellar (bbbbbbbb) by +1m0s. timedatectl status   (here, and on cellar)"},
		"a former leader's":        {false, [2]int64{0, h}, ""},
		"the leader's, not known":  {false, [2]int64{none, h}, ""},
		"the leader's, by so much": {false, [2]int64{-59_999, 0}, ""},
	} {
		members := []api.Member{{Self: true, Leader: c.leads}, {ID: "bbbbbbbbbbbbbbbb", Name: "cellar", Leader: !c.leads}, {ID: "cccccccccccccccc", Name: "shed"}}
		for i := range c.ahead {
			if c.ahead[i] != none {
				members[i+1].ClockAheadMS = &c.ahead[i]
			}
		}
		got := ""
		for _, w := range apartWarnings(&api.Clock{Plausible: true}, members) {
			got = w.Message + " " + w.Next
		}
		if got == "" != (c.want == "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
		if len(apartWarnings(&api.Clock{}, members)) > 0 {
			t.Errorf("%s: a clock that cannot be right is compared", name)
		}
		if la := leaderAhead(members); c.leads != (la == nil) && c.ahead[0] != none {
			t.Errorf("%s: the leader is ahead by %v", name, la)
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
