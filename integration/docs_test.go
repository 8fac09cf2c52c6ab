package integration

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/integration/lab"
)

// example is a block of code in a page, and the block that says what it prints.
type example struct {
	language, code string
	output         *regexp.Regexp // nil: it is not compared
	line           int
}

// examplesIn finds the blocks of a page. A block "output" belongs to the one
// before it; … stands for any text within a line.
func examplesIn(page string) []example {
	var all []example
	var block []string
	language, began := "", 0
	for i, line := range strings.Split(page, "\n") {
		fence, isFence := strings.CutPrefix(line, "```")
		switch {
		case isFence && language == "":
			language, block, began = fence, nil, i+2
			if language == "" {
				language = "text"
			}
		case isFence && language == "output" && len(all) > 0:
			text := regexp.QuoteMeta(strings.Join(block, "\n"))
			all[len(all)-1].output = regexp.MustCompile("^" + strings.ReplaceAll(text, "…", ".*") + "$")
			language = ""
		case isFence:
			all = append(all, example{language: language, code: strings.Join(block, "\n"), line: began})
			language = ""
		case language != "":
			block = append(block, line)
		}
	}
	return all
}

// interpreters run examples that are given as their last argument.
var interpreters = map[string][]string{
	"sh":     {"bash", "-c"},
	"python": {"python3", "-c"},
	"js":     {"node", "-e"},
}

// TestSocketExamples runs every example of docs/socket.md in turn against an
// agent, and compares what it prints with what the page says.
func TestSocketExamples(t *testing.T) {
	t.Parallel()
	if emulated() {
		t.Skip("not a matter of the processor")
	}
	page, err := os.ReadFile("../docs/socket.md")
	if err != nil {
		t.Fatal(err)
	}
	for command, pkg := range map[string]string{"bash": "bash", "curl": "curl", "python3": "python3", "node": "nodejs"} {
		lab.NeedCommand(t, command, pkg)
	}
	net := lab.New(t, 1)
	a := newAgent(t, net, 1)
	a.start()
	a.must("init")
	ran := map[string]int{}
	for _, e := range examplesIn(string(page)) {
		if interpreters[e.language] == nil {
			continue
		}
		ran[e.language]++
		code := strings.ReplaceAll(e.code, "/run/edgeraft/edgeraft.sock", filepath.Join(a.dir, "s"))
		if e.language == "sh" { // each goes on where the one before it ended
			code = "shopt -s expand_aliases\n" + aliasOf(string(page), filepath.Join(a.dir, "s")) + code
		}
		ctx, cancel := context.WithTimeout(t.Context(), 60*time.Second)
		argv := append(append([]string{}, interpreters[e.language]...), code)
		cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
		var out, errs bytes.Buffer
		cmd.Stdout, cmd.Stderr = &out, &errs
		cmd.WaitDelay = 5 * time.Second // a child of its may hold the output
		err := cmd.Run()
		cancel()
		where := fmt.Sprintf("docs/socket.md:%d", e.line)
		if err != nil || errs.Len() > 0 {
			t.Fatalf("%s: %v: %s", where, err, errs.String())
		}
		if e.output == nil || !e.output.MatchString(strings.TrimSuffix(out.String(), "\n")) {
			t.Errorf("%s prints\n%sand the page says %v", where, out.String(), e.output)
		}
	}
	for language := range interpreters {
		if ran[language] == 0 {
			t.Errorf("the page has no example for %s", language)
		}
	}
}

// aliasOf is the alias that the page has its readers type once. Variables are not
// kept from block to block, and no block needs those of another.
func aliasOf(page, socket string) string {
	for line := range strings.Lines(page) {
		if strings.HasPrefix(line, "alias er=") {
			return strings.ReplaceAll(line, "/run/edgeraft/edgeraft.sock", socket)
		}
	}
	return ""
}

// TestLinksInDocs: what a page links to is there.
func TestLinksInDocs(t *testing.T) {
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil || len(pages) < 5 {
		t.Fatalf("%d pages: %v", len(pages), err)
	}
	link := regexp.MustCompile(`\]\(([^)#]+)(#[^)]*)?\)`)
	for _, page := range append(pages, "../README.md", "../ARCHITECTURE.md") {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, m := range link.FindAllStringSubmatch(string(text), -1) {
			if strings.Contains(m[1], "://") {
				continue
			}
			if _, err := os.Stat(filepath.Join(filepath.Dir(page), m[1])); err != nil {
				t.Errorf("%s links to %s: %v", page, m[1], err)
			}
		}
	}
}

// TestSocketPageIsComplete: the page has every call, every code of an error and
// every field of the status.
func TestSocketPageIsComplete(t *testing.T) {
	page, err := os.ReadFile("../docs/socket.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, source := range []struct{ file, pattern string }{
		{"../app/route.go", `^\t"(/v1/[a-z/]+|/[a-z]+)":\s+\{`},
		{"../app/api/api.go", `^\tCode\w+\s+= "(\w+)"`},
	} {
		text, err := os.ReadFile(source.file)
		if err != nil {
			t.Fatal(err)
		}
		found := regexp.MustCompile(`(?m)`+source.pattern).FindAllStringSubmatch(string(text), -1)
		if len(found) < 10 {
			t.Errorf("%s: only %d were found", source.file, len(found))
		}
		for _, m := range found {
			if !regexp.MustCompile(regexp.QuoteMeta(m[1]) + `\b`).Match(page) {
				t.Errorf("docs/socket.md says nothing of %s (%s)", m[1], source.file)
			}
		}
	}
	status := reflect.TypeFor[api.Status]()
	for i := range status.NumField() {
		name, _, _ := strings.Cut(status.Field(i).Tag.Get("json"), ",")
		if !strings.Contains(string(page), "`"+name) {
			t.Errorf("docs/socket.md says nothing of the status's field %s", name)
		}
	}
}
