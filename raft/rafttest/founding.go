package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// planHello lets a blank device say again and again that it is there, as the
// driver does.
func (c *Cluster) planHello(n *Node) {
	c.clock.after(n.rng.Between(Tick, 4*HeartbeatTicks*Tick), func() {
		if n.core != nil && n.core.State().Cluster.IsZero() && n.paused <= c.clock.now {
			for _, o := range c.Nodes {
				if o != n {
					c.send(n, raft.Message{From: n.ID, To: o.ID, Body: raft.Join{Name: n.String(), Expect: c.opts.Expect}})
				}
			}
		}
		c.planHello(n)
	})
}

// joining does what the driver does with messages that the core never sees, and
// reports whether m is one.
func (c *Cluster) joining(to *Node, m raft.Message) bool {
	what := ""
	if c.opts.Trace > 0 {
		what = fmt.Sprintf("gets %s from %v", describe(m), c.node(m.From))
	}
	switch b := m.Body.(type) {
	case raft.Join:
		c.input(to, what, func(core *raft.Core) {
			s := core.State()
			if s.Cluster.IsZero() {
				core.HearJoin(m.From, m.Cluster, b)
				return
			}
			core.TellFounded(m.From)
			c.send(to, raft.Message{Cluster: s.Cluster, From: to.ID, To: m.From, Body: raft.JoinAnswer{Leader: core.Leader()}})
		})
	case raft.JoinAnswer:
		c.input(to, what, func(core *raft.Core) { core.HearCluster() })
	default:
		return false
	}
	return true
}

// foundingChecker knows what was accepted by whom, and what was chosen with it.
type foundingChecker struct {
	charters map[raft.Ballot]*raft.Charter
	accepted map[raft.Ballot]map[*Node]bool
	promised map[*Node]raft.Ballot // the highest that each told of
	chosen   *raft.Charter
	cluster  raft.ClusterID // to which everybody belongs who belongs to one
}

// foundingSent checks what blank devices say. It must be durable, and no two
// charters may be chosen, even if nobody notices.
func (k *checker) foundingSent(n *Node, m raft.Message) {
	f := &k.founding
	durable := n.Disk.founding
	left := !n.Disk.state.Cluster.IsZero() // and so silent, whatever it forgot
	switch b := m.Body.(type) {
	case raft.FoundingPromise:
		if durable.Promised.Less(b.Ballot) && !left {
			k.c.violate("promises of a founding are durable", "%v sends %s, and %v is promised durably", n, describe(m), durable.Promised)
		}
		if f.promised == nil {
			f.promised = map[*Node]raft.Ballot{}
		}
		if f.promised[n].Less(b.Ballot) {
			f.promised[n] = b.Ballot
		}
	case raft.FoundingAccept:
		if f.charters == nil {
			f.charters = map[raft.Ballot]*raft.Charter{}
		}
		if known, ok := f.charters[b.Ballot]; ok && !sameCharter(known, b.Charter) {
			k.c.violate("one charter a ballot", "%v sends %s, and sent %+v in this ballot", n, describe(m), known)
		}
		f.charters[b.Ballot] = b.Charter
	case raft.FoundingAccepted:
		if durable.Accepted.Less(b.Ballot) && !left {
			k.c.violate("promises of a founding are durable", "%v sends %s, and %v is accepted durably", n, describe(m), durable.Accepted)
		}
		if b.Ballot.Less(f.promised[n]) {
			k.c.violate("promises of a founding are kept", "%v sends %s, and it promised %v", n, describe(m), f.promised[n])
		}
		k.accepts(n, b.Ballot)
	case raft.Founded:
		k.choose(b.Charter, fmt.Sprintf("%v sends %s", n, describe(m)))
	}
}

// accepts counts who accepted what. The proposer says nothing to itself, and its
// disk shows it.
func (k *checker) accepts(n *Node, b raft.Ballot) {
	f := &k.founding
	if f.accepted == nil {
		f.accepted = map[raft.Ballot]map[*Node]bool{}
	}
	if f.accepted[b] == nil {
		f.accepted[b] = map[*Node]bool{}
	}
	f.accepted[b][n] = true
	if p := k.c.node(b.Proposer); p.Disk.founding.Accepted == b {
		f.accepted[b][p] = true
	}
	if len(f.accepted[b]) >= k.c.opts.Expect && f.charters[b] != nil {
		k.choose(f.charters[b], fmt.Sprintf("%d devices accepted it in %v", len(f.accepted[b]), b))
	}
}

func (k *checker) choose(h *raft.Charter, why string) {
	if k.founding.chosen == nil {
		k.founding.chosen = h
		k.c.tracef("CHOSEN: %s", charterText(h))
	}
	if !sameCharter(k.founding.chosen, h) {
		k.c.violate("one charter is chosen", "%s: %s; and %s was chosen", charterText(h), why, charterText(k.founding.chosen))
	}
}

// oneCluster checks that nobody belongs to another cluster than everybody else.
func (k *checker) oneCluster(n *Node, s raft.Status) {
	switch f := &k.founding; {
	case s.Cluster.IsZero():
	case f.cluster.IsZero():
		f.cluster = s.Cluster
	case f.cluster != s.Cluster:
		k.c.violate("one cluster", "%v belongs to %v, others to %v", n, s.Cluster, f.cluster)
	}
}

func sameCharter(a, b *raft.Charter) bool { return charterText(a) == charterText(b) }

func charterText(h *raft.Charter) string {
	if h == nil {
		return "no charter"
	}
	return fmt.Sprintf("cluster %v of %v", h.Cluster, h.Config.Members)
}
