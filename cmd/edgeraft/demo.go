package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/discovery"
	"github.com/edgeraft/edgeraft/internal/show"
)

// demoOptions are the flags of `edgeraft demo`.
type demoOptions struct {
	Timeout time.Duration // for the whole demonstration
	Verbose bool          // show what the agents log
	NoMDNS  bool          // use configured peers even where multicast works
}

// runDemo shows the main job with three real agent processes on this machine
// and returns 0 only if every check in it held.
func runDemo(ctx context.Context, o demoOptions, stdout, stderr io.Writer) int {
	ctx, cancel := context.WithTimeout(ctx, o.Timeout)
	defer cancel()
	d := &demo{out: stdout, begun: time.Now()}
	err := d.run(ctx, o, stderr)
	if err != nil {
		d.say("FAILED: %v", err)
		d.showLogs(stderr)
	}
	if err := d.cleanUp(); err != nil {
		d.say("FAILED to clean up: %v", err)
		return exitNo
	}
	if err != nil {
		return exitNo
	}
	d.say("Every check held. Nothing is left behind.")
	return exitDone
}

// demo is one demonstration under way.
type demo struct {
	out     io.Writer
	begun   time.Time
	dir     string
	agents  []*demoAgent
	acked   map[string]uint64 // what was proposed, and the index it was acknowledged at
	last    uint64            // the highest index that was acknowledged
	killed  *demoAgent
	killing time.Time
}

// say prints a sentence, with the time since the start.
func (d *demo) say(format string, args ...any) {
	fmt.Fprintf(d.out, "%6.2f s  %s\n", time.Since(d.begun).Seconds(), fmt.Sprintf(format, args...))
}

var demoNames = []string{"red", "green", "blue"}

func (d *demo) run(ctx context.Context, o demoOptions, stderr io.Writer) error {
	var err error
	if d.dir, err = os.MkdirTemp("", "edgeraft-demo-"); err != nil {
		return fmt.Errorf("make a directory for the demonstration: %w", err)
	}
	d.acked = map[string]uint64{}
	steps := []func(context.Context) error{
		func(ctx context.Context) error { return d.startAgents(ctx, o, stderr) },
		d.found, d.formCluster, d.commitEverywhere, d.killLeader, d.commitWithoutIt,
		d.restartKilled, d.compare, d.showStatus, d.stopAgents,
	}
	for _, step := range steps {
		if err := step(ctx); err != nil {
			if ctx.Err() != nil {
				return fmt.Errorf("it took too long or was interrupted: %w", err)
			}
			return err
		}
	}
	return nil
}

// startAgents starts three agents that know nothing: no key, no address.
func (d *demo) startAgents(ctx context.Context, o demoOptions, stderr io.Writer) error {
	mdns := !o.NoMDNS && len(discovery.Usable(nil)) > 0
	if mdns {
		d.say("Starting three agents with nothing configured; they will find each other by mDNS on %v.", discovery.Usable(nil))
	} else {
		d.say("No network interface here can do multicast (or --no-mdns was given), so the agents cannot find each other by mDNS.")
		d.say("Starting three agents with configured peer addresses instead, the fallback for such networks.")
	}
	ports := make([]int, len(demoNames))
	if !mdns {
		var err error
		if ports, err = freePorts(len(demoNames)); err != nil {
			return err
		}
	}
	for i, name := range demoNames {
		a, err := newDemoAgent(d.dir, name, ports, i, mdns)
		if err != nil {
			return err
		}
		if o.Verbose {
			a.verbose = stderr
		}
		d.agents = append(d.agents, a)
		if err := a.start(); err != nil {
			return err
		}
	}
	for _, a := range d.agents {
		st, err := a.awaitStatus(ctx, func(api.Status) bool { return true })
		if err != nil {
			return err
		}
		d.say("Device %-5s runs as process %d, ID %s.", a.name, a.pid(), show.ShortID(st.Node.ID))
	}
	return nil
}

// found founds the cluster on the first device and gives the others its key.
func (d *demo) found(ctx context.Context) error {
	setup, err := d.agents[0].client.Init(ctx)
	if err != nil {
		return fmt.Errorf("edgeraft init on %s: %w", d.agents[0].name, err)
	}
	d.say("`edgeraft init` on red: cluster %s.", setup.ClusterID)
	for _, a := range d.agents[1:] {
		if _, err := a.client.Join(ctx, setup.Key); err != nil {
			return fmt.Errorf("edgeraft join on %s: %w", a.name, err)
		}
	}
	d.say("`edgeraft join KEY` on green and blue: the key is all they are given.")
	return nil
}

// formCluster waits until the three found each other and all may vote.
func (d *demo) formCluster(ctx context.Context) error {
	for _, a := range d.agents {
		st, err := a.awaitStatus(ctx, func(st api.Status) bool {
			return st.Cluster.Leader != "" && voters(st) == len(d.agents)
		})
		if err != nil {
			return fmt.Errorf("form one cluster: %w", err)
		}
		d.say("Device %-5s is a voter and sees %s lead in term %d.", a.name, st.Cluster.LeaderName, st.Node.Term)
	}
	return nil
}

func voters(st api.Status) int {
	n := 0
	for _, m := range st.Members {
		if m.Role == "voter" {
			n++
		}
	}
	return n
}

var errNothingToKill = errors.New("no device says that it leads")
