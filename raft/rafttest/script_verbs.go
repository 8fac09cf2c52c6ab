package rafttest

import (
	"errors"
	"fmt"

	"github.com/edgeraft/edgeraft/raft"
)

func (w *world) doFound(args []string) error {
	return onRunning(func(w *world, n *Node) error {
		w.event(n, func() { w.refused = w.Found(n.Index, ClusterID) })
		return nil
	})(w, args)
}

// doElect prints only what came of it.
func (w *world) doElect(args []string) error {
	return onRunning(func(w *world, n *Node) error {
		loud := w.loud
		w.loud = silent
		err := w.elect(n)
		w.loud = loud
		w.show(n)
		return err
	})(w, args)
}

func (w *world) doSettle([]string) error {
	loud := w.loud
	w.loud = silent
	err := w.run()
	w.loud = loud
	for _, n := range w.Nodes {
		w.show(n)
	}
	return err
}

func (w *world) doShow(args []string) error {
	nodes, err := w.nodesNamed(args[0])
	if err != nil {
		return err
	}
	for _, n := range nodes {
		w.show(n)
	}
	return nil
}

func (w *world) doTick(args []string) error {
	nodes, err := w.nodesNamed(args[0])
	if err != nil {
		return err
	}
	times, err := number(args, 1, 1)
	if err != nil {
		return err
	}
	for range times {
		for _, n := range nodes {
			if n.core != nil {
				w.tick(n)
			}
		}
	}
	return nil
}

// doPass lets real time pass, which everyone's clock shows and nobody notices:
// ticks are given by other commands.
func (w *world) doPass(args []string) error {
	ms, err := number(args, 0, 0)
	if err != nil {
		return err
	}
	w.clock.now += Time(ms)
	for _, n := range w.Nodes {
		n.ticked = w.clock.now
		w.event(n, func() { w.input(n, "", func(*raft.Core) {}) })
	}
	return nil
}

// doBeat lets a leader's heartbeats pass, with all that comes of each.
func (w *world) doBeat(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	times, err := number(args, 1, 1)
	if err != nil {
		return err
	}
	for range times {
		for range HeartbeatTicks {
			w.tick(n)
		}
		if err := w.run(); err != nil {
			return err
		}
	}
	return nil
}

// waiting finds the message of a link that is named by its kind: the first.
func (w *world) waiting(l link, kind string) (int, bool) {
	for i, m := range w.links[l] {
		if kind == "" || kindOf(m) == kind {
			return i, true
		}
	}
	return 0, false
}

// doDeliver delivers what waits in links now, or of each the first of a kind,
// or a message that was put aside.
func (w *world) doDeliver(args []string) error {
	deliver := func(m raft.Message) {
		w.say(full, "%s gets %s's %s", nodeName(m.To), nodeName(m.From), tellMessage(m))
		w.hand(m)
	}
	if m, ok := w.kept[args[0]]; ok && len(args) == 1 {
		deliver(m)
		return nil
	}
	return w.takeAll(args, deliver)
}

func (w *world) doDrop(args []string) error {
	return w.takeAll(args, func(m raft.Message) {
		w.say(full, "%s>%s loses %s", nodeName(m.From), nodeName(m.To), tellMessage(m))
	})
}

func (w *world) takeAll(args []string, do func(raft.Message)) error {
	links, err := w.linksNamed(args[0])
	if err != nil {
		return err
	}
	kind := ""
	if len(args) > 1 {
		kind = args[1]
	}
	var batch []raft.Message
	for _, l := range links {
		for n := len(w.links[l]); n > 0; n-- {
			i, ok := w.waiting(l, kind)
			if !ok {
				break
			}
			if batch = append(batch, w.take(l, i)); kind != "" {
				break
			}
		}
	}
	if len(batch) == 0 {
		return errors.New("no such message waits there")
	}
	for _, m := range batch {
		do(m)
	}
	return nil
}

func (w *world) doKeep(args []string) error { return w.putAside(args, true) }

func (w *world) doCopy(args []string) error { return w.putAside(args, false) }

func (w *world) putAside(args []string, remove bool) error {
	links, err := w.linksNamed(args[0])
	if err != nil {
		return err
	}
	for _, l := range links {
		if i, ok := w.waiting(l, args[1]); ok {
			w.kept[args[2]] = w.links[l][i]
			w.say(full, "%s is %v %s", args[2], l, tellMessage(w.links[l][i]))
			if remove {
				w.take(l, i)
			}
			return nil
		}
	}
	return fmt.Errorf("no %s waits there", args[1])
}

// doDamage changes the first byte of the first piece of a snapshot in a link.
func (w *world) doDamage(args []string) error {
	links, err := w.linksNamed(args[0])
	if err != nil {
		return err
	}
	for _, l := range links {
		if i, ok := w.waiting(l, "piece"); ok {
			b := w.links[l][i].Body.(raft.SnapshotRequest)
			b.Data = append([]byte(nil), b.Data...)
			b.Data[0]++
			w.links[l][i].Body = b
			return nil
		}
	}
	return errors.New("no piece with data waits there")
}

// saves is how many saves of a node the argument at 1 means.
func (w *world) saves(n *Node, args []string, without int) (int, error) {
	k, err := number(args, 1, without)
	if err == nil && k > len(n.Disk.queue) {
		err = fmt.Errorf("%v has %d saves under way", n, len(n.Disk.queue))
	}
	return k, err
}

func (w *world) doSync(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	k, err := w.saves(n, args, len(n.Disk.queue))
	if err == nil && k == 0 {
		err = fmt.Errorf("%v has no save under way", n)
	}
	if err != nil {
		return err
	}
	w.sync(n, k)
	return nil
}

func (w *world) doCrash(args []string) error {
	n, err := w.running(args[0])
	if err != nil {
		return err
	}
	k, err := w.saves(n, args, 0)
	if err != nil {
		return err
	}
	w.crash(n, k)
	return nil
}

func (w *world) doStart(args []string) error {
	n, err := w.nodeNamed(args[0])
	if err != nil {
		return err
	}
	if n.core != nil {
		return fmt.Errorf("%v runs", n)
	}
	w.start(n)
	return nil
}
