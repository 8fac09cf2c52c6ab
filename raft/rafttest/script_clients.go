package rafttest

import (
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

// doPropose proposes a command. It is known by what it says from then on.
func (w *world) doPropose(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	name := args[1]
	if err := w.unused(name); err != nil {
		return err
	}
	w.sent, w.refused = nil, nil
	before := w.picture(n)
	before.open = append(before.open, name)
	w.proposed[name] = w.Propose(n.Index, []byte(name))
	w.tell(n, before)
	return nil
}

// doRead asks for a linearizable read, which gets a name.
func (w *world) doRead(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	name := args[1]
	if err := w.unused(name); err != nil {
		return err
	}
	w.sent, w.refused = nil, nil
	before := w.picture(n)
	before.reads = append(before.reads, name)
	w.asked[name] = w.Read(n.Index)
	w.tell(n, before)
	return nil
}

func (w *world) unused(name string) error {
	_, node := w.nodeNamed(name)
	if w.proposed[name] != nil || w.asked[name] != nil || node == nil {
		return fmt.Errorf("%q is the name of something else", name)
	}
	return nil
}

var changeKinds = map[string]raft.ChangeKind{
	"add": raft.AddLearner, "promote": raft.Promote, "demote": raft.Demote, "remove": raft.Remove,
}

func (w *world) doChange(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	kind, ok := changeKinds[args[1]]
	if !ok {
		return fmt.Errorf("there is no change %q", args[1])
	}
	who, err := w.nodeNamed(args[2])
	if err != nil {
		return err
	}
	w.event(n, func() {
		w.refused = w.Change(n.Index, raft.Change{Kind: kind, ID: who.ID, Name: who.String()})
	})
	return nil
}

func (w *world) doTransfer(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	to, err := w.nodeNamed(args[1])
	if err != nil {
		return err
	}
	w.event(n, func() { w.refused = w.Transfer(n.Index, to.Index) })
	return nil
}

func (w *world) doSnapshot(n *Node) error {
	w.event(n, func() { w.TakeSnapshot(n.Index) })
	return nil
}
