package integration

import (
	"cmp"
	"fmt"
	"slices"
	"testing"
	"time"
)

// faultsIn says what is wrong with a history, given what its proposers were
// told. The history is of one device, complete up to the index end; all
// proposals were answered before its last event was proposed.
func faultsIn(lines []string, proposals []proposal, end uint64) []string {
	var faults []string
	say := func(format string, args ...any) { faults = append(faults, fmt.Sprintf(format, args...)) }
	where := make(map[string][]uint64)
	last := uint64(0)
	for _, line := range lines {
		e, err := parseEvent(line)
		if err != nil {
			say("%v", err)
			continue
		}
		if e.Index <= last {
			say("index %d follows on %d", e.Index, last)
		}
		last = e.Index
		if e.Kind == "command" && e.Value != nil {
			where[*e.Value] = append(where[*e.Value], e.Index)
		}
	}
	for _, p := range proposals {
		at := where[p.command]
		switch {
		case p.outcome == acknowledged && len(at) == 0:
			say("%q was acknowledged at index %d and is lost", p.command, p.index)
		case p.outcome == acknowledged && at[0] != p.index:
			say("%q was acknowledged at index %d and stands at %d", p.command, p.index, at[0])
		case p.outcome == acknowledged && p.index > end:
			say("%q was acknowledged at index %d before the command at %d was proposed", p.command, p.index, end)
		case p.outcome == refused && len(at) > 0:
			say("%q was surely not applied (%v), but stands at %d", p.command, p.err, at[0])
		}
		if len(at) > 1 {
			say("%q was proposed once and stands at %d", p.command, at)
		}
	}
	return append(faults, disordered(proposals)...)
}

// disordered finds acknowledged proposals that were ordered against time: what
// was acknowledged before another was even proposed must stand before it.
func disordered(proposals []proposal) []string {
	acked := slices.DeleteFunc(slices.Clone(proposals), func(p proposal) bool { return p.outcome != acknowledged })
	byAnswer := slices.SortedFunc(slices.Values(acked), func(a, b proposal) int { return a.got.Compare(b.got) })
	slices.SortFunc(acked, func(a, b proposal) int { return cmp.Or(a.asked.Compare(b.asked), cmp.Compare(a.index, b.index)) })
	var faults []string
	var newest proposal // of the greatest index among those answered so far
	for _, p := range acked {
		for len(byAnswer) > 0 && byAnswer[0].got.Before(p.asked) {
			if byAnswer[0].index > newest.index {
				newest = byAnswer[0]
			}
			byAnswer = byAnswer[1:]
		}
		if newest.index >= p.index {
			faults = append(faults, fmt.Sprintf("%q at index %d was proposed after %q was acknowledged at %d",
				p.command, p.index, newest.command, newest.index))
		}
	}
	return faults
}

// The check itself: every fault it is there for, in a history that is made up.
func TestCheckFindsFaults(t *testing.T) {
	at := func(ms int) time.Time { return time.UnixMilli(int64(ms)) }
	ack := func(command string, index uint64, from, to int) proposal {
		return proposal{command: command, index: index, asked: at(from), got: at(to)}
	}
	line := func(index int, command string) string {
		return fmt.Sprintf(`{"index":%d,"term":1,"kind":"command","value":%q}`+"\n", index, command)
	}
	tests := []struct {
		name      string
		lines     []string
		proposals []proposal
		faults    int
	}{
		{"all is well", []string{line(2, "a"), line(3, "b"), line(5, "c")},
			[]proposal{ack("a", 2, 0, 9), ack("b", 3, 1, 5), {command: "c", outcome: unknown}, {command: "d", outcome: unknown}, {command: "e", outcome: refused}}, 0},
		{"lost", []string{line(2, "a")}, []proposal{ack("a", 2, 0, 1), ack("b", 3, 2, 3)}, 1},
		{"twice", []string{line(2, "a"), line(3, "a")}, []proposal{ack("a", 2, 0, 1)}, 1},
		{"elsewhere", []string{line(4, "a")}, []proposal{ack("a", 2, 0, 1)}, 1},
		{"refused, yet there", []string{line(2, "a")}, []proposal{{command: "a", outcome: refused}}, 1},
		{"unknown, and twice", []string{line(2, "a"), line(3, "a")}, []proposal{{command: "a", outcome: unknown}}, 1},
		{"against time", []string{line(2, "b"), line(3, "a")}, []proposal{ack("a", 3, 0, 1), ack("b", 2, 2, 3)}, 1},
		{"one index for two", []string{line(2, "a")}, []proposal{ack("a", 2, 0, 1), ack("b", 2, 2, 3)}, 2},
		{"index goes back", []string{line(3, "a"), line(2, "b")}, nil, 1},
		{"cut off by an error", []string{`{"error":{"code":"compacted"}}`}, nil, 1},
		{"no JSON", []string{"panic"}, nil, 1},
		{"acknowledged after the end", []string{line(101, "a")}, []proposal{ack("a", 101, 0, 1)}, 1},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := faultsIn(tt.lines, tt.proposals, 100); len(got) != tt.faults {
				t.Errorf("found %d faults, want %d: %q", len(got), tt.faults, got)
			}
		})
	}
}
