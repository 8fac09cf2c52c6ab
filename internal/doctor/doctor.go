// Package doctor looks at the things of a device that go wrong: rights, room and
// speed of the card, file system, firewall, multicast, the way to the other devices
// and to brokers, clock, memory, power. Each finding says what was seen and, where
// that is not well, what to do.
//
// Gathering and judging are apart: what judges is a function of facts, so that every
// sentence can be tested; what gathers reads below a directory that stands for the
// root, runs commands, and opens sockets. What could not be looked at is said, and is
// never taken for good or bad.
package doctor

import (
	"fmt"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/show"
	"github.com/edgeraft/edgeraft/mqttcomms"
)

// Level is how bad a finding is.
type Level string

// The levels. Only Error makes a device ill.
const (
	OK      Level = "ok"
	Note    Level = "note"    // worth knowing, or could not be looked at
	Warning Level = "warning" // will go wrong one day, or costs something now
	Error   Level = "error"   // the agent cannot do its work so, or data is in danger
)

// Finding is what one check saw.
type Finding struct {
	Group string `json:"group"`
	Check string `json:"check"`
	Level Level  `json:"level"`
	Text  string `json:"text"`
	// Remedy says what to do, in words; Command is what to type.
	Remedy  string `json:"remedy,omitempty"`
	Command string `json:"command,omitempty"`
}

// The groups, in the order in which they are shown.
const (
	groupAgent   = "agent"
	groupFiles   = "files"
	groupStorage = "storage"
	groupNetwork = "network"
	groupBroker  = "broker"
	groupMachine = "machine"
)

// Groups are all groups, in the order in which they are to be shown.
var Groups = []string{groupAgent, groupFiles, groupStorage, groupNetwork, groupBroker, groupMachine}

// Subject is what is examined: a part of the configuration, and what the agent
// says of itself.
type Subject struct {
	DataDir, Socket, KeyFile string
	Cluster                  string
	UDP                      string   // udp.listen; "" where UDP is no transport
	Metrics                  string   // metrics.listen; "" for none
	Multicast                bool     // whether devices are to be found by it
	Interfaces               []string // udp.interfaces
	Brokers                  mqttcomms.Access
	MQTT                     bool // whether MQTT is a transport

	LogBytes, HistoryBytes int // limits.log_bytes, limits.watch_history_bytes
	// Preallocated is what a new database takes at once, and MaxFile the most it may
	// have.
	Preallocated, MaxFile uint64
	Built                 time.Time // when the program was made
	// Leftovers are names in DataDir of what an agent puts aside.
	Leftovers []string

	// Measure is a command that calls the function Measure where MeasureEnv is set;
	// empty for none.
	Measure []string

	// Agent is what the agent, or a look at its files, says is the matter.
	Agent Finding
	// Status is what a running agent says; nil where none answered.
	Status *api.Status
	// Listens says whether something listens on the socket, even where it did not
	// answer.
	Listens bool
	// Key is why the key file cannot be used; nil where it can or may not be read.
	Key error
	// Addresses is the file in which an agent keeps those of the others.
	Addresses string
}

func found(group, check string, level Level, format string, args ...any) Finding {
	text := fmt.Sprintf(format, args...)
	// Errors that were joined have a line each.
	return Finding{Group: group, Check: check, Level: level, Text: strings.ReplaceAll(text, "\n", "; ")}
}

// do adds what to do about a finding, in words.
func (f Finding) do(format string, args ...any) Finding {
	f.Remedy = fmt.Sprintf(format, args...)
	return f
}

// typing adds the command that does something about a finding. Paths and names
// among args are words of it, whatever is in them.
func (f Finding) typing(format string, args ...any) Finding {
	f.Command = show.Command(format, args...)
	return f
}

// whole adds a command that is complete already.
func (f Finding) whole(command string) Finding {
	f.Command = command
	return f
}

// Worst is the worst level among findings.
func Worst(fs []Finding) Level {
	worst := OK
	rank := map[Level]int{OK: 0, Note: 1, Warning: 2, Error: 3}
	for _, f := range fs {
		if rank[f.Level] > rank[worst] {
			worst = f.Level
		}
	}
	return worst
}
