package main

import (
	"bytes"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/app/api"
)

func TestWrapFields(t *testing.T) {
	for _, c := range []struct{ text, want string }{
		{"Health   healthy\n", "Health   healthy\n"},
		{"Device   one two three four\n", "Device   one two\n         three four\n"},
		{"Device   ünü twö three four\n", "Device   ünü twö\n         three four\n"},
		{"Device   onetwothreefourfivesix\n", "Device   onetwothreefourfivesix\n"},
		{"Device   one twothreefourfivesixseven eight\n", "Device   one\n         twothreefourfivesixseven eight\n"},
		{"NAME     ID    ROLE   ADDRESS\nkitchen  abcd  voter  127.0.0.1\n", "NAME     ID    ROLE   ADDRESS\nkitchen  abcd  voter  127.0.0.1\n"},
		{"\n", "\n"},
	} {
		if got := wrapFields(c.text, 20); got != c.want {
			t.Errorf("%q: %q, want %q", c.text, got, c.want)
		}
	}
}

// TestStatusFitsATerminal: on 80 columns no line but those of the members' table
// is longer, and nothing is lost.
func TestStatusFitsATerminal(t *testing.T) {
	var whole bytes.Buffer
	s := api.Status{
		Warnings: []api.Warning{{Message: strings.Repeat("something is wrong, ", 20), Next: "edgeraft members remove abcdefghijklmnop   (if it is gone for good)"}},
		Cluster:  api.Cluster{ID: "9a6dfbcc-c2d3-4174-b950-bc0a9caac8b5", Name: "default", Leader: "abcdefghijklmnop", LeaderName: "kitchen"},
		Traffic:  api.Traffic{SentPackets: 1 << 40, SentBytes: 1 << 40, ReceivedPackets: 1 << 40, Dropped: map[string]uint64{"malformed": 1 << 40, "replayed": 1 << 30, "own": 5}},
		Storage:  api.Storage{Written: &api.Written{Today: &api.Amount{}}, Card: &api.Card{FileSystemBytes: 1 << 40}, Forecast: &api.Forecast{Years: 5}},
		Clock:    &api.Clock{Time: "1970-01-01T00:00:00Z", SetByMS: -3600000},
	}
	printStatus(&whole, s)
	wrapped := wrapFields(whole.String(), 80)
	for line := range strings.Lines(wrapped) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > 80 {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	if got, want := strings.Fields(wrapped), strings.Fields(whole.String()); strings.Join(got, " ") != strings.Join(want, " ") {
		t.Error("words were lost")
	}
	if !strings.Contains(wrapped, "1970-01-01 00:00:00 UTC, WRONG; set back by 1h") {
		t.Errorf("the clock is missing:\n%s", wrapped)
	}
}
