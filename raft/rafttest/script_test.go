package rafttest

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write what the scripts in raft/testdata print into them")

const scriptDir = "../testdata"

// TestScripts plays the scripts. -update writes what they print into them; what
// they expect must hold all the same.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scriptDir, "*.txt"))
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts in %s: %v", scriptDir, err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			played, faults := Play(filepath.ToSlash(file), string(text))
			if *update && played != string(text) {
				if err := os.WriteFile(file, []byte(played), 0o644); err != nil {
					t.Fatal(err)
				}
				_, faults = Play(filepath.ToSlash(file), played)
			}
			for _, f := range faults {
				t.Error(f)
			}
		})
	}
}

// A script that is wrong says where, and how.
func TestScriptFaults(t *testing.T) {
	const begin = "# Prose.\n> cluster voters=3\n"
	for _, c := range []struct {
		name, text string
		line       int
		want       []string // parts of the only fault
	}{
		{"unknown command", begin + "> dance n0\n", 3, []string{`no command "dance"`, "expect"}},
		{"no cluster", "> tick n0\n", 1, []string{"begins with cluster"}},
		{"second cluster", begin + "> cluster voters=1\n", 3, []string{"already"}},
		{"unknown setting", "> cluster voters=3 colour=4\n", 1, []string{`"colour"`}},
		{"too many nodes", "> cluster voters=99\n", 1, []string{"1 to 9"}},
		{"arguments", begin + "\n> timeout\n", 4, []string{"timeout NODE"}},
		{"unknown node", begin + "> tick n7\n", 3, []string{`"n7"`}},
		{"unknown link", begin + "> cut n0>n9\n", 3, []string{`"n0>n9"`}},
		{"link to itself", begin + "> expect n0>n0 waiting=none\n", 3, []string{`"n0>n0"`}},
		{"bad number", begin + "> tick n0 many\n", 3, []string{`"many"`}},
		{"nothing to deliver", begin + "> deliver n0>n1\n", 3, []string{"no such message"}},
		{"nothing to save", begin + "> sync n0\n", 3, []string{"no save"}},
		{"down", begin + "> crash n0\n  n0 crashes\n> timeout n0\n", 5, []string{"n0 is down"}},
		{"name taken", begin + "> propose n0 n1\n", 3, []string{`"n1"`}},
		{"unknown subject", begin + "> expect x outcome=open\n", 3, []string{`"x"`}},
		{"unknown claim", begin + "> expect n0 mood=good\n", 3, []string{"mood=good", "commit"}},
		{"stray line", begin + "tick n0\n", 3, []string{`"tick n0"`}},
		{"stray output", begin + "\n  n0 is leader\n", 4, []string{"n0 is leader"}},
		{"empty command", begin + "> \n", 3, []string{`"> " is no prose`}},

		{"broken claim", begin + "> expect n0 term=9 role=leader commit=1\n", 3, []string{"term is 1, role is follower"}},
		{"broken denial", begin + "> expect n0 role!=follower\n", 3, []string{"role is follower"}},
		{"other output", begin + "> show n1\n  n1 leads\n", 3, []string{"- n1 leads\n", "+ n1 follower of nobody"}},
		{"no output", begin + "> show n1\n", 3, []string{"+ n1 follower of nobody"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			_, faults := Play("x.txt", c.text)
			if len(faults) != 1 {
				t.Fatalf("%d faults: %v", len(faults), faults)
			}
			for _, want := range append(c.want, fmt.Sprintf("x.txt:%d: ", c.line)) {
				if !strings.Contains(faults[0].Error(), want) {
					t.Errorf("%q does not contain %q", faults[0], want)
				}
			}
		})
	}
}

// Output is rewritten; a claim that does not hold stays a fault.
func TestScriptRewrite(t *testing.T) {
	const script = "# Prose.\n> cluster voters=3\n> show n0\n  lies\n> expect n0 role=leader\n"
	played, faults := Play("x.txt", script)
	if len(faults) != 2 || !strings.Contains(played, "> show n0\n  n0 follower of nobody in t1") || strings.Contains(played, "lies") {
		t.Fatalf("%q\n%v", played, faults)
	}
	again, faults := Play("x.txt", played)
	if again != played || len(faults) != 1 || faults[0].Line != 5 {
		t.Fatalf("%q\n%v", again, faults)
	}
}

// A broken invariant is a fault of the command that broke it.
func TestScriptInvariant(t *testing.T) {
	w := &world{}
	for _, command := range []string{"cluster voters=3", "elect n0"} {
		if err := w.do(strings.Fields(command)); err != nil {
			t.Fatal(err)
		}
	}
	w.Nodes[0].Disk.entries.cut(1) // the disk lost what it reported
	if err := w.do([]string{"tick", "n0"}); err != nil || w.failed == nil {
		t.Fatalf("%v, %v: nobody notices", err, w.failed)
	}
}
