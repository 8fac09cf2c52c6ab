package rafttest

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

var (
	namedScript = regexp.MustCompile("`([a-z0-9_]+\\.txt)`")
	namedTest   = regexp.MustCompile("`([a-z/_]+_test\\.go): (Test[A-Za-z]+)`")
)

// TestScriptTable holds the table in raft/testdata/README.md: every script is in
// it, and what is in it exists.
func TestScriptTable(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(scriptDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	_, table, _ := strings.Cut(string(text), "## Traps")
	named := map[string]bool{}
	for _, m := range namedScript.FindAllStringSubmatch(table, -1) {
		named[m[1]] = true
	}
	files, err := filepath.Glob(filepath.Join(scriptDir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		if name := filepath.Base(f); !named[name] {
			t.Errorf("%s is not in the table", name)
		}
		delete(named, filepath.Base(f))
	}
	for name := range named {
		t.Errorf("%s is in the table, and does not exist", name)
	}
	tests := namedTest.FindAllStringSubmatch(table, -1)
	if len(tests) < 10 {
		t.Errorf("only %d tests are in the table", len(tests))
	}
	for _, m := range tests {
		source, err := os.ReadFile(filepath.Join("../..", filepath.FromSlash(m[1])))
		if err != nil || !strings.Contains(string(source), "func "+m[2]+"(") {
			t.Errorf("%s of %s is in the table, and does not exist: %v", m[2], m[1], err)
		}
	}
}

// TestScriptsClaim holds what a script is: prose first, with the trap, who was
// caught in it and the rule, and claims that -update cannot rewrite.
func TestScriptsClaim(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(scriptDir, "*.txt"))
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		head, body, _ := strings.Cut(string(text), "\n> ")
		for _, want := range []string{"# The trap: ", "# Seen in: ", "# The rule: ", "thesis §"} {
			if !strings.Contains(head, want) {
				t.Errorf("%s does not say %q before its first command", f, want)
			}
		}
		if n := strings.Count(body, "\n> expect "); n < 3 {
			t.Errorf("%s claims only %d things", f, n)
		}
	}
}

// TestScriptCommandsAreDocumented: the page of commands has them all.
func TestScriptCommandsAreDocumented(t *testing.T) {
	text, err := os.ReadFile(filepath.Join(scriptDir, "README.md"))
	if err != nil {
		t.Fatal(err)
	}
	for name := range scriptCommands() {
		if !strings.Contains(string(text), "`"+name) {
			t.Errorf("the README does not know %q", name)
		}
	}
}
