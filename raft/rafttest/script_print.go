package rafttest

import (
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// picture is what of a node is compared before and after an event.
type picture struct {
	status raft.Status
	vote   raft.NodeID
	log    []raft.Entry
	app    int
	seq    uint64 // of the newest save
	open   []string
	reads  []string
}

func (w *world) picture(n *Node) picture {
	p := picture{status: n.Status(), log: append([]raft.Entry(nil), n.log.entries...), app: len(n.Applied), seq: n.Disk.seq}
	if n.core != nil {
		p.vote = n.core.State().Vote
	}
	for _, name := range sortedKeys(w.proposed) {
		if op := w.proposed[name]; op.Node == n && op.Outcome == Open {
			p.open = append(p.open, name)
		}
	}
	for _, name := range sortedKeys(w.asked) {
		if r := w.asked[name]; r.Node == n && !r.Done && !r.Lost {
			p.reads = append(p.reads, name)
		}
	}
	return p
}

func (w *world) say(at loudness, format string, args ...any) {
	if w.loud >= at {
		w.out = append(w.out, w.short(fmt.Sprintf(format, args...)))
	}
}

// short writes names for the IDs in a text.
func (w *world) short(text string) string {
	for _, n := range w.Nodes {
		text = strings.ReplaceAll(text, string(n.ID), n.String())
	}
	return text
}

// tell prints what an event made of a node.
func (w *world) tell(n *Node, old picture) {
	now := w.picture(n)
	was, is := old.status, now.status
	if w.refused != nil {
		w.say(full, "%v refuses it: %v", n, w.refused)
	}
	if is.Role != was.Role || is.Term != was.Term || is.Leader != was.Leader && is.Leader != "" {
		w.say(brief, "%v is %s", n, tellRole(is))
	}
	if now.vote != old.vote && now.vote != "" {
		w.say(brief, "%v votes for %s in t%d", n, nodeName(now.vote), is.Term)
	}
	w.tellLog(n, old.log, now.log)
	if is.Snapshot != was.Snapshot {
		w.say(brief, "%v has a snapshot at %d; its log begins at %d", n, is.Snapshot, is.First)
	}
	if have, had := tellMembers(is.Config), tellMembers(was.Config); have != had {
		w.say(brief, "%v counts with %s", n, have)
	}
	if is.Removed && !was.Removed {
		w.say(brief, "%v knows that it is removed", n)
	}
	for _, s := range n.Disk.queue {
		if s.Seq > old.seq {
			w.say(full, "%v save %d begins: %s", n, s.Seq, tellSave(s))
		}
	}
	for _, line := range w.sent {
		w.say(full, "%s", line)
	}
	if is.Commit != was.Commit {
		w.say(brief, "%v commits up to %d", n, is.Commit)
	}
	if done := commandList(n.Applied[min(old.app, len(n.Applied)):]); len(done) > 0 {
		w.say(brief, "%v applies %s", n, list(done))
	}
	w.clients(n, old)
}

func (w *world) tellLog(n *Node, old, now []raft.Entry) {
	same := 0
	for same < min(len(old), len(now)) && old[same].Term == now[same].Term && old[same].ID == now[same].ID {
		same++
	}
	if same < len(old) {
		w.say(brief, "%v drops %s", n, tellEntries(old[same:]))
	}
	if same < len(now) {
		w.say(full, "%v appends %s", n, tellEntries(now[same:]))
	}
}

// clients prints what the clients of a node were told.
func (w *world) clients(n *Node, old picture) {
	for _, name := range old.open {
		switch op := w.proposed[name]; op.Outcome {
		case Committed:
			w.say(silent, "%v tells its client: %s is committed at %d", n, name, op.Index)
		case Failed:
			w.say(silent, "%v tells its client: %s failed: %v", n, name, op.Err)
		case Unknown:
			w.say(silent, "%v leaves its client without an answer for %s", n, name)
		}
	}
	for _, name := range old.reads {
		if r := w.asked[name]; r.Done {
			w.say(silent, "%v may serve %s once it has applied %d", n, name, r.Index)
		}
	}
}

// show prints the whole of a node in a line.
func (w *world) show(n *Node) {
	if n.core == nil {
		w.say(silent, "%v is down; %s", n, w.disk(n))
		return
	}
	s, h := n.Status(), n.core.State()
	line := fmt.Sprintf("%v %s, voted %s | %s | commit %d", n, tellRole(s), nodeName(h.Vote), w.entries(n, s), s.Commit)
	if d := n.Disk; d.state.Term != h.Term || d.state.Vote != h.Vote || len(d.queue) > 0 {
		line += fmt.Sprintf(" | disk t%d, voted %s, last %d", d.state.Term, nodeName(d.state.Vote), d.entries.last())
	}
	w.say(silent, "%s", line)
}

func (w *world) entries(n *Node, s raft.Status) string {
	var es []raft.Entry
	for i := s.First; i <= s.Last; i++ {
		e, _ := n.core.Entry(i)
		es = append(es, e)
	}
	text := tellEntries(es)
	if s.Snapshot > 0 {
		text = fmt.Sprintf("snapshot at %d; %s", s.Snapshot, text)
	}
	return text
}

func (w *world) disk(n *Node) string {
	d := n.Disk
	text := fmt.Sprintf("its disk holds t%d, voted %s, ", d.state.Term, nodeName(d.state.Vote))
	if d.snapshot != nil {
		text += fmt.Sprintf("snapshot at %d; ", d.snapshot.Index)
	}
	return text + tellEntries(d.entries.entries[d.first-1:])
}
