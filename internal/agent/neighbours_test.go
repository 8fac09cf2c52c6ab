package agent

import (
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/internal/paths"
	"github.com/edgeraft/edgeraft/raft"
)

// A leader that is heard and does not answer, by any path and for a while.
func TestOneWay(t *testing.T) {
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	broken := func(since, heard time.Duration) paths.Link {
		return paths.Link{Broken: true, Since: ago(since), Heard: ago(heard)}
	}
	const s = time.Second
	for name, c := range map[string]struct {
		links []paths.Link
		warns bool
	}{
		"it answers":                 {[]paths.Link{{Heard: ago(0)}}, false},
		"only lately it does not":    {[]paths.Link{broken(9*s, 0)}, false},
		"it does not":                {[]paths.Link{broken(10*s, 0)}, true},
		"it is not heard either":     {[]paths.Link{broken(30*s, 3*s)}, false},
		"one of two ways is broken":  {[]paths.Link{broken(30*s, 0), {Heard: ago(0)}}, false},
		"both are":                   {[]paths.Link{broken(30*s, 0), broken(20*s, 9*s)}, true},
		"both are, one of them late": {[]paths.Link{broken(30*s, 0), broken(2*s, 9*s)}, false},
		"there is none":              {nil, false},
	} {
		ws := oneWay(raft.Member{ID: "bbbbbbbbbbbbbbbb", Name: "cellar"}, c.links, "10.0.0.2:7521", now, 2400*time.Millisecond)
		if len(ws) > 0 != c.warns || c.warns && (!strings.Contains(ws[0].Message, "cellar (bbbbbbbb)") || !strings.HasPrefix(ws[0].Next, "ping -c 3 10.0.0.2 ") || !urgent(ws)) {
			t.Errorf("%s: %+v", name, ws)
		}
	}
}
