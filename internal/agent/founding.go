package agent

import (
	"fmt"
	"strings"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/raft"
)

// foundingConfig is the part of this device in a founding. One that lost its
// storage may have belonged to a cluster, which is then to be joined and not
// founded again.
func foundingConfig(cfg config.Config, id boltlog.Identity) raft.FoundingConfig {
	f := raft.FoundingConfig{Expect: cfg.BootstrapExpect, Name: cfg.Name, MaxVoters: cfg.MaxVoters}
	if len(id.Replaces) > 0 {
		f.Expect = 0
	}
	return f
}

// apiFounding is how a founding stands, nil for none.
func apiFounding(f *raft.FoundingStatus, self api.Node) *api.Founding {
	if f == nil {
		return nil
	}
	out := &api.Founding{Expect: f.Expect, Heard: []api.Founder{{ID: self.ID, Name: self.Name}}}
	for _, m := range f.Heard {
		out.Heard = append(out.Heard, api.Founder{ID: string(m.ID), Name: m.Name})
	}
	if f.Accepted != nil {
		out.ClusterID = f.Accepted.Cluster.String()
		for _, m := range f.Accepted.Config.Members {
			out.Agreed = append(out.Agreed, api.Founder{ID: string(m.ID), Name: m.Name})
		}
	}
	return out
}

// foundingWarning says what a blank device waits for that founds a cluster with
// others.
func (d *device) foundingWarning(f *raft.FoundingStatus) api.Warning {
	self := api.Node{ID: string(d.self), Name: d.cfg.Name}
	a := apiFounding(f, self)
	w := api.Warning{Code: "founding", Next: "edgeraft status   (on the devices that are missing)"}
	heard := fmt.Sprintf("%d of %d devices are there: %s (%s)", len(a.Heard), f.Expect, founders(a.Heard), d.searching())
	switch {
	case f.Other != "":
		w.Message = fmt.Sprintf("bootstrap_expect is %d here and %d on %s, so no cluster is founded. Give all devices the same.", f.Expect, f.Odd, f.Other)
	case f.Hold:
		w.Message = fmt.Sprintf("A cluster %q with this key exists; this device waits to be admitted.", d.cfg.Cluster)
		w.Next = "edgeraft status   (on a member)"
	case len(a.Heard) >= 2*max(f.Expect, 1):
		w.Message = fmt.Sprintf("%s. Twice as many as bootstrap_expect could found two clusters: they wait until more than half agree. Raise it to more than half of them.", heard)
	case f.Accepted != nil && missing(a) != "":
		w.Message = fmt.Sprintf("It was agreed to found a cluster of %s, which needs %d devices to be completed; %s. Not heard: %s. If they are gone for good, stop the agents that are left and delete %s on them.",
			founders(a.Agreed), max(f.Expect, 2), heard, missing(a), d.cfg.DataDir)
	case f.Expect == 0:
		w.Message = fmt.Sprintf("It was agreed to found a cluster of %s, and bootstrap_expect has been removed since. Set it again.", founders(a.Agreed))
	default:
		w.Message = "Waiting to found a cluster together: " + heard + "."
	}
	return w
}

// missing names those that were agreed upon and are not heard, "" for nobody.
func missing(a *api.Founding) string {
	heard := map[string]bool{}
	for _, f := range a.Heard {
		heard[f.ID] = true
	}
	var gone []api.Founder
	for _, f := range a.Agreed {
		if !heard[f.ID] {
			gone = append(gone, f)
		}
	}
	return founders(gone)
}

func founders(list []api.Founder) string {
	var names []string
	for _, f := range list {
		names = append(names, fmt.Sprintf("%s (%s)", f.Name, show.ShortID(f.ID)))
	}
	return strings.Join(names, ", ")
}
