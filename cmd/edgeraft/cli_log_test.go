package main

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/kv"
	"github.com/edgeraft/edgeraft/app/once"
	"github.com/edgeraft/edgeraft/boltlog"
	"github.com/edgeraft/edgeraft/raft"
)

// storedLog makes a data directory with a log of every kind of entry.
func storedLog(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	db, opened, err := boltlog.Open(dir, boltlog.Options{ClusterName: "home"})
	if err != nil {
		t.Fatal(err)
	}
	made := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	put := made(kv.Put("door", []byte("open\x1b[31m"), nil))
	config := raft.Configuration{Members: []raft.Member{{ID: opened.Identity.ID, Name: "kitchen", Role: raft.Voter}}}
	entries := []raft.Entry{
		{Kind: raft.EntryConfig, Config: &config},
		{Kind: raft.EntryNoOp},
		{Kind: raft.EntryCommand, ID: 0xabc, Time: 61000, Data: kv.Command([]byte("valve open"))},
		{Kind: raft.EntryCommand, Data: put},
		{Kind: raft.EntryCommand, Data: made(once.Command("k 1", 2, made(kv.Delete("door", nil))))},
		{Kind: raft.EntryCommand, Data: kv.Command([]byte{0xff, 0xfe})},
		{Kind: raft.EntryCommand, Data: []byte("\x07nonsense")},
		{Kind: raft.EntryCommand, Data: kv.Command([]byte(strings.Repeat("x", maxShown-1) + "é tail"))},
	}
	for i := range entries {
		entries[i].Index, entries[i].Term = raft.Index(i+1), raft.Term(1+i/4)
		if i > 2 {
			entries[i].Time = 61000
		}
	}
	state := raft.HardState{Term: 5, Vote: opened.Identity.ID, Commit: 7, Cluster: raft.ClusterIDFrom([16]byte{1})}
	for i := range entries {
		if err := db.Save(raft.Save{State: state, Entries: entries[i : i+1]}); err != nil {
			t.Fatal(err)
		}
		if state.Commit = 7; i < 6 {
			state.Commit = raft.Index(i + 1)
		}
	}
	if err := db.Close(); err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestLogVerify(t *testing.T) {
	dir := storedLog(t)
	got := runLine(t, "", "log", "verify", "--data-dir", dir)
	if got.code != exitDone || got.stderr != "" || !strings.HasSuffix(got.stdout, "\nSound.\n") {
		t.Errorf("%+v", got)
	}
	for _, want := range []string{"of the cluster home, started 1 times", "term 5, voted for ", "Snapshot  none\n",
		"entries 1 to 8, of terms 1 to 2\n", "Ring      epoch 2, 9 of 63 sectors in use\n"} {
		if !strings.Contains(got.stdout, want) {
			t.Errorf("want %q in:\n%s", want, got.stdout)
		}
	}
	got = runLine(t, "", "log", "verify", "--json", "--data-dir", dir)
	var v verdict
	if err := json.Unmarshal([]byte(got.stdout), &v); err != nil || got.code != exitDone || !v.Sound || v.Entries != 8 || v.Last != 8 || v.Ring.InUse != 9 {
		t.Errorf("%+v, %v", got, err)
	}
}

func TestLogDump(t *testing.T) {
	dir := storedLog(t)
	got := runLine(t, "", "log", "dump", "--data-dir", dir)
	_, table, _ := strings.Cut(got.stdout, "Snapshot  none\n")
	_, config, _ := strings.Cut(table, "kitchen (")
	id, _, _ := strings.Cut(config, ")")
	want := `     INDEX   TERM  KIND               TIME               ID    BYTES  CONTENT
         1      1  config               0s                0        0  kitchen (` + id + `) voter
         2      1  no-op                0s                0        0  
         3      1  command            1m1s              abc       11  valve open
         4      1  command            1m1s                0       21  put door open\x1b[31m
         5      2  command            1m1s                0       16  delete door
         6      2  command            1m1s                0        3  (2 bytes that are no text)
         7      2  command            1m1s                0        9  unknown \anonsense
         8      2  command            1m1s                0      127  ` + strings.Repeat("x", maxShown-1) + "...\n"
	if got.code != exitDone || got.stderr != "" || table != want {
		t.Errorf("%d %s\n%s\nwant\n%s", got.code, got.stderr, table, want)
	}

	got = runLine(t, "", "log", "dump", "--data-dir", dir, "--json", "--from", "3", "--to", "6")
	lines := strings.Split(strings.TrimSpace(got.stdout), "\n")
	wantLines := []string{
		`{"device":{`, `{"state":{"cluster_id":"01000000-`,
		`{"entry":{"index":3,"term":1,"kind":"command","time_ms":61000,"proposal_id":2748,"bytes":11,"op":"command","value":"valve open"}}`,
		`{"entry":{"index":4,"term":1,"kind":"command","time_ms":61000,"bytes":21,"op":"put","key":"door","value":"open\u001b[31m"}}`,
		`{"entry":{"index":5,"term":2,"kind":"command","time_ms":61000,"bytes":16,"op":"delete","key":"door","idempotency_key":{"value":"k 1"}}}`,
		`{"entry":{"index":6,"term":2,"kind":"command","time_ms":61000,"bytes":3,"op":"command","value_base64":"//4="}}`,
	}
	for i, line := range lines {
		if got.code != exitDone || len(lines) != len(wantLines) || !strings.HasPrefix(line, wantLines[i]) {
			t.Fatalf("%d, line %d of %d: %s", got.code, i, len(lines), line)
		}
	}
	if got := runLine(t, "", "log", "dump", "--data-dir", dir, "--from", "100"); got.code != exitDone || strings.Count(got.stdout, "\n") != 4 {
		t.Errorf("%+v", got)
	}
}

func TestLogOfDamagedFiles(t *testing.T) {
	sound := storedLog(t)
	path := func(dir string) string { return filepath.Join(dir, "log.db") }
	spoil := func(change func([]byte) []byte) string {
		t.Helper()
		dir := t.TempDir()
		for _, name := range []string{"log.db", "identity"} {
			b, err := os.ReadFile(filepath.Join(sound, name))
			if err != nil {
				t.Fatal(err)
			}
			if name == "log.db" {
				b = change(b)
			}
			if err := os.WriteFile(filepath.Join(dir, name), b, 0o600); err != nil {
				t.Fatal(err)
			}
		}
		return dir
	}
	for name, c := range map[string]struct {
		dir                          string
		stdout, stderr, dumped, json string
	}{
		"an entry": {spoil(func(b []byte) []byte { return bytes.Replace(b, []byte("valve open"), []byte("valve shut"), 1) }),
			"Device    ", "damaged", "Device    ", `"sound":false,"error":"`},
		"a file cut off": {spoil(func(b []byte) []byte { return b[:8000] }), "", "damaged", "", `"sound":false,"error":"`},
		"noise":          {spoil(func(b []byte) []byte { return bytes.Repeat([]byte("x"), 100000) }), "", "damaged", "", `"sound":false,"error":"`},
		"nothing":        {filepath.Join(t.TempDir(), "none"), "", "no agent ever ran with this data_dir", "", `"sound":false,"error":"`},
	} {
		before, _ := os.ReadFile(path(c.dir))
		verify := runLine(t, "", "log", "verify", "--data-dir", c.dir)
		if verify.code != exitNo || !strings.Contains(verify.stdout, c.stdout) || c.stdout == "" && verify.stdout != "" ||
			!strings.Contains(verify.stderr, c.stderr) || strings.Contains(verify.stdout, "Sound") {
			t.Errorf("%s: verify: %+v", name, verify)
		}
		dump := runLine(t, "", "log", "dump", "--data-dir", c.dir)
		if dump.code != exitNo || !strings.Contains(dump.stdout, c.dumped) || !strings.Contains(dump.stderr, c.stderr) {
			t.Errorf("%s: dump: %+v", name, dump)
		}
		if j := runLine(t, "", "log", "verify", "--json", "--data-dir", c.dir); j.code != exitNo || !strings.Contains(j.stdout, c.json) {
			t.Errorf("%s: verify --json: %+v", name, j)
		}
		if after, _ := os.ReadFile(path(c.dir)); !bytes.Equal(before, after) {
			t.Errorf("%s: the file changed", name)
		}
	}
}

func TestLogUsage(t *testing.T) {
	for line, want := range map[string]string{
		"log":                          "edgeraft help log",
		"log verify extra":             "takes no arguments",
		"log dump --from 0":            "1 or more",
		"log dump --from 5 --to 4":     "--from 5 is behind --to 4",
		"log verify --config /no/such": "/no/such",
	} {
		if got := runLine(t, "", strings.Fields(line)...); got.code != exitUsage || !strings.Contains(got.stderr, want) {
			t.Errorf("%s: %+v", line, got)
		}
	}
}
