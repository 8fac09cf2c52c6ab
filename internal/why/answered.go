package why

import (
	"cmp"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// stuckAfter is how long one write may last before it is the cause of anything.
const stuckAfter = 15 * time.Second

// answered is why a device that says all this cannot do its work.
var answered = []cause{
	{"storage_failed", func(in Input) (string, string) {
		return prefixed("The storage of this device failed, so it must not go on: ", in.Status.Storage.Error), "sudo systemctl restart edgeraft"
	}, false},
	{"disk_stuck", func(in Input) (string, string) {
		d := time.Duration(in.Status.Storage.WritingMS) * time.Millisecond
		if d < stuckAfter {
			return "", ""
		}
		return fmt.Sprintf("The disk of this device is stuck: one write has lasted %v so far.", d.Round(time.Second)), "dmesg | tail"
	}, false},
	warned("disk_full", false),
	warned("no_key", false),
	warned("starting", false),
	warned("recovered_without", false),
	alone("wrong_name", "other_name", "This device finds no cluster, and the name that it was given for it (cluster) may be the wrong one. "),
	{"wrong_key", func(in Input) (string, string) {
		w, ok := find(in.Status, "stranger")
		if !ok || in.Status.Node.State != "waiting_for_cluster" {
			return "", ""
		}
		return "This device finds no cluster, and its key may be the wrong one. " + w.Message, "sudo edgeraft join --replace-key KEY   (KEY is what sudo cat /etc/edgeraft/cluster.key prints on a member)"
	}, false},
	{"broker_only", brokerDown, false},
	warned("founding", false),
	warned("not_admitted", false),
	warned("no_cluster", false),
	warned("removed", false),
	{"no_quorum", noQuorum, false},
	warned("one_way", false),
	warned("majority_full", false),
	warned("no_leader", false),
	{"second_cluster", func(in Input) (string, string) {
		w, _ := find(in.Status, "foreign_cluster")
		return w.Message, w.Next
	}, false},
	{"copied_device", func(in Input) (string, string) {
		w, _ := find(in.Status, "copied_device")
		return w.Message, w.Next
	}, false},
	warned("key_missing", false),
	warned("log_full", false),
	warned("snapshot_too_large", false),
	{"unhealthy", func(in Input) (string, string) {
		if in.Status.Healthy {
			return "", ""
		}
		if len(in.Status.Warnings) > 0 {
			return in.Status.Warnings[0].Message, in.Status.Warnings[0].Next
		}
		return fmt.Sprintf("This device is %s, and knows no leader.", in.Status.Node.State), "edgeraft status"
	}, false},
}

func find(s api.Status, code string) (api.Warning, bool) {
	for _, w := range s.Warnings {
		if w.Code == code {
			return w, true
		}
	}
	return api.Warning{}, false
}

// warned is a cause that the agent names itself.
func warned(code string, whole bool) cause {
	return cause{code, func(in Input) (string, string) {
		w, _ := find(in.Status, code)
		return w.Message, w.Next
	}, whole}
}

// alone is a cause that the agent warns of, while it finds no cluster.
func alone(code, warning, text string) cause {
	return cause{code, func(in Input) (string, string) {
		w, ok := find(in.Status, warning)
		if !ok || in.Status.Node.State != "waiting_for_cluster" {
			return "", ""
		}
		return text + w.Message, w.Next
	}, false}
}

// brokerDown: nobody can be heard, because all goes through a broker.
func brokerDown(in Input) (string, string) {
	w, ok := find(in.Status, "mqtt_disconnected")
	if !ok {
		w, ok = find(in.Status, "mqtt_refused")
	}
	if !ok || in.Status.Cluster.Leader != "" {
		return "", ""
	}
	for _, m := range in.Status.Members {
		if m.Transport == "udp" && heard(m) {
			return "", ""
		}
	}
	return w.Message, w.Next
}

// heardFor is how long ago a member may have been heard to count as there.
const heardFor = 5 * time.Second

func heard(m api.Member) bool {
	return m.Self || m.LastContactMS != nil && time.Duration(*m.LastContactMS)*time.Millisecond < heardFor
}

// noQuorum says who is missing, and since when.
func noQuorum(in Input) (string, string) {
	s := in.Status
	voters, missing, next := 0, []string{}, ""
	for _, m := range s.Members {
		if m.Role != "voter" {
			continue
		}
		voters++
		if heard(m) {
			continue
		}
		next = cmp.Or(next, lookAt(m))
		since := "since this device started"
		if m.LastContactMS != nil {
			since = fmt.Sprintf("for %v", (time.Duration(*m.LastContactMS) * time.Millisecond).Round(time.Second))
		}
		missing = append(missing, fmt.Sprintf("%s (%.8s, not heard %s)", m.Name, m.ID, since))
	}
	quorum := voters/2 + 1
	if s.Cluster.Leader != "" || s.Node.State != "member" || voters-len(missing) >= quorum {
		return "", ""
	}
	text := fmt.Sprintf("There is no quorum: %d of %d voters are needed and %d are heard; missing: %s.",
		quorum, voters, voters-len(missing), strings.Join(missing, ", "))
	if w, ok := find(s, "stranger"); ok {
		return text + " " + w.Message, w.Next
	}
	return text, next + "; if a majority is gone for good: sudo edgeraft recover)"
}

// lookAt is how to see whether a member is there.
func lookAt(m api.Member) string {
	if a, err := netip.ParseAddrPort(m.Address); err == nil {
		return fmt.Sprintf("ping -c 3 %s   (is %s there? then edgeraft why on it", a.Addr(), m.Name)
	}
	return fmt.Sprintf("edgeraft why   (on %s", m.Name)
}
