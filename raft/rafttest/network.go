package rafttest

// Network carries messages as UDP and MQTT without guarantees do: it loses,
// repeats, reorders and delays them. Its fields may be changed at any time.
type Network struct {
	Loss      int  // of a thousand messages
	Duplicate int  // of a thousand messages
	MinDelay  Time // of every message
	MaxDelay  Time
	Late      int  // of a thousand messages, that come very late
	MaxLate   Time // how late at most
	Damage    int  // of a thousand pieces of snapshots

	Sent int // messages handed in, since the start

	rng *Rand
	cut map[link]bool
}

// link is one direction between two nodes.
type link struct{ from, to int }

// perfectNetwork loses nothing and keeps its delays short.
func perfectNetwork(rng *Rand) *Network {
	return &Network{MinDelay: 1, MaxDelay: Tick / 4, rng: rng, cut: map[link]bool{}}
}

// Repair ends all faults. What is under way still arrives when it was to.
func (n *Network) Repair() {
	n.Loss, n.Duplicate, n.Late, n.Damage = 0, 0, 0, 0
	n.MinDelay, n.MaxDelay = 1, Tick/4
	clear(n.cut)
}

// Cut breaks the way from one node to another, not the way back.
func (n *Network) Cut(from, to int) { n.cut[link{from, to}] = true }

// Partition splits the nodes: those of different groups, and those in none,
// cannot speak to each other. It replaces all earlier cuts.
func (n *Network) Partition(nodes int, groups ...[]int) {
	clear(n.cut)
	group := make([]int, nodes)
	for i := range group {
		group[i] = -1 - i // alone, unless it is in a group
	}
	for g, members := range groups {
		for _, i := range members {
			group[i] = g
		}
	}
	for i := range group {
		for j := range group {
			if i != j && group[i] != group[j] {
				n.Cut(i, j)
			}
		}
	}
}

// Isolate cuts one node off in both directions, beside other cuts.
func (n *Network) Isolate(nodes, i int) {
	for j := range nodes {
		if j != i {
			n.Cut(i, j)
			n.Cut(j, i)
		}
	}
}

// copies decides how often and how late a message arrives.
func (n *Network) copies(from, to int) []Time {
	n.Sent++
	if n.cut[link{from, to}] || n.rng.Chance(n.Loss) {
		return nil
	}
	delays := []Time{n.delay()}
	for n.rng.Chance(n.Duplicate) {
		delays = append(delays, n.delay())
	}
	return delays
}

func (n *Network) delay() Time {
	if n.Late > 0 && n.rng.Chance(n.Late) {
		return n.rng.Between(n.MaxDelay, n.MaxLate)
	}
	return n.rng.Between(n.MinDelay, n.MaxDelay)
}
