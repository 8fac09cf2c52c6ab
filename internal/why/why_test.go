package why

import (
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
)

func ms(n int64) *int64 { return &n }

func free(n uint64) *uint64 { return &n }

// ok is a healthy follower of three.
func ok() api.Status {
	return api.Status{
		Healthy: true,
		Node:    api.Node{ID: "self", Name: "attic", State: "member", Role: "follower", Applied: 17},
		Cluster: api.Cluster{ID: "c", Leader: "b", LeaderName: "cellar"},
		Members: []api.Member{
			{ID: "self", Name: "attic", Role: "voter", Self: true},
			{ID: "bbbbbbbbbbbbbbbb", Name: "cellar", Role: "voter", LastContactMS: ms(100), Transport: "udp"},
			{ID: "cccccccccccccccc", Name: "shed", Role: "voter", LastContactMS: ms(200), Transport: "udp"},
		},
	}
}

func with(change func(*api.Status)) Input {
	s := ok()
	change(&s)
	return Input{Reach: Answered, Status: s}
}

func warn(s *api.Status, codes ...string) {
	s.Healthy = false
	for _, c := range codes {
		s.Warnings = append(s.Warnings, api.Warning{Code: c, Message: "It is " + c + ".", Next: "fix " + c})
	}
}

func lost(s *api.Status) {
	s.Healthy, s.Cluster.Leader = false, ""
	s.Members[1].LastContactMS, s.Members[2].LastContactMS = ms(90_000), nil
	warn(s, "no_leader")
}

func local(l Local) Input {
	l.DataDir = "/data"
	return Input{Reach: Absent, Socket: "/s", Local: l}
}

// For every cause one input of which it is the cause, and what the sentence must
// say; many have other causes beside, which are consequences or less urgent.
func TestDiagnose(t *testing.T) {
	cases := []struct {
		name string
		in   Input
		code string
		says string
	}{
		{"all is well", with(func(*api.Status) {}), "healthy", "attic follows the leader cellar"},
		{"it leads", with(func(s *api.Status) { s.Node.Role = "leader" }), "healthy", "attic leads 3 voters"},
		{"one of three is missing", with(func(s *api.Status) {
			s.Warnings = []api.Warning{{Code: "member_missing", Message: "shed is missing."}}
			s.Members[2].LastContactMS = nil
		}), "healthy", "But: shed is missing"},
		{"two of three are missing", with(lost), "no_quorum", "2 of 3 voters are needed and 1 are heard; missing: cellar (bbbbbbbb, not heard for 1m30s), shed (cccccccc, not heard since"},
		{"missing, with another key heard", with(func(s *api.Status) { lost(s); warn(s, "stranger") }), "no_quorum", "It is stranger"},
		{"no leader with a quorum", with(func(s *api.Status) { s.Cluster.Leader = ""; warn(s, "no_leader") }), "no_leader", "no_leader"},
		{"storage failed", with(func(s *api.Status) { lost(s); s.Storage.Error = "EIO" }), "storage_failed", "EIO"},
		{"disk stuck", with(func(s *api.Status) { lost(s); s.Storage.WritingMS = 42_000 }), "disk_stuck", "42s"},
		{"disk full", with(func(s *api.Status) { lost(s); warn(s, "disk_full") }), "disk_full", "disk_full"},
		{"waits for a key", with(func(s *api.Status) { s.Node.State = "waiting_for_key"; warn(s, "no_key") }), "no_key", "no_key"},
		{"waits for a cluster", with(func(s *api.Status) { s.Node.State = "waiting_for_cluster"; s.Members = nil; warn(s, "no_cluster") }), "no_cluster", "no_cluster"},
		{"with the wrong key", with(func(s *api.Status) {
			s.Node.State, s.Members = "waiting_for_cluster", nil
			warn(s, "no_cluster", "stranger")
		}), "wrong_key", "its key may be the wrong one. It is stranger"},
		{"founding", with(func(s *api.Status) { s.Node.State = "waiting_for_cluster"; warn(s, "founding") }), "founding", "founding"},
		{"not admitted", with(func(s *api.Status) { s.Node.State = "waiting_for_cluster"; warn(s, "not_admitted") }), "not_admitted", "not_admitted"},
		{"removed", with(func(s *api.Status) { s.Node.State = "removed"; s.Cluster.Leader = ""; warn(s, "removed") }), "removed", "removed"},
		{"recovered without it", with(func(s *api.Status) { lost(s); warn(s, "recovered_without") }), "recovered_without", "recovered_without"},
		{"a second cluster", with(func(s *api.Status) { warn(s, "foreign_cluster") }), "second_cluster", "foreign_cluster"},
		{"a copied device", with(func(s *api.Status) { warn(s, "copied_device") }), "copied_device", "copied_device"},
		{"the broker is gone", with(func(s *api.Status) { lost(s); warn(s, "mqtt_disconnected") }), "broker_only", "mqtt_disconnected"},
		{"two of three are full", with(func(s *api.Status) { warn(s, "member_missing", "majority_full") }), "majority_full", "majority_full"},
		{"it is not heard", with(func(s *api.Status) { warn(s, "one_way") }), "one_way", "one_way"},
		{"another name", with(func(s *api.Status) {
			s.Node.State, s.Members = "waiting_for_cluster", nil
			warn(s, "no_cluster", "other_name")
		}), "wrong_name", "may be the wrong one. It is other_name"},
		{"the log is full", with(func(s *api.Status) { warn(s, "log_full") }), "log_full", "log_full"},
		{"something else", with(func(s *api.Status) { warn(s, "of_the_future") }), "unhealthy", "of_the_future"},

		{"no right to the socket", Input{Reach: Denied, Socket: "/s"}, "socket_denied", "/s may not be used by this user"},
		{"it hangs", Input{Reach: Silent}, "agent_silent", "does not answer"},
		{"a wrong setting", local(Local{Config: "line 3: udp.listn is unknown"}), "config_wrong", "line 3"},
		{"damaged", local(Local{Storage: StorageDamaged, Service: "failed"}), "storage_damaged", "/data is damaged"},
		{"lost", local(Local{Storage: StorageLost}), "storage_lost", "/data is gone"},
		{"a copy", local(Local{Storage: StorageCopied}), "copied_device", "copy of another device"},
		{"newer", local(Local{Storage: StorageNewer}), "storage_newer", "newer version"},
		{"another cluster's", local(Local{Storage: StorageOther}), "storage_other", "another cluster or another device"},
		{"a key that others can read", local(Local{Key: "mode 0644"}), "key_unusable", "mode 0644"},
		{"full, and so not running", local(Local{FreeBytes: free(4096), Service: "failed"}), "disk_full", "is full"},
		{"it does not stay up", local(Local{Service: "failed", LastError: "address in use", FreeBytes: free(1 << 30)}), "agent_failed", "address in use"},
		{"not started", local(Local{Service: "inactive", Storage: StorageSound}), "agent_not_running", "there is no socket /s"},
		{"masked", local(Local{Service: "masked", Storage: StorageSound}), "agent_not_running", "masked"},
		{"killed", Input{Reach: Refused, Socket: "/s"}, "agent_not_running", "left its socket /s behind"},
	}
	for _, c := range cases {
		f := Diagnose(c.in)
		if f.Code != c.code || !strings.Contains(f.Cause, c.says) || f.Healthy != (c.code == "healthy") {
			t.Errorf("%s: %+v", c.name, f)
		}
		if !f.Healthy && f.Next == "" {
			t.Errorf("%s: it does not say what to do", c.name)
		}
		if strings.Contains(f.Cause, "\n") {
			t.Errorf("%s: more than one line", c.name)
		}
	}
}
