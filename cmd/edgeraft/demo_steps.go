package main

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
)

// commitEverywhere proposes and puts on every device, and reads each key on
// another than it was put on.
func (d *demo) commitEverywhere(ctx context.Context) error {
	if err := d.commit(ctx, "hello", d.agents); err != nil {
		return err
	}
	for i, a := range d.agents {
		other := d.agents[(i+1)%len(d.agents)]
		got, err := other.client.Get(ctx, "from/"+a.name, client.GetOptions{})
		if err != nil {
			return fmt.Errorf("get from/%s on %s: %w", a.name, other.name, err)
		}
		if want := "hello from " + a.name; string(got.Value) != want {
			return fmt.Errorf("from/%s on %s is %q, not %q", a.name, other.name, got.Value, want)
		}
	}
	d.say("Each key, read on another device than it was put on, has its value.")
	return nil
}

// commit proposes a command and puts a key on each of the agents.
func (d *demo) commit(ctx context.Context, word string, on []*demoAgent) error {
	for _, a := range on {
		text := word + " from " + a.name
		applied, err := a.client.Propose(ctx, []byte(text))
		if err != nil {
			return fmt.Errorf("propose %q on %s: %w", text, a.name, err)
		}
		d.acked[text] = applied.Index
		index, err := a.client.Put(ctx, "from/"+a.name, []byte(text), client.PutOptions{})
		if err != nil {
			return fmt.Errorf("put from/%s: %w", a.name, err)
		}
		d.last = max(d.last, index)
		d.say("Committed on %-5s: command %q at index %d, key from/%s at index %d.", a.name, text, applied.Index, a.name, index)
	}
	return nil
}

// killLeader kills the leader as a power cut would: without a word.
func (d *demo) killLeader(ctx context.Context) error {
	for _, a := range d.agents {
		st, err := a.client.Status(ctx)
		if err != nil {
			return fmt.Errorf("status of %s: %w", a.name, err)
		}
		if st.Node.ID == st.Cluster.Leader {
			d.killed, d.killing = a, time.Now()
			d.say("Killing the leader, %s (process %d), with SIGKILL.", a.name, a.pid())
			return a.kill()
		}
	}
	return errNothingToKill
}

func (d *demo) survivors() []*demoAgent {
	return slices.DeleteFunc(slices.Clone(d.agents), func(a *demoAgent) bool { return a == d.killed })
}

// commitWithoutIt shows that the majority elects and goes on.
func (d *demo) commitWithoutIt(ctx context.Context) error {
	first := d.survivors()[0]
	text := "first after the kill"
	applied, err := first.client.Propose(ctx, []byte(text))
	if err != nil {
		return fmt.Errorf("propose %q on %s: %w", text, first.name, err)
	}
	d.acked[text] = applied.Index
	d.say("Committed on %-5s: command %q at index %d in term %d, %.2f s after the kill.",
		first.name, text, applied.Index, applied.Term, time.Since(d.killing).Seconds())
	st, err := first.awaitStatus(ctx, func(st api.Status) bool { return st.Cluster.Leader != "" })
	if err != nil {
		return err
	}
	d.say("The others elected %s in term %d.", st.Cluster.LeaderName, st.Node.Term)
	return d.commit(ctx, "without "+d.killed.name, d.survivors())
}

// restartKilled starts the dead device again, from its database.
func (d *demo) restartKilled(ctx context.Context) error {
	if err := d.killed.start(); err != nil {
		return err
	}
	d.say("Starting %s again from its database: process %d.", d.killed.name, d.killed.pid())
	st, err := d.killed.awaitStatus(ctx, func(st api.Status) bool { return st.Node.Applied >= d.last })
	if err != nil {
		return fmt.Errorf("wait until %s has caught up: %w", d.killed.name, err)
	}
	d.say("Device %s has caught up: it is a %s and has applied index %d.", d.killed.name, st.Node.Role, st.Node.Applied)
	return d.commit(ctx, "back", []*demoAgent{d.killed})
}

// compare reads the whole history and all keys on each device: they must be
// the same, and hold every acknowledged command once, where it was said to be.
func (d *demo) compare(ctx context.Context) error {
	var history, keys []byte
	for i, a := range d.agents {
		// A linearizable read first, so that the history is complete here.
		list, err := a.client.List(ctx, "", client.ListOptions{})
		if err != nil {
			return fmt.Errorf("list the keys on %s: %w", a.name, err)
		}
		commands, text, err := a.history(ctx, d.last)
		if err != nil {
			return fmt.Errorf("read the history on %s: %w", a.name, err)
		}
		if err := d.checkAcked(a, commands); err != nil {
			return err
		}
		items := describe(list)
		if i == 0 {
			history, keys = text, items
			continue
		}
		if !bytes.Equal(text, history) || !bytes.Equal(items, keys) {
			return fmt.Errorf("%s and %s differ:\n%s%s-- and --\n%s%s", d.agents[0].name, a.name, history, keys, text, items)
		}
	}
	d.say("All three devices hold the same %d commands and changes in the same order, and the same %d keys.",
		bytes.Count(history, []byte("\n")), bytes.Count(keys, []byte("\n")))
	return nil
}

func (d *demo) checkAcked(a *demoAgent, commands map[string][]uint64) error {
	for text, index := range d.acked {
		if at := commands[text]; len(at) != 1 || at[0] != index {
			return fmt.Errorf("%q was acknowledged at index %d, but %s has it at %v", text, index, a.name, at)
		}
	}
	return nil
}

func describe(list api.List) []byte {
	var b bytes.Buffer
	for _, item := range list.Items {
		fmt.Fprintf(&b, "%s at %d\n", item.Key, item.Index)
	}
	return b.Bytes()
}

// showStatus prints what `edgeraft status` shows on the leader. Every device
// must be healthy.
func (d *demo) showStatus(ctx context.Context) error {
	for _, a := range d.agents {
		st, err := a.awaitStatus(ctx, func(st api.Status) bool { return st.Healthy && len(st.Warnings) == 0 })
		if err != nil {
			return fmt.Errorf("wait until %s is healthy and warns of nothing: %w", a.name, err)
		}
		if st.Node.ID == st.Cluster.Leader {
			d.say("`edgeraft status` on %s:", a.name)
			var b strings.Builder
			printStatus(&b, st)
			for line := range strings.Lines(b.String()) {
				fmt.Fprint(d.out, "          ", line)
			}
		}
	}
	return nil
}

// stopAgents ends the agents as systemd would, and expects them to end well.
func (d *demo) stopAgents(context.Context) error {
	for _, a := range d.agents {
		if err := a.stop(); err != nil {
			return fmt.Errorf("stop %s: %w", a.name, err)
		}
	}
	d.say("All three agents stopped when asked to.")
	return nil
}
