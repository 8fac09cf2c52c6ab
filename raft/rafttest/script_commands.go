package rafttest

import (
	"errors"
	"fmt"
	"strconv"
	"strings"

	"github.com/edgeraft/edgeraft/raft"
)

// scriptCommand is one thing a script can say.
type scriptCommand struct {
	usage string // of its arguments
	least int    // how many it needs
	most  int    // how many it takes, -1 for any number
	do    func(w *world, args []string) error
}

// scriptCommands is made by a function, as quiet looks up others in it.
func scriptCommands() map[string]scriptCommand {
	return map[string]scriptCommand{
		"cluster":  {"voters=N [blank=N] [expect=N] [inflight=N] [append=BYTES] [stall=TICKS] [trail=BYTES] [unsaved=BYTES] [proposals=N]", 1, -1, (*world).doCluster},
		"found":    {"NODE", 1, 1, (*world).doFound},
		"hear":     {"NODE NODE", 2, 2, (*world).doHear},
		"timeout":  {"NODE", 1, 1, onRunning((*world).timeout)},
		"elect":    {"NODE", 1, 1, (*world).doElect},
		"tick":     {"NODE|all [TIMES]", 1, 2, (*world).doTick},
		"pass":     {"MILLISECONDS", 1, 1, (*world).doPass},
		"beat":     {"NODE [TIMES]", 1, 2, (*world).doBeat},
		"deliver":  {"LINK [KIND] | NAME", 1, 2, (*world).doDeliver},
		"drop":     {"LINK [KIND]", 1, 2, (*world).doDrop},
		"keep":     {"LINK KIND NAME", 3, 3, (*world).doKeep},
		"copy":     {"LINK KIND NAME", 3, 3, (*world).doCopy},
		"damage":   {"LINK", 1, 1, (*world).doDamage},
		"hold":     {"LINK|NODE...", 1, -1, setLinks(func(w *world, l link) { w.held[l] = true })},
		"release":  {"LINK|NODE...", 1, -1, setLinks(func(w *world, l link) { delete(w.held, l) })},
		"cut":      {"LINK|NODE...", 1, -1, setLinks(func(w *world, l link) { w.cuts[l] = true; w.links[l] = nil })},
		"heal":     {"LINK|NODE...", 1, -1, setLinks(func(w *world, l link) { delete(w.cuts, l) })},
		"sync":     {"NODE [SAVES]", 1, 2, (*world).doSync},
		"stick":    {"NODE", 1, 1, onNode(func(w *world, n *Node) error { w.stuck[n.Index] = true; return nil })},
		"unstick":  {"NODE", 1, 1, onNode(func(w *world, n *Node) error { delete(w.stuck, n.Index); return nil })},
		"crash":    {"NODE [SAVES]", 1, 2, (*world).doCrash},
		"start":    {"NODE", 1, 1, (*world).doStart},
		"propose":  {"NODE COMMAND", 2, 2, (*world).doPropose},
		"read":     {"NODE NAME", 2, 2, (*world).doRead},
		"change":   {"NODE add|promote|demote|remove NODE", 3, 3, (*world).doChange},
		"transfer": {"NODE NODE", 2, 2, (*world).doTransfer},
		"snapshot": {"NODE", 1, 1, onRunning((*world).doSnapshot)},
		"run":      {"", 0, 0, func(w *world, _ []string) error { return w.run() }},
		"settle":   {"", 0, 0, (*world).doSettle},
		"quiet":    {"COMMAND", 1, -1, func(w *world, args []string) error { return w.at(brief, args) }},
		"show":     {"NODE|all", 1, 1, (*world).doShow},
		"expect":   {"NODE|LINK|COMMAND|NAME KEY=VALUE|KEY!=VALUE...", 2, -1, (*world).doExpect},
	}
}

// do carries out one command of a script.
func (w *world) do(words []string) error {
	c, ok := scriptCommands()[words[0]]
	args := words[1:]
	switch {
	case !ok:
		return fmt.Errorf("there is no command %q; there are %s", words[0], strings.Join(sortedKeys(scriptCommands()), ", "))
	case len(args) < c.least || c.most >= 0 && len(args) > c.most:
		return fmt.Errorf("it takes other arguments: %s %s", words[0], c.usage)
	case w.Cluster == nil && words[0] != "cluster":
		return errors.New("a script begins with cluster")
	}
	return c.do(w, args)
}

// at carries out a command and prints no more of it than it is to.
func (w *world) at(l loudness, words []string) error {
	before := w.loud
	w.loud = min(w.loud, l)
	defer func() { w.loud = before }()
	return w.do(words)
}

func (w *world) nodeNamed(name string) (*Node, error) {
	for _, n := range w.Nodes {
		if n.String() == name {
			return n, nil
		}
	}
	return nil, fmt.Errorf("there is no node %q", name)
}

func (w *world) running(name string) (*Node, error) {
	n, err := w.nodeNamed(name)
	if err == nil && n.core == nil {
		err = fmt.Errorf("%v is down", n)
	}
	return n, err
}

// nodesNamed is one node, or all.
func (w *world) nodesNamed(name string) ([]*Node, error) {
	if name == "all" {
		return w.Nodes, nil
	}
	n, err := w.nodeNamed(name)
	return []*Node{n}, err
}

// linksNamed finds the links of FROM>TO, where * stands for any node, or those
// to and from a node.
func (w *world) linksNamed(name string) ([]link, error) {
	from, to, ok := strings.Cut(name, ">")
	for _, end := range []string{from, to} {
		if _, err := w.nodeNamed(end); err != nil && (!ok && end == from || ok && end != "*") {
			return nil, fmt.Errorf("%q is no link such as n0>n1, n0>* or *>n1: %w", name, err)
		}
	}
	var list []link
	for i, a := range w.Nodes {
		for j, b := range w.Nodes {
			fits := !ok && (a.String() == name || b.String() == name) || ok && (from == "*" || from == a.String()) && (to == "*" || to == b.String())
			if i != j && fits {
				list = append(list, link{i, j})
			}
		}
	}
	if len(list) == 0 {
		return nil, fmt.Errorf("%q is no link between two nodes", name)
	}
	return list, nil
}

func setLinks(set func(*world, link)) func(*world, []string) error {
	return func(w *world, args []string) error {
		for _, name := range args {
			links, err := w.linksNamed(name)
			if err != nil {
				return err
			}
			for _, l := range links {
				set(w, l)
			}
		}
		return nil
	}
}

func onNode(do func(*world, *Node) error) func(*world, []string) error {
	return func(w *world, args []string) error {
		n, err := w.nodeNamed(args[0])
		if err != nil {
			return err
		}
		return do(w, n)
	}
}

func onRunning(do func(*world, *Node) error) func(*world, []string) error {
	return onNode(func(w *world, n *Node) error {
		if n.core == nil {
			return fmt.Errorf("%v is down", n)
		}
		return do(w, n)
	})
}

// number is the argument at i, or what is meant without it.
func number(args []string, i, without int) (int, error) {
	if i >= len(args) {
		return without, nil
	}
	v, err := strconv.Atoi(args[i])
	if err != nil || v < 0 {
		return 0, fmt.Errorf("%q is no number", args[i])
	}
	return v, nil
}

func (w *world) doCluster(args []string) error {
	if w.Cluster != nil {
		return errors.New("there is a cluster already")
	}
	given := map[string]int{}
	for _, arg := range args {
		key, value, _ := strings.Cut(arg, "=")
		v, err := number([]string{value}, 0, 0)
		if err != nil {
			return fmt.Errorf("%s: %w", arg, err)
		}
		given[key] = v
	}
	voters, blank, expect := given["voters"], given["blank"], given["expect"]
	delete(given, "voters")
	delete(given, "expect")
	delete(given, "blank")
	if voters+blank < 1 || voters+blank > 9 {
		return errors.New("a cluster has 1 to 9 nodes")
	}
	fields := func(cfg *raft.Config) map[string]*int {
		return map[string]*int{
			"inflight": &cfg.MaxInflight, "append": &cfg.MaxAppendBytes, "stall": &cfg.StallTicks,
			"trail": &cfg.MaxTrailBytes, "unsaved": &cfg.MaxUnsavedBytes, "proposals": &cfg.MaxProposals,
		}
	}
	for key := range given {
		if fields(&raft.Config{})[key] == nil {
			return fmt.Errorf("there is no setting %q", key)
		}
	}
	w.build(voters, blank, expect, func(cfg *raft.Config) {
		to := fields(cfg)
		for key, v := range given {
			*to[key] = v
		}
	})
	return nil
}
