package app

import (
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
)

// The grammar of the text format, as far as it is used: prometheus.io, exposition
// formats.
var (
	helpLine   = regexp.MustCompile(`^# HELP ([a-zA-Z_:][a-zA-Z0-9_:]*) [^\n\\]+$`)
	typeLine   = regexp.MustCompile(`^# TYPE ([a-zA-Z_:][a-zA-Z0-9_:]*) (counter|gauge)$`)
	sampleLine = regexp.MustCompile(`^([a-zA-Z_:][a-zA-Z0-9_:]*)(\{(?:[a-zA-Z_][a-zA-Z0-9_]*="(?:[^"\\\n]|\\["\\n])*",?)+\})? (\S+)$`)
)

// parseExposition returns the values by name and labels, and fails the test where
// a scraper would.
func parseExposition(t *testing.T, text string) map[string]float64 {
	t.Helper()
	values, family := map[string]float64{}, ""
	seen := map[string]bool{}
	if !strings.HasSuffix(text, "\n") {
		t.Error("the last line does not end")
	}
	lines := strings.Split(strings.TrimSuffix(text, "\n"), "\n")
	for i := 0; i < len(lines); i++ {
		if m := helpLine.FindStringSubmatch(lines[i]); m != nil {
			family = m[1]
			if seen[family] {
				t.Errorf("line %d: %s comes twice", i+1, family)
			}
			seen[family] = true
			i++
			if m := typeLine.FindStringSubmatch(lines[i]); m == nil || m[1] != family {
				t.Errorf("line %d: no type of %s: %q", i+1, family, lines[i])
			} else if strings.HasSuffix(family, "_total") != (m[2] == "counter") { // as promtool check metrics wants it
				t.Errorf("line %d: %s is a %s", i+1, family, m[2])
			}
			continue
		}
		m := sampleLine.FindStringSubmatch(lines[i])
		if m == nil || m[1] != family {
			t.Errorf("line %d is not a sample of %s: %q", i+1, family, lines[i])
			continue
		}
		value, err := strconv.ParseFloat(m[3], 64)
		if _, twice := values[m[1]+m[2]]; err != nil || twice {
			t.Errorf("line %d: %v, twice: %v: %q", i+1, err, twice, lines[i])
		}
		values[m[1]+m[2]] = value
	}
	return values
}

// fullStatus has something in every field that becomes a metric.
func fullStatus() api.Status {
	contact, lag := int64(1500), uint64(3)
	return api.Status{
		Healthy: true, Version: "v1", UptimeMS: 2500, Warnings: []api.Warning{{Code: "member_missing"}, {Code: "member_missing"}},
		Node:    api.Node{ID: "a", Name: "at\"tic\\\n\xff", Term: 7, Commit: 1 << 40},
		Cluster: api.Cluster{Name: "default", Leader: "a"},
		Members: []api.Member{{ID: "a", Role: "voter"}, {ID: "b", Name: "b", Role: "voter", LastContactMS: &contact, Lag: &lag}, {ID: "c", Name: "b", Role: "learner"}},
		Traffic: api.Traffic{SentPackets: 9, Dropped: map[string]uint64{"replayed": 4, "malformed": 5}},
		Storage: api.Storage{WritingMS: 12000, Written: &api.Written{SinceStart: api.Amount{LogBytes: 8192, Syncs: 2}}, Card: &api.Card{FreeBytes: 6}, Forecast: &api.Forecast{Years: 11.5}},
	}
}

func TestMetrics(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	parseExposition(t, s.call("GET", "/metrics", "").body) // of a device that knows nothing yet
	s.node.mu.Lock()
	s.node.status = fullStatus()
	s.node.mu.Unlock()
	a := s.call("GET", "/metrics", "")
	if a.status != 200 || a.header.Get("Content-Type") != metricsType {
		t.Errorf("%d %s", a.status, a.header.Get("Content-Type"))
	}
	got := parseExposition(t, a.body)
	for name, want := range map[string]float64{
		`edgeraft_build_info{version="v1",node="a",name="at\"tic\\\n` + "\uFFFD" + `",cluster="default"}`: 1,
		"edgeraft_uptime_seconds": 2.5, "edgeraft_healthy": 1, `edgeraft_warning{code="member_missing"}`: 1,
		"edgeraft_leader": 1, "edgeraft_term": 7, "edgeraft_commit_index": 1 << 40,
		`edgeraft_members{role="voter"}`: 2, `edgeraft_members{role="learner"}`: 1,
		`edgeraft_member_last_contact_seconds{member="b",name="b"}`: 1.5, `edgeraft_member_lag_entries{member="b",name="b"}`: 3,
		"edgeraft_sent_packets_total": 9, `edgeraft_dropped_total{reason="replayed"}`: 4,
		"edgeraft_write_seconds": 12, `edgeraft_flash_written_bytes_total{for="log"}`: 8192, "edgeraft_flash_syncs_total": 2,
		"edgeraft_card_forecast_years": 11.5,
	} {
		if v, ok := got[name]; !ok || v != want {
			t.Errorf("%s is %v (%v), want %v", name, v, ok, want)
		}
	}
	if got["process_resident_memory_bytes"] < 1<<20 {
		t.Errorf("memory in use: %v", got["process_resident_memory_bytes"])
	}
}

// TestScrapes: on the address for scrapers there is nothing else.
func TestScrapes(t *testing.T) {
	s := serve(t, Limits{}, HistoryLimits{})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	served := make(chan error, 1)
	go func() { served <- s.server.ServeScrapes(ctx, l) }()
	for path, want := range map[string]int{
		"/metrics": 200, "/healthz": 200, "/readyz": 503, "/v1/status": 404, "/v1/kv/a": 404, "/": 404, "/metrics/../v1/status": 404, "/v1/kv/..%2F..%2Fmetrics": 404,
	} {
		resp, err := http.Get(fmt.Sprintf("http://%s%s", l.Addr(), path))
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		resp.Body.Close()
		if resp.StatusCode != want || err != nil {
			t.Errorf("%s: %d, %v: %s", path, resp.StatusCode, err, body)
		}
	}
	http.DefaultClient.CloseIdleConnections()
	stop()
	if err := <-served; err != nil {
		t.Error(err)
	}
}
