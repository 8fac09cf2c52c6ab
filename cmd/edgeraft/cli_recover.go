package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"slices"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
)

var recoverCommand = command{
	name: "recover", scope: scopeSetup, json: true,
	summary: "bring back a cluster whose majority is gone for good",
	details: "Makes a cluster of one of what this device has; others then join it as new devices. Run it on the\n" +
		"survivor that has the most, once: it compares what it hears of the others, and --show tells what\n" +
		"each has where they cannot hear each other. It works whether the agent runs or not, keeps a copy\n" +
		"of the database, and asks first; scripts give --yes and, so that it is done once, --cluster-id.\n" +
		"What the lost devices had and this one has not is lost. They can never again commit anything\n" +
		"with it: the cluster gets a new UUID. Should they come back: edgeraft join --as-new on each.",
	example: "edgeraft recover --show      # on each survivor: who has the most?\nedgeraft recover",
	define: func(fs *flag.FlagSet) action {
		var o recoverOptions
		fs.BoolVar(&o.show, "show", false, "tell what this device has, and what it hears of others, and do nothing")
		fs.BoolVar(&o.yes, "yes", false, "do not ask; needs --cluster-id")
		fs.StringVar(&o.clusterID, "cluster-id", "", "the `UUID` of the cluster that is lost")
		fs.BoolVar(&o.although, "although-behind", false, "take what this device has although another survivor has more")
		return func(ctx context.Context, inv *invocation) error {
			if o.yes && o.clusterID == "" {
				return usageError{"--yes needs --cluster-id, the UUID that `edgeraft recover --show` tells"}
			}
			return inv.recover(ctx, o)
		}
	},
}

type recoverOptions struct {
	show, yes, although bool
	clusterID           string
}

func (inv *invocation) recover(ctx context.Context, o recoverOptions) error {
	c, origins, err := inv.configOrigins()
	if err != nil {
		return err
	}
	agent := client.New(agentSocket(c.Socket, origins["socket"] != "", config.SystemSocket))
	defer agent.Close()
	one, cancel := context.WithTimeout(ctx, inv.timeout)
	status, err := agent.Status(one)
	cancel()
	running := !isAbsent(err)
	if !running {
		status, err = storedStatus(ctx, c)
	}
	if err != nil {
		return err
	}
	s := survivorOf(status, running)
	if s.ClusterID == "" {
		return errors.New("this device belongs to no cluster, so there is nothing to be recovered; see edgeraft why")
	}
	if o.show && inv.json {
		return inv.sayJSON(s)
	}
	inv.showSurvivor(s)
	if o.show {
		return nil
	}
	if o.clusterID != "" && o.clusterID != s.ClusterID {
		if s.cameOf(o.clusterID) {
			return inv.sayRecovered(api.Recovered{ClusterID: s.ClusterID, Was: o.clusterID, Already: true}, running)
		}
		return fmt.Errorf("this device belongs to the cluster %s, not to %s, and nothing was changed", s.ClusterID, o.clusterID)
	}
	if err := s.refuse(o.although); err != nil {
		return err
	}
	inv.showLoss(s)
	if !o.yes {
		if err := inv.confirm(ctx, "recover "+s.Cluster, "--yes --cluster-id "+s.ClusterID); err != nil {
			return err
		}
	}
	recovered, err := inv.doRecover(ctx, agent, c, s, o)
	if err != nil {
		return err
	}
	return inv.sayRecovered(recovered, running)
}

func (inv *invocation) doRecover(ctx context.Context, socket *client.Client, c config.Config, s survivor, o recoverOptions) (api.Recovered, error) {
	if !s.Running {
		return agent.RecoverOffline(ctx, c, s.ClusterID)
	}
	ctx, cancel := context.WithTimeout(ctx, inv.timeout)
	defer cancel()
	return socket.Recover(ctx, api.RecoverRequest{ClusterID: s.ClusterID, AlthoughBehind: o.although})
}

func (inv *invocation) sayRecovered(r api.Recovered, running bool) error {
	switch {
	case inv.json:
		return inv.sayJSON(r)
	case r.Already:
		inv.say("This device was recovered already: from %s, as %s. Nothing was changed now.", r.Was, r.ClusterID)
		return nil
	}
	inv.say("This device is now a cluster of its own: %s, which goes on at index %d.", r.ClusterID, r.Index)
	inv.say("What was before is kept in %s; delete it when all is well.", show.Printable(r.KeptAs))
	if !running {
		inv.say("Now start the agent: systemctl start edgeraft, or: edgeraft run")
	}
	inv.say("\nOn each other device of the old cluster, also on those that come back later, type:\n  edgeraft join --as-new")
	inv.say("On new devices: edgeraft join KEY. The key is the same as before.")
	return nil
}

// survivor is what one device has, and what it hears of the others. It is the
// JSON of recover --show.
type survivor struct {
	Cluster   string         `json:"cluster"`
	ClusterID string         `json:"cluster_id"`
	ID        string         `json:"id"`
	Name      string         `json:"name"`
	Running   bool           `json:"running"`
	LastTerm  uint64         `json:"last_term"`
	LastIndex uint64         `json:"last_index"`
	Commit    uint64         `json:"commit"` // at least
	Leader    string         `json:"leader,omitempty"`
	Removed   bool           `json:"removed,omitempty"`
	Successor bool           `json:"recovered_elsewhere,omitempty"` // a device of a cluster that came of this one was heard
	Quorum    int            `json:"quorum"`
	Heard     int            `json:"heard"` // voters, this device among them; 0 where no agent runs
	Others    []survivorPeer `json:"others"`
}

type survivorPeer struct {
	ID        string `json:"id"`
	Name      string `json:"name"`
	Role      string `json:"role"`
	Heard     bool   `json:"heard"`
	LastTerm  uint64 `json:"last_term,omitempty"` // 0: not known
	LastIndex uint64 `json:"last_index,omitempty"`
}

// heardLatelyMS is how recent a contact must be to count as a sign of life.
const heardLatelyMS = 5_000

func survivorOf(st api.Status, running bool) survivor {
	s := survivor{
		Cluster: st.Cluster.Name, ClusterID: st.Cluster.ID, ID: st.Node.ID, Name: st.Node.Name, Running: running,
		LastTerm: st.Node.LastTerm, LastIndex: st.Node.Last, Commit: st.Node.Commit,
		Leader: st.Cluster.Leader, Removed: st.Node.State == "removed", Others: []survivorPeer{},
	}
	s.Successor = slices.ContainsFunc(st.Warnings, func(w api.Warning) bool { return w.Code == "recovered_without" })
	voters := 0
	for _, m := range st.Members {
		heard := m.Self && running || m.LastContactMS != nil && *m.LastContactMS < heardLatelyMS
		if m.Role == raft.Voter.String() {
			voters++
			if heard {
				s.Heard++
			}
		}
		if !m.Self {
			s.Others = append(s.Others, survivorPeer{ID: m.ID, Name: m.Name, Role: m.Role, Heard: heard, LastTerm: m.LastTerm, LastIndex: m.LastIndex})
		}
	}
	s.Quorum = voters/2 + 1
	return s
}

// cameOf reports whether the device's cluster was recovered from this one.
func (s survivor) cameOf(cluster string) bool {
	own, err := raft.ParseClusterID(s.ClusterID)
	was, bad := raft.ParseClusterID(cluster)
	return err == nil && bad == nil && own.Succeeds(was)
}

func (p survivorPeer) beyond(s survivor) bool {
	own := raft.Holding{Index: raft.Index(s.LastIndex), Term: raft.Term(s.LastTerm)}
	return p.Heard && raft.Holding{Index: raft.Index(p.LastIndex), Term: raft.Term(p.LastTerm)}.Beyond(own)
}

// refuse says why it must not be done, nil if it may. The agent looks again.
func (s survivor) refuse(althoughBehind bool) error {
	switch {
	case s.Successor:
		return errors.New("this cluster was recovered already on another device, so nothing was changed; to come into what it is now: edgeraft join --as-new")
	case s.Leader != "":
		return errors.New("the cluster has a leader, so it works, and nothing was changed; to be rid of members that are gone: edgeraft members remove")
	case s.Running && s.Heard >= s.Quorum:
		return fmt.Errorf("%d voters are heard, which is a majority, so the cluster will work by itself, and nothing was changed; see edgeraft why", s.Heard)
	}
	for _, p := range s.Others {
		if p.beyond(s) && !althoughBehind {
			return fmt.Errorf("%s (%s) has more of the log than this device, and nothing was changed; recover there, and then, here: edgeraft join --as-new", show.Printable(p.Name), show.ShortID(p.ID))
		}
	}
	return nil
}

// storedStatus is what the database tells where no agent runs.
func storedStatus(ctx context.Context, c config.Config) (api.Status, error) {
	in, err := boltlog.Inspect(ctx, c.DataDir)
	if err != nil {
		return api.Status{}, err
	}
	st := api.Status{
		Node:    api.Node{ID: string(in.Identity.ID), Name: c.Name, Term: uint64(in.Stored.State.Term), Commit: uint64(in.Stored.State.Commit)},
		Cluster: api.Cluster{Name: c.Cluster},
	}
	if id := in.Stored.State.Cluster; !id.IsZero() {
		st.Cluster.ID = id.String()
	}
	conf := &raft.Configuration{}
	if s := in.Stored.Snapshot; s != nil {
		st.Node.Last, st.Node.LastTerm, conf = uint64(s.Index), uint64(s.Term), s.Config
	}
	for _, e := range in.Stored.Entries {
		if uint64(e.Index) > st.Node.Last {
			st.Node.Last, st.Node.LastTerm = uint64(e.Index), uint64(e.Term)
			if e.Kind == raft.EntryConfig {
				conf = e.Config
			}
		}
	}
	for _, m := range conf.Members {
		st.Members = append(st.Members, api.Member{ID: string(m.ID), Name: m.Name, Role: m.Role.String(), Self: m.ID == in.Identity.ID})
	}
	return st, nil
}

func (inv *invocation) showSurvivor(s survivor) {
	out := inv.stderr
	how := "its agent runs"
	if !s.Running {
		how = "no agent runs"
	}
	fmt.Fprintf(out, "Cluster %s (%s)\n", show.Printable(s.Cluster), s.ClusterID)
	fmt.Fprintf(out, "  this device, %s (%s): entries up to %d of term %d, known to be committed up to %d; %s\n",
		show.Printable(s.Name), show.ShortID(s.ID), s.LastIndex, s.LastTerm, s.Commit, how)
	for _, p := range s.Others {
		line := "not heard"
		switch {
		case !s.Running:
			line = "not known, since no agent runs here; run edgeraft recover --show there"
		case !p.Heard && p.Role != raft.Voter.String():
			line = "a learner, which says nothing while there is no leader; if it survives, run edgeraft recover --show there"
		case p.Heard && p.LastTerm > 0:
			line = fmt.Sprintf("heard; entries up to %d of term %d", p.LastIndex, p.LastTerm)
		case p.Heard:
			line = "heard; what it has is not known: run edgeraft recover --show there"
		}
		fmt.Fprintf(out, "  %s (%s), %s: %s\n", show.Printable(p.Name), show.ShortID(p.ID), p.Role, line)
	}
}

// showLoss says precisely what may be lost.
func (inv *invocation) showLoss(s survivor) {
	out := inv.stderr
	fmt.Fprintf(out, "\nWhat will be:\n")
	fmt.Fprintf(out, "- All that this device has is kept: the entries up to %d. Up to %d that is all that was ever acknowledged; those\n  behind may never have been acknowledged to anybody, and are kept all the same.\n", s.LastIndex, s.Commit)
	fmt.Fprintf(out, "- What was acknowledged with an index above %d, and is not here, is lost: only the devices that are gone had it.\n  How much that is nobody can tell. If another survivor has more, recover there instead.\n", s.Commit)
	fmt.Fprintf(out, "- The cluster gets a new UUID, and this device as its only member. None of the others can commit anything with\n  it any more; on each, edgeraft join --as-new brings it in as a new device, and throws away what it has.\n")
	fmt.Fprintf(out, "- Should a majority of the others not be gone but cut off, there will be two clusters that both work, each\n  without the other's changes. Make sure that they are off.\n")
	if !s.Running {
		fmt.Fprintf(out, "- No agent runs here, so nobody was asked whether the cluster works without this device, and what the others\n  have: look with edgeraft status on one of them, and run edgeraft recover --show on each survivor first.\n")
	}
	fmt.Fprintln(out)
}
