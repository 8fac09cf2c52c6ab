package app

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"net"
	"net/http"
	"os"
	"slices"
	"strconv"
	"strings"
	"syscall"

	"github.com/edgeraft/edgeraft/app/api"
)

// metricsType is the text format of Prometheus's exposition.
const metricsType = "text/plain; version=0.0.4; charset=utf-8"

// ServeScrapes is Serve for a listener on which only /metrics, /healthz and
// /readyz are answered: nothing that changes or reveals the state.
func (s *Server) ServeScrapes(ctx context.Context, l net.Listener) error {
	return s.serve(ctx, l, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !scrapedPaths[r.URL.EscapedPath()] {
			writeFailure(w, fail(http.StatusNotFound, api.CodeNotFound,
				"there is no call %s here, only /metrics, /healthz and /readyz; the others are on the Unix socket", r.URL.EscapedPath()))
			return
		}
		s.ServeHTTP(w, r)
	}))
}

// metrics tells what the status tells, for Prometheus.
func (s *Server) metrics(req *request) error {
	status, err := s.nodeStatus(req)
	if err != nil {
		return err
	}
	req.w.Header().Set("Content-Type", metricsType)
	_, _ = req.w.Write(exposition(status)) // should the caller be gone, nobody is left to tell
	return nil
}

// exposed collects the metrics. Each name's samples follow its help and type.
type exposed struct{ bytes.Buffer }

// family begins a metric. Its kind is gauge or counter.
func (x *exposed) family(name, kind, help string) {
	fmt.Fprintf(x, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
}

// labelEscapes are those of the text format.
var labelEscapes = strings.NewReplacer(`\`, `\\`, `"`, `\"`, "\n", `\n`)

// sample adds a value, with labels as pairs of name and value.
func (x *exposed) sample(name string, value float64, labels ...string) {
	x.WriteString(name)
	for i := 0; i+1 < len(labels); i += 2 {
		separator := ","
		if i == 0 {
			separator = "{"
		}
		fmt.Fprintf(x, `%s%s="%s"`, separator, labels[i], labelEscapes.Replace(strings.ToValidUTF8(labels[i+1], "\uFFFD")))
	}
	if len(labels) > 1 {
		x.WriteByte('}')
	}
	x.WriteString(" " + strconv.FormatFloat(value, 'g', -1, 64) + "\n")
}

// one adds a metric that has one value.
func (x *exposed) one(name, kind, help string, value float64) {
	x.family(name, kind, help)
	x.sample(name, value)
}

const (
	gauge   = "gauge"
	counter = "counter"
)

func exposition(s api.Status) []byte {
	x := &exposed{}
	x.family("edgeraft_build_info", gauge, "Always 1; its labels tell what runs.")
	x.sample("edgeraft_build_info", 1, "version", s.Version, "node", s.Node.ID, "name", s.Node.Name, "cluster", s.Cluster.Name)
	x.one("edgeraft_uptime_seconds", gauge, "How long the agent has run.", float64(s.UptimeMS)/1000)
	x.one("edgeraft_healthy", gauge, "1 if the device can do its work.", truth(s.Healthy))
	x.family("edgeraft_warning", gauge, "1 for each warning of edgeraft status, by its code.")
	codes := map[string]bool{}
	for _, w := range s.Warnings {
		codes[w.Code] = true
	}
	for _, code := range slices.Sorted(maps.Keys(codes)) {
		x.sample("edgeraft_warning", 1, "code", code)
	}
	x.one("edgeraft_leader", gauge, "1 on the device that leads.", truth(s.Cluster.Leader != "" && s.Cluster.Leader == s.Node.ID))
	x.one("edgeraft_has_leader", gauge, "1 if a leader is known.", truth(s.Cluster.Leader != ""))
	x.one("edgeraft_term", gauge, "Raft's term.", float64(s.Node.Term))
	x.one("edgeraft_commit_index", gauge, "Up to where entries are committed.", float64(s.Node.Commit))
	x.one("edgeraft_applied_index", gauge, "Up to where entries are applied.", float64(s.Node.Applied))
	x.one("edgeraft_last_index", gauge, "Last entry of the log.", float64(s.Node.Last))
	x.one("edgeraft_stable_index", gauge, "Last entry on stable storage.", float64(s.Node.Stable))
	x.members(s.Members)
	x.traffic(s.Traffic)
	x.storage(s.Storage)
	x.one("edgeraft_state_keys", gauge, "Keys of the key/value state.", float64(s.State.Keys))
	x.one("edgeraft_state_bytes", gauge, "Memory of the key/value state.", float64(s.State.Bytes))
	x.one("edgeraft_idempotency_keys", gauge, "Idempotency keys that are remembered.", float64(s.State.IdempotencyKeys))
	x.process()
	return x.Bytes()
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}

func (x *exposed) members(members []api.Member) {
	roles := map[string]int{"voter": 0, "learner": 0}
	for _, m := range members {
		roles[m.Role]++
	}
	x.family("edgeraft_members", gauge, "Members of the cluster, by role.")
	for _, role := range slices.Sorted(maps.Keys(roles)) {
		x.sample("edgeraft_members", float64(roles[role]), "role", role)
	}
	x.family("edgeraft_member_last_contact_seconds", gauge, "How long ago a member was last heard; absent if never.")
	for _, m := range members {
		if m.LastContactMS != nil {
			x.sample("edgeraft_member_last_contact_seconds", float64(*m.LastContactMS)/1000, "member", m.ID, "name", m.Name)
		}
	}
	x.family("edgeraft_member_lag_entries", gauge, "How many entries a member's stable log is behind; on the leader only.")
	for _, m := range members {
		if m.Lag != nil {
			x.sample("edgeraft_member_lag_entries", float64(*m.Lag), "member", m.ID, "name", m.Name)
		}
	}
}

func (x *exposed) traffic(t api.Traffic) {
	x.one("edgeraft_sent_packets_total", counter, "Packets sent to other devices.", float64(t.SentPackets))
	x.one("edgeraft_sent_bytes_total", counter, "Bytes sent to other devices.", float64(t.SentBytes))
	x.one("edgeraft_received_packets_total", counter, "Packets received.", float64(t.ReceivedPackets))
	x.one("edgeraft_received_bytes_total", counter, "Bytes received.", float64(t.ReceivedBytes))
	x.family("edgeraft_dropped_total", counter, "What was received or to be sent and dropped, by reason.")
	for _, reason := range slices.Sorted(maps.Keys(t.Dropped)) {
		x.sample("edgeraft_dropped_total", float64(t.Dropped[reason]), "reason", reason)
	}
}

func (x *exposed) storage(s api.Storage) {
	x.one("edgeraft_saves_total", counter, "Writes to the log.", float64(s.Saves))
	x.one("edgeraft_write_seconds", gauge, "How long the write that is under way has lasted, 0 if none is.", float64(s.WritingMS)/1000)
	x.one("edgeraft_log_bytes", gauge, "Entries in memory.", float64(s.LogBytes))
	x.one("edgeraft_snapshot_index", gauge, "Up to where a snapshot stands for the log.", float64(s.Snapshot))
	if w := s.Written; w != nil {
		x.family("edgeraft_flash_written_bytes_total", counter, "Bytes handed to the card since the start, by what they were for.")
		x.sample("edgeraft_flash_written_bytes_total", float64(w.SinceStart.LogBytes), "for", "log")
		x.sample("edgeraft_flash_written_bytes_total", float64(w.SinceStart.CheckpointBytes), "for", "checkpoint")
		x.sample("edgeraft_flash_written_bytes_total", float64(w.SinceStart.OtherBytes), "for", "other")
		x.one("edgeraft_flash_syncs_total", counter, "Syncs of the card since the start.", float64(w.SinceStart.Syncs))
	}
	if c := s.Card; c != nil {
		x.one("edgeraft_card_free_bytes", gauge, "Free bytes of the file system below the database.", float64(c.FreeBytes))
		x.one("edgeraft_card_life_used_percent", gauge, "How much of its life an eMMC says is used at most; 0: it does not say.", float64(c.LifeUsedPercent))
	}
	if f := s.Forecast; f != nil {
		x.one("edgeraft_card_forecast_years", gauge, "How long the card lasts if all goes on as it did.", f.Years)
	}
}

// process adds what the kernel counts of this process, under the usual names.
func (x *exposed) process() {
	var usage syscall.Rusage
	if err := syscall.Getrusage(syscall.RUSAGE_SELF, &usage); err == nil {
		seconds := func(t syscall.Timeval) float64 { return float64(t.Nano()) / 1e9 }
		x.one("process_cpu_seconds_total", counter, "Processor time.", seconds(usage.Utime)+seconds(usage.Stime))
	}
	if statm, err := os.ReadFile("/proc/self/statm"); err == nil {
		if fields := strings.Fields(string(statm)); len(fields) > 1 {
			if pages, err := strconv.ParseUint(fields[1], 10, 64); err == nil {
				x.one("process_resident_memory_bytes", gauge, "Memory in use.", float64(pages)*float64(os.Getpagesize()))
			}
		}
	}
}
