package rafttest

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

func sortedKeys[K cmp.Ordered, V any](m map[K]V) []K {
	keys := make([]K, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}

// nodeName is what scripts call a node.
func nodeName(id raft.NodeID) string {
	if id == "" {
		return "nobody"
	}
	return fmt.Sprint("n", int(id[0]-'a'))
}

func tellRole(s raft.Status) string {
	switch {
	case s.Role == raft.Follower && s.Leader != "":
		return fmt.Sprintf("follower of %s in t%d", nodeName(s.Leader), s.Term)
	case s.Role == raft.Follower:
		return fmt.Sprintf("follower of nobody in t%d", s.Term)
	}
	return fmt.Sprintf("%v in t%d", s.Role, s.Term)
}

// tellMembers lists the members; learners are in brackets.
func tellMembers(c *raft.Configuration) string {
	if c == nil || len(c.Members) == 0 {
		return "nobody"
	}
	var names []string
	for _, m := range c.Members {
		name := nodeName(m.ID)
		if m.Role != raft.Voter {
			name = "(" + name + ")"
		}
		names = append(names, name)
	}
	return strings.Join(names, " ")
}

// tellEntry is an entry as index/term and what it holds.
func tellEntry(e raft.Entry) string {
	text := fmt.Sprintf("%d/%d ", e.Index, e.Term)
	switch e.Kind {
	case raft.EntryCommand:
		return text + string(e.Data)
	case raft.EntryConfig:
		return text + "{" + tellMembers(e.Config) + "}"
	}
	return text + "no-op"
}

func tellEntries(es []raft.Entry) string {
	if len(es) == 0 {
		return "no entries"
	}
	var list []string
	for _, e := range es {
		list = append(list, tellEntry(e))
	}
	return strings.Join(list, ", ")
}

func tellSave(s raft.Save) string {
	text := fmt.Sprintf("t%d, voted %s", s.State.Term, nodeName(s.State.Vote))
	if s.Snapshot != nil {
		text += fmt.Sprintf(", snapshot at %d", s.Snapshot.Index)
	}
	if s.Reset {
		text += ", old log dropped"
	}
	if len(s.Entries) > 0 {
		text += ", " + tellEntries(s.Entries)
	}
	if s.Founding != nil {
		text += tellPromise(s.Founding)
	}
	return text
}

// kindOf is what scripts call a message.
func kindOf(m raft.Message) string {
	granted := func(what string, yes bool) string {
		if yes {
			return what + "-granted"
		}
		return what + "-refused"
	}
	if kind := kindOfFounding(m.Body); kind != "" {
		return kind
	}
	switch b := m.Body.(type) {
	case raft.PreVoteRequest:
		return "prevote-request"
	case raft.PreVoteResponse:
		return granted("prevote", b.Granted)
	case raft.VoteRequest:
		return "vote-request"
	case raft.VoteResponse:
		return granted("vote", b.Granted)
	case raft.AppendRequest:
		if len(b.Entries) == 0 {
			return "heartbeat"
		}
		return "append"
	case raft.AppendResponse:
		if b.Rejected {
			return "reject"
		}
		return "ack"
	case raft.TimeoutNow:
		return "timeout-now"
	case raft.SnapshotRequest:
		return "piece"
	case raft.SnapshotResponse:
		return "next-piece"
	case raft.ForwardRefused:
		return "declined"
	case raft.ReadRequest:
		return "read-request"
	case raft.ReadResponse:
		return "read-index"
	case raft.ForwardChange:
		return "forward-change"
	case raft.TransferRequest:
		return "transfer-request"
	}
	return strings.ToLower(strings.TrimPrefix(fmt.Sprintf("%T", m.Body), "raft."))
}

// tellMessage is a message in a few words: its kind, its term, and what of it
// matters.
func tellMessage(m raft.Message) string {
	return fmt.Sprintf("%s t%d%s", kindOf(m), m.Term, tellBody(m.Body))
}

func tellBody(body raft.Body) string {
	text := tellFounding(body)
	add := func(format string, args ...any) { text += fmt.Sprintf(format, args...) }
	switch b := body.(type) {
	case raft.PreVoteRequest:
		add(", last %d/%d", b.LastIndex, b.LastTerm)
	case raft.PreVoteResponse:
		add(", for t%d", b.For)
	case raft.VoteRequest:
		add(", last %d/%d", b.LastIndex, b.LastTerm)
	case raft.AppendRequest:
		add(", after %d/%d", b.PrevIndex, b.PrevTerm)
		if len(b.Entries) > 0 {
			add(": %s", tellEntries(b.Entries))
		}
		add(", commit %d", b.Commit)
		if b.Read > 0 {
			add(", round %d", b.Read)
		}
	case raft.AppendResponse:
		if b.Rejected {
			add(" of %d, try %d", b.Prev, b.ConflictIndex)
		}
		add(", durable %d", b.Match)
		if b.Received > b.Match {
			add(", received %d", b.Received)
		}
		if b.Read > 0 {
			add(", round %d", b.Read)
		}
	case raft.SnapshotRequest:
		add(" of %d/%d from byte %d", b.Index, b.Term, b.Offset)
	case raft.SnapshotResponse:
		add(" of %d from byte %d", b.Index, b.Offset)
	case raft.Forward:
		for _, p := range b.Proposals {
			add(" #%d %s", p.Seq, p.Data)
		}
	case raft.ForwardRefused:
		add(" #%d", b.Seq)
	case raft.ReadResponse:
		add(" %d", b.Index)
	case raft.Removed:
		add(" by entry %d", b.Index)
	}
	return text
}
