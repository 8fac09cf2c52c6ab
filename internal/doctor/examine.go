package doctor

import (
	"context"
	"slices"
	"time"

	"github.com/edgeraft/edgeraft/discovery"
	"github.com/edgeraft/edgeraft/mqttcomms"
	"github.com/edgeraft/edgeraft/raft"
)

// Limit bounds the whole examination, however stuck disk and network are.
const Limit = 15 * time.Second

// grace is what is left of the time to put together what was found.
const grace = 300 * time.Millisecond

// section is some checks that are made together, beside all other sections.
type section struct {
	group, check string
	run          func(context.Context) []Finding
	// late is said of a section that does not come to its end.
	late Level
	text string
}

// Examine makes all checks, and returns when ctx ends at the latest, with what was
// found until then. What hangs in the kernel is left behind.
func Examine(ctx context.Context, s Subject) []Finding {
	s.Agent.Group, s.Agent.Check = groupAgent, "agent"
	return append([]Finding{s.Agent}, gather(ctx, sections(thisHost(), s))...)
}

// gather runs all sections at once, and puts what they find in order.
func gather(ctx context.Context, all []section) []Finding {
	type result struct {
		n  int
		fs []Finding
	}
	within := ctx
	if end, ok := ctx.Deadline(); ok {
		var cancel context.CancelFunc
		within, cancel = context.WithDeadline(ctx, end.Add(-grace))
		defer cancel()
	}
	results := make(chan result, len(all)) // of a late one nobody takes it
	for n, x := range all {
		go func() { results <- result{n, x.run(within)} }()
	}
	bySection := make([][]Finding, len(all))
	came := make([]bool, len(all))
	take := func(r result) { bySection[r.n], came[r.n] = r.fs, true }
	for left := len(all); left > 0; left-- {
		select {
		case r := <-results:
			take(r)
			continue
		case <-ctx.Done():
		}
		select { // what is there already counts
		case r := <-results:
			take(r)
		default:
			left = 0
		}
	}
	var out []Finding
	for n, x := range all {
		if !came[n] {
			bySection[n] = []Finding{found(x.group, x.check, x.late, "%s", x.text).typing("dmesg | tail")}
		}
		out = append(out, bySection[n]...)
	}
	slices.SortStableFunc(out, func(a, b Finding) int {
		return slices.Index(Groups, a.Group) - slices.Index(Groups, b.Group)
	})
	return out
}

// sections are the checks in the order in which they are shown within a group.
func sections(h host, s Subject) []section {
	return []section{
		{groupFiles, "files", func(context.Context) []Finding { return h.files(s) }, Error, "looking at the files did not end in time: the disk does not answer"},
		{groupStorage, "file system", func(context.Context) []Finding { return h.storage(s) }, Error, "looking at the file system did not end in time: the disk does not answer"},
		{groupStorage, checkSpeed, func(ctx context.Context) []Finding { return []Finding{speed(ctx, s.DataDir, s.Measure)} }, Error,
			"not one synced write came back in time: the disk is stuck"},
		{groupNetwork, "ports", func(context.Context) []Finding { return h.ports(s) }, Note, "looking who uses the ports did not end in time"},
		{groupNetwork, "firewall", func(ctx context.Context) []Finding { return h.firewall(ctx, s) }, Note, "reading the rules of the firewall did not end in time"},
		{groupNetwork, checkMulticast, func(ctx context.Context) []Finding { return multicast(ctx, s) }, Note, "asking by multicast did not end in time"},
		{groupNetwork, "members", func(ctx context.Context) []Finding { return h.reach(ctx, s) }, Note, "asking the other devices did not end in time"},
		{groupBroker, "broker", func(ctx context.Context) []Finding { return brokers(ctx, s) }, Error, "the brokers did not answer in time"},
		{groupMachine, "machine", func(context.Context) []Finding { return h.machine(s, time.Now()) }, Note, "looking at the machine did not end in time"},
	}
}

// multicast asks on all interfaces.
func multicast(ctx context.Context, s Subject) []Finding {
	if s.UDP == "" {
		return nil
	}
	if !s.Multicast {
		return []Finding{found(groupNetwork, checkMulticast, OK, "it is not wanted (discovery is off)")}
	}
	q := discovery.Question{Cluster: s.Cluster, Interfaces: s.Interfaces}
	if s.Status != nil {
		q.Self = raft.NodeID(s.Status.Node.ID)
	}
	heard, err := discovery.Ask(ctx, q)
	if err != nil {
		return []Finding{found(groupNetwork, checkMulticast, Note, "%v", err)}
	}
	return judgeMulticast(heard, s.Status)
}

// brokers tries all brokers.
func brokers(ctx context.Context, s Subject) []Finding {
	if !s.MQTT {
		return nil
	}
	var out []Finding
	for _, x := range mqttcomms.Examine(ctx, s.Brokers, s.Cluster) {
		out = append(out, judgeBroker(x, s, time.Now())...)
	}
	return out
}
