package rafttest

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// scene is a cluster in a scripted test. Each script is played with several
// seeds: they decide delays, timeouts and what a crash leaves on a disk.
type scene struct {
	*Cluster
	t *testing.T
}

func play(t *testing.T, o Options, script func(*scene)) {
	t.Helper()
	for seed := uint64(1); seed <= seedsPerScene; seed++ {
		t.Run(fmt.Sprint("seed ", seed), func(t *testing.T) {
			o.Seed, o.Sleepy, o.Trace = seed, seed%2 == 0, 80
			s := &scene{Cluster: New(o), t: t}
			script(s)
			if v := s.Failed(); v != nil {
				t.Fatal(v)
			}
		})
	}
}

func (s *scene) failf(format string, args ...any) {
	s.t.Helper()
	if v := s.Failed(); v != nil {
		s.t.Fatal(v)
	}
	s.t.Fatalf("time %.2f: %s\n%s", float64(s.Now())/float64(Tick), fmt.Sprintf(format, args...), strings.Join(s.trace, "\n"))
}

// within demands that something comes true in time.
func (s *scene) within(ticks int, what string, ok func() bool) {
	s.t.Helper()
	if !s.RunUntil(ticks, ok) {
		s.failf("not within %d ticks: %s", ticks, what)
	}
}

// never demands that something stays untrue for a time.
func (s *scene) never(ticks int, what string, bad func() bool) {
	s.t.Helper()
	if s.RunUntil(ticks, bad) || s.Failed() != nil {
		s.failf("must not be: %s", what)
	}
}

// pass lets time pass.
func (s *scene) pass(ticks int) {
	s.t.Helper()
	if s.RunFor(ticks); s.Failed() != nil {
		s.failf("")
	}
}

// electionPatience is how long an election may take, with some bad luck.
const electionPatience = 15 * ElectionTicks

// leader waits for a leader that is none of the named nodes and whom all others
// follow that run.
func (s *scene) leader(except ...int) *Node {
	s.t.Helper()
	var lead *Node
	s.within(electionPatience, "one leader, followed by all", func() bool {
		if lead = s.Leader(); lead == nil || contains(except, lead.Index) {
			return false
		}
		want := lead.Status()
		for _, n := range s.Nodes {
			st := n.Status()
			if _, member := want.Config.Member(n.ID); !member || !n.Up() || contains(except, n.Index) {
				continue
			}
			if st.Leader != lead.ID || st.Term != want.Term {
				return false
			}
		}
		return true
	})
	return lead
}

func contains(list []int, i int) bool {
	for _, v := range list {
		if v == i {
			return true
		}
	}
	return false
}

// others returns the numbers of all nodes but these.
func (s *scene) others(not ...int) []int {
	var list []int
	for i := range s.Nodes {
		if !contains(not, i) {
			list = append(list, i)
		}
	}
	return list
}

// isolate cuts nodes off from the rest, but not from each other.
func (s *scene) isolate(nodes ...int) {
	s.Net.Partition(len(s.Nodes), nodes, s.others(nodes...))
}

// agree proposes on a node and demands that it is committed.
func (s *scene) agree(i int) *Op {
	s.t.Helper()
	op := s.Propose(i, []byte("agree"))
	s.within(electionPatience, fmt.Sprintf("a proposal on n%d is committed", i), func() bool { return op.Outcome == Committed })
	return op
}

// burst proposes many times on a node.
func (s *scene) burst(i, n int) []*Op {
	ops := make([]*Op, n)
	for k := range ops {
		ops[k] = s.Propose(i, make([]byte, 20))
	}
	return ops
}

func count(ops []*Op, o Outcome) int {
	n := 0
	for _, op := range ops {
		if op.Outcome == o {
			n++
		}
	}
	return n
}

// same demands that all running members hold and apply the same.
func (s *scene) same() {
	s.t.Helper()
	why := ""
	c := &campaign{Cluster: s.Cluster}
	s.within(30*ElectionTicks, "all are equal and nothing is open", func() bool { why = c.unsettled(); return why == "" })
	if why != "" {
		s.failf("%s", why)
	}
}

// change has the leader change the membership, and waits for it to be committed.
func (s *scene) change(kind raft.ChangeKind, i int) {
	s.t.Helper()
	s.within(electionPatience, "a leader takes the change", func() bool {
		lead := s.Leader()
		return lead != nil && s.Change(lead.Index, raft.Change{Kind: kind, ID: s.Nodes[i].ID, Name: s.Nodes[i].String()}) == nil
	})
	s.within(electionPatience, "the change is committed", func() bool {
		lead := s.Leader()
		if lead == nil {
			return kind == raft.Remove || kind == raft.Demote // the leader itself left
		}
		st := lead.Status()
		return st.ConfigIndex <= st.Commit
	})
}

func voterCount(n *Node) int { return n.Status().Config.Voters() }

// last returns the index of a node's last entry.
func last(n *Node) raft.Index { return n.Status().Last }
