package integration

import (
	"encoding/json"
	"os"
	"path/filepath"
	"testing"

	"github.com/edgeraft/edgeraft/integration/lab"
)

// doctor runs on a device, and tells the worst level of each check.
func doctor(t *testing.T, a *agent) (levels map[string]string, exit int) {
	t.Helper()
	out, err := a.cli("", "doctor", "--json")
	var report struct {
		Findings []struct{ Check, Level, Text string }
	}
	if e := json.Unmarshal([]byte(out), &report); e != nil {
		t.Fatalf("%v: %s (%v)", e, out, err)
	}
	levels = map[string]string{}
	for _, f := range report.Findings {
		if levels[f.Check] != "wrong" {
			levels[f.Check] = f.Level
		}
		t.Logf("%s: %s: %s", f.Level, f.Check, f.Text)
	}
	return levels, exitCodeOf(err)
}

func TestDoctor(t *testing.T) {
	t.Parallel()
	net := lab.New(t, 1)
	a := newAgent(t, net, 1)
	a.start()
	a.must("init")
	levels, _ := doctor(t, a)
	for _, check := range []string{"key file", "socket", "data_dir", "space", "multicast", "agent"} {
		if levels[check] != "ok" {
			t.Errorf("%s is %q on a device that is well", check, levels[check])
		}
	}
	a.proc.Kill()
	if err := os.Chmod(filepath.Join(a.dir, "cluster.key"), 0o644); err != nil {
		t.Fatal(err)
	}
	a.env = append(a.env, "EDGERAFT_UDP_INTERFACES=wlan9")
	levels, exit := doctor(t, a)
	for _, check := range []string{"key file", "multicast", "agent"} {
		if levels[check] != "wrong" || exit != 1 {
			t.Errorf("%s is %q, exit code %d", check, levels[check], exit)
		}
	}
}
