// Package why names the one cause that matters most when a device cannot do its
// work, in one sentence, with the next command to type. It is a function of what
// the agent says of itself and, where it says nothing, of what was found beside
// it; it looks at nothing by itself.
package why

import (
	"fmt"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/show"
)

// Reach is what came of asking the agent.
type Reach string

// The reaches.
const (
	Answered Reach = "answered"
	Absent   Reach = "absent"  // there is no socket
	Refused  Reach = "refused" // there is one, and nobody listens
	Denied   Reach = "denied"  // this user may not use it
	Silent   Reach = "silent"  // it does not answer in time
)

// Storage is what a look at the database found.
type Storage string

// The states of a database, as far as it could be seen.
const (
	StorageUnknown Storage = ""
	StorageFresh   Storage = "fresh" // there never was one
	StorageSound   Storage = "sound"
	StorageDamaged Storage = "damaged"
	StorageLost    Storage = "lost"   // an identity without a database
	StorageCopied  Storage = "copied" // found to be a copy of another device's
	StorageNewer   Storage = "newer"  // a newer version wrote it
	StorageOther   Storage = "other"  // of another cluster's name, or another device's
)

// Input is all that is known.
type Input struct {
	Reach  Reach
	Error  string // of asking, where it did not answer
	Socket string
	Status api.Status // where it answered
	Local  Local      // where it did not
}

// Local is what can be seen without the agent.
type Local struct {
	Config      string // what is wrong with the configuration, "" for nothing
	ConfigFile  string // where it is, or would be
	Storage     Storage
	StorageText string // of the error, "" for none
	DataDir     string
	Key         string // what is wrong with the key file, "" for nothing
	KeyFile     string
	KeyOpen     bool   // what is wrong is that others may read it
	Service     string // of systemd: active, activating, failed, inactive; or masked; "" unknown
	LastError   string // the agent's last words in the journal, "" unknown
	FreeBytes   *uint64
}

// Finding is the cause.
type Finding struct {
	Healthy bool   `json:"healthy"`
	Code    string `json:"code"`
	Cause   string `json:"cause"`          // one sentence
	Next    string `json:"next,omitempty"` // the command to type next
}

// cause is a row of a table: the first that applies is the one that is named.
type cause struct {
	code  string
	find  func(Input) (cause, next string) // "" where it does not apply
	whole bool                             // the device works all the same
}

// Diagnose names the cause.
func Diagnose(in Input) Finding {
	table := unanswered
	if in.Reach == Answered {
		table = answered
	}
	for _, c := range table {
		if text, next := c.find(in); text != "" {
			return Finding{Healthy: c.whole, Code: c.code, Cause: text, Next: next}
		}
	}
	return healthy(in.Status)
}

func healthy(s api.Status) Finding {
	voters := 0
	for _, m := range s.Members {
		if m.Role == "voter" {
			voters++
		}
	}
	f := Finding{Healthy: true, Code: "healthy", Cause: fmt.Sprintf("healthy: %s follows the leader %s with %d voters, and has applied up to index %d.",
		s.Node.Name, s.Cluster.LeaderName, voters, s.Node.Applied)}
	if s.Node.Role == "leader" {
		f.Cause = fmt.Sprintf("healthy: %s leads %d voters, and has applied up to index %d.", s.Node.Name, voters, s.Node.Applied)
	}
	if len(s.Warnings) > 0 {
		f.Cause += " But: " + s.Warnings[0].Message
		f.Next = s.Warnings[0].Next
	}
	return f
}

// unanswered is why the agent does not answer.
var unanswered = []cause{
	{"socket_denied", func(in Input) (string, string) {
		if in.Reach != Denied {
			return "", ""
		}
		return fmt.Sprintf("The agent's socket %s may not be used by this user, who is not in the group edgeraft.", in.Socket),
			"sudo usermod -aG edgeraft $USER   (then log in again), or put sudo before the command"
	}, false},
	{"agent_silent", func(in Input) (string, string) {
		if in.Reach != Silent {
			return "", ""
		}
		return "The agent is there but does not answer: it is stopped, stuck or overloaded.", "sudo systemctl restart edgeraft"
	}, false},
	{"config_wrong", func(in Input) (string, string) {
		return prefixed("The agent cannot start with its configuration: ", in.Local.Config), "sudo nano " + in.Local.ConfigFile
	}, false},
	storageIs("copied_device", StorageCopied, "This device's data directory %s was found to be a copy of another device's, so the agent refuses to run on it.",
		"sudo edgeraft join --as-new"),
	storageIs("storage_damaged", StorageDamaged, "The database in %s is damaged.",
		"sudo systemctl restart edgeraft   (it then puts it aside and takes its place again)"),
	storageIs("storage_lost", StorageLost, "The database in %s is gone, though this device had one.",
		"sudo systemctl restart edgeraft   (it then takes its place again as a new device)"),
	storageIs("storage_newer", StorageNewer, "The database in %s was written by a newer version of edgeraft.",
		"sudo apt install edgeraft   (the newer version again)"),
	{"storage_other", func(in Input) (string, string) {
		if in.Local.Storage != StorageOther {
			return "", ""
		}
		return fmt.Sprintf("The database in %s is of another cluster or another device than the configuration says: %s.", in.Local.DataDir, in.Local.StorageText),
			"sudo nano " + in.Local.ConfigFile + "   (cluster and data_dir as they were)"
	}, false},
	{"key_unusable", func(in Input) (string, string) {
		next := "sudo edgeraft join --replace-key KEY   (KEY is what sudo cat " + in.Local.KeyFile + " prints on a member)"
		if in.Local.KeyOpen {
			next = "sudo chmod 600 " + in.Local.KeyFile
		}
		return prefixed("The agent cannot start, since its key file cannot be used: ", in.Local.Key), next
	}, false},
	{"disk_full", func(in Input) (string, string) {
		if in.Local.FreeBytes == nil || *in.Local.FreeBytes > 1<<20 {
			return "", ""
		}
		return fmt.Sprintf("The agent does not run, and the file system of %s is full.", in.Local.DataDir), show.Command("df -h %s", in.Local.DataDir)
	}, false},
	{"agent_failed", func(in Input) (string, string) {
		if in.Local.Service != "failed" && in.Local.Service != "activating" {
			return "", ""
		}
		if in.Local.LastError == "" {
			return "The agent does not stay up: systemd says that its service is " + in.Local.Service + ".", "journalctl -u edgeraft -n 50"
		}
		return "The agent does not stay up; its last words: " + in.Local.LastError, "journalctl -u edgeraft -n 50"
	}, false},
	{"agent_not_running", func(in Input) (string, string) {
		text := fmt.Sprintf("No agent is running: there is no socket %s.", in.Socket)
		if in.Reach == Refused {
			text = fmt.Sprintf("No agent is running: it left its socket %s behind, so it was killed or crashed.", in.Socket)
		}
		if in.Local.LastError != "" {
			text += " Its last words: " + in.Local.LastError
		}
		switch in.Local.Service {
		case "":
			return text, "edgeraft run"
		case "masked":
			return text + " Its service is masked, so that it cannot be started.", "sudo systemctl unmask edgeraft && sudo systemctl start edgeraft"
		}
		return text, "sudo systemctl start edgeraft"
	}, false},
}

func storageIs(code string, what Storage, text, next string) cause {
	return cause{code, func(in Input) (string, string) {
		if in.Local.Storage != what {
			return "", ""
		}
		return fmt.Sprintf(text, in.Local.DataDir), next
	}, false}
}

func prefixed(prefix, text string) string {
	if text == "" {
		return ""
	}
	return prefix + text
}
