package main

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/internal/seal"
)

// A rotation of a device whose agent does not run is one of its key file.
func TestKeysOffline(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "cluster.key")
	keys := func(args ...string) outcome {
		return runWith(t, []string{"EDGERAFT_KEY_FILE=" + file, "EDGERAFT_SOCKET=" + filepath.Join(dir, "s")}, "", args...)
	}
	if got := keys("keygen", "--rotate"); got.code == 0 || !strings.Contains(got.stderr, "no such file") {
		t.Errorf("without a key: %+v", got)
	}
	old := seal.NewKey()
	if err := seal.WriteKeyFile(file, old, false); err != nil {
		t.Fatal(err)
	}
	got := keys("keygen", "--rotate", "--json")
	var changed api.KeyChanged
	if err := json.Unmarshal([]byte(got.stdout), &changed); err != nil || got.code != 0 {
		t.Fatalf("%+v: %v", got, err)
	}
	next, err := seal.ParseKey(changed.Key)
	if err != nil {
		t.Fatal(err)
	}
	want := func(when string, first seal.Key, n int) {
		t.Helper()
		r, err := seal.ReadRing(file)
		if err != nil || !r.First().Equal(first) || len(r.Keys()) != n {
			t.Errorf("%s: %d keys, %v", when, len(r.Keys()), err)
		}
	}
	want("after --rotate", next, 2)
	if got := keys("keygen", "--rotate"); got.code == 0 || !strings.Contains(got.stderr, "another rotation") {
		t.Errorf("again: %+v", got)
	}
	if got := keys("keygen", "--drop-old"); got.code == 0 || !strings.Contains(got.stderr, "--force") {
		t.Errorf("not known whether all have it: %+v", got)
	}
	want("after what was refused", next, 2)
	third := seal.NewKey()
	if got := keys("join", "--add", third.Text()); got.code != 0 || strings.Contains(got.stdout, third.Text()) {
		t.Errorf("join --add: %+v", got)
	}
	want("after join --add", third, 3)
	if got := keys("keygen", "--drop-old", "--force"); got.code != 0 || !strings.Contains(got.stdout, third.ID().String()) {
		t.Errorf("--drop-old --force: %+v", got)
	}
	want("after --drop-old --force", third, 1)
	if got := keys("join", next.Text()); got.code != 1 || !strings.Contains(got.stderr, "another key") {
		t.Errorf("join with another key: %+v", got)
	}
	if got := keys("join", "--replace-key", next.Text()); got.code != 0 || strings.Contains(got.stdout, next.Text()) {
		t.Errorf("join --replace-key: %+v", got)
	}
	want("after join --replace-key", next, 1)
	if err := os.WriteFile(file, []byte("no key at all"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := keys("join", "--replace-key", old.Text()); got.code != 0 {
		t.Errorf("join --replace-key of what is no key: %+v", got)
	}
	want("after join --replace-key of what is no key", old, 1)
	for _, wrong := range [][]string{{"keygen", "--rotate", "--drop-old"}, {"keygen", "--rotate", "--out", "x"}, {"join", "--add", "er1-abc"},
		{"join", "--replace-key", "er1-abc"}, {"join", "--replace-key", "--add", next.Text()}, {"join", "--replace-key", "--as-new", next.Text()}} {
		if got := keys(wrong...); got.code != 2 {
			t.Errorf("%v: %+v", wrong, got)
		}
	}
}
