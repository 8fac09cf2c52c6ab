package rafttest

import (
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// expectation says that something is not as a script claims.
type expectation string

func (e expectation) Error() string { return string(e) }

// doExpect compares what is with what the script claims. Its subject is a node,
// a link, a command that was proposed, or a read.
func (w *world) doExpect(args []string) error {
	facts, err := w.factsOf(args[0])
	if err != nil {
		return err
	}
	var wrong []string
	for _, claim := range args[1:] {
		key, value, ok := strings.Cut(claim, "=")
		differs := strings.HasSuffix(key, "!")
		key = strings.TrimSuffix(key, "!")
		fact, known := facts[key]
		if !ok || !known {
			return fmt.Errorf("%q claims nothing: of %s there are %s", claim, args[0], strings.Join(sortedKeys(facts), ", "))
		}
		if is := fact(); (is == value) == differs {
			wrong = append(wrong, fmt.Sprintf("%s is %s", key, is))
		}
	}
	if wrong != nil {
		return expectation(w.short(strings.Join(wrong, ", ")))
	}
	return nil
}

// facts are what can be claimed of something, by key.
type facts map[string]func() string

func (w *world) factsOf(subject string) (facts, error) {
	if strings.Contains(subject, ">") {
		links, err := w.linksNamed(subject)
		return facts{
			"waiting": func() string { return w.kindsIn(links) },
			"after":   func() string { return w.firstAppend(links, true) },
			"entries": func() string { return w.firstAppend(links, false) },
		}, err
	}
	if n, err := w.nodeNamed(subject); err == nil {
		return w.factsOfNode(n), nil
	}
	if op := w.proposed[subject]; op != nil {
		return facts{
			"outcome": func() string {
				return map[Outcome]string{Open: "open", Committed: "committed", Failed: "failed", Unknown: "unknown"}[op.Outcome]
			},
			"index": func() string { return fmt.Sprint(op.Index) },
		}, nil
	}
	if r := w.asked[subject]; r != nil {
		return facts{
			"served": func() string { return yes(r.Done) },
			"index":  func() string { return fmt.Sprint(r.Index) },
		}, nil
	}
	return nil, fmt.Errorf("%q is no node, no link, and nothing that was proposed or read", subject)
}

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// kindsIn lists the kinds of messages that wait in links.
func (w *world) kindsIn(links []link) string {
	var kinds []string
	for _, l := range links {
		for _, m := range w.links[l] {
			kinds = append(kinds, kindOf(m))
		}
	}
	return list(kinds)
}

// firstAppend is what the first AppendEntries that waits in links holds, or the
// entry before that.
func (w *world) firstAppend(links []link, before bool) string {
	for _, l := range links {
		for _, m := range w.links[l] {
			if b, ok := m.Body.(raft.AppendRequest); ok && before {
				return fmt.Sprintf("%d/%d", b.PrevIndex, b.PrevTerm)
			} else if ok {
				return points(b.Entries)
			}
		}
	}
	return "none"
}

func list(words []string) string {
	if len(words) == 0 {
		return "none"
	}
	return strings.Join(words, ",")
}

func (w *world) factsOfNode(n *Node) facts {
	s, d := n.Status(), n.Disk
	num := func(i raft.Index) func() string { return func() string { return fmt.Sprint(i) } }
	members := func(c *raft.Configuration, voters bool) func() string {
		return func() string { return tellMembersWho(c, voters) }
	}
	f := facts{
		"role": func() string {
			if n.core == nil {
				return "down"
			}
			return s.Role.String()
		},
		"term":   func() string { return fmt.Sprint(s.Term) },
		"leader": func() string { return nodeName(s.Leader) },
		"vote": func() string {
			if n.core == nil {
				return "down"
			}
			return nodeName(n.core.State().Vote)
		},
		"commit": num(s.Commit), "last": num(s.Last), "stable": num(s.Stable), "first": num(s.First),
		"snapshot": num(s.Snapshot), "config": num(s.ConfigIndex),
		"voters": members(s.Config, true), "learners": members(s.Config, false),
		"removed": func() string { return yes(s.Removed) },
		"log":     func() string { return points(n.log.entries) },
		"app":     func() string { return list(commandList(n.Applied)) },
		"saves":   func() string { return fmt.Sprint(len(d.queue)) },
		"time":    func() string { return w.timeOf(n) },
		"stamps":  func() string { return stamps(n.log.entries) },

		"disk.term": func() string { return fmt.Sprint(d.state.Term) },
		"disk.vote": func() string { return nodeName(d.state.Vote) },
		"disk.log":  func() string { return points(d.entries.entries) },
		"disk.last": num(d.entries.last()),
		"disk.snapshot": func() string {
			if d.snapshot == nil {
				return "0"
			}
			return fmt.Sprint(d.snapshot.Index)
		},
		"disk.snapshot.voters": func() string {
			if d.snapshot == nil {
				return "none"
			}
			return tellMembersWho(d.snapshot.Config, true)
		},
	}
	return f
}

func tellMembersWho(c *raft.Configuration, voters bool) string {
	var names []string
	if c != nil {
		for _, m := range c.Members {
			if (m.Role == raft.Voter) == voters {
				names = append(names, nodeName(m.ID))
			}
		}
	}
	return list(names)
}

// timeOf is what a node believes cluster time to be.
func (w *world) timeOf(n *Node) string {
	if n.core == nil {
		return "down"
	}
	return fmt.Sprint(n.core.ClusterTime())
}

// stamps lists the times of entries.
func stamps(es []raft.Entry) string {
	var words []string
	for _, e := range es {
		words = append(words, fmt.Sprint(e.Time))
	}
	return list(words)
}

// points lists entries as index/term.
func points(es []raft.Entry) string {
	var words []string
	for _, e := range es {
		words = append(words, fmt.Sprintf("%d/%d", e.Index, e.Term))
	}
	return list(words)
}

func commandList(es []raft.Entry) []string {
	var words []string
	for _, e := range es {
		if e.Kind == raft.EntryCommand {
			words = append(words, string(e.Data))
		}
	}
	return words
}
