package powercut_test

import (
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// ledger is what was committed, by anyone, ever.
type ledger struct {
	entries  []raft.Entry // [i-1] has index i
	known    map[string]bool
	newest   map[raft.NodeID]int // highest number of a device's commands
	commands int
	held     int // devices that came back with all of it
}

func (l *ledger) last() raft.Index { return raft.Index(len(l.entries)) }

// commit takes in an entry that a device says is committed.
func (l *ledger) commit(e raft.Entry) error {
	if e.Index <= l.last() {
		if !sameEntry(e, l.entries[e.Index-1]) {
			return fmt.Errorf("entry %d of term %d is committed where that of term %d was", e.Index, e.Term, l.entries[e.Index-1].Term)
		}
		return nil
	}
	if e.Index != l.last()+1 {
		return fmt.Errorf("entry %d is committed after entry %d", e.Index, l.last())
	}
	l.entries = append(l.entries, e)
	if e.Kind != raft.EntryCommand {
		return nil
	}
	var from raft.NodeID
	var n int
	if _, err := fmt.Sscanf(string(e.Data), "%s %d ", &from, &n); err != nil {
		return fmt.Errorf("entry %d is no command that was proposed: %q", e.Index, e.Data)
	}
	if l.known == nil {
		l.known, l.newest = map[string]bool{}, map[raft.NodeID]int{}
	}
	if l.known[string(e.Data)] {
		return fmt.Errorf("command %d of %s is committed again, at %d", n, from, e.Index)
	}
	// Those of one device that are under way together may overtake each other.
	l.known[string(e.Data)], l.newest[from] = true, max(n, l.newest[from])
	l.commands++
	return nil
}

// state compares a state with the commands committed up to i.
func (l *ledger) state(i raft.Index, got []string) error {
	if i > l.last() {
		return fmt.Errorf("only %d entries were committed", l.last())
	}
	var want []string
	for _, e := range l.entries[:i] {
		if e.Kind == raft.EntryCommand {
			want = append(want, string(e.Data))
		}
	}
	if strings.Join(got, "\n") != strings.Join(want, "\n") {
		return fmt.Errorf("%d commands that are not the %d committed ones", len(got), len(want))
	}
	return nil
}

// holds counts a device that came back with the last committed entry.
func (l *ledger) holds(stored raft.Stored) {
	if s := stored.Snapshot; s != nil && s.Index >= l.last() {
		l.held++
		return
	}
	for _, e := range stored.Entries {
		if e.Index == l.last() && sameEntry(e, l.entries[e.Index-1]) {
			l.held++
		}
	}
}
