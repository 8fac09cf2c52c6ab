package integration

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// The address for scrapers is served where it is set, and there only what is for
// scrapers.
func TestScrapeAddress(t *testing.T) {
	lab.NeedCommand(t, "curl", "curl")
	net := lab.New(t, 1)
	a := newAgent(t, net, 1, "EDGERAFT_METRICS_LISTEN=127.0.0.1:7522")
	a.start()
	get := func(path string) string {
		t.Helper()
		out, err := exec.Command("ip", "netns", "exec", net.Namespace(1), "curl", "--silent", "--show-error", "http://127.0.0.1:7522"+path).CombinedOutput()
		if err != nil {
			t.Fatalf("%s: %v: %s", path, err, out)
		}
		return string(out)
	}
	if got := get("/metrics"); !strings.Contains(got, "\nedgeraft_has_leader 0\n") {
		t.Errorf("/metrics: %s", got)
	}
	a.must("init")
	if got := get("/metrics"); !strings.Contains(got, "\nedgeraft_has_leader 1\n") {
		t.Errorf("/metrics after init: %s", got)
	}
	if got := get("/readyz"); got != "{\"status\":\"ok\"}\n" {
		t.Errorf("/readyz: %s", got)
	}
	if got := get("/v1/status"); !strings.Contains(got, `"not_found"`) {
		t.Errorf("/v1/status: %s", got)
	}
}
