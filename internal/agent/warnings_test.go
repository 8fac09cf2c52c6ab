package agent

import (
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/app/api"
)

// Every warning says what to type next, and docs/socket.md has its code. The
// source is read, so that none can be forgotten.
func TestEveryWarningHasANextCommand(t *testing.T) {
	codes := warningCodes(t)
	if len(codes) < 25 {
		t.Fatalf("only %d warnings were found in the source: %v", len(codes), codes)
	}
	doc, err := os.ReadFile("../../docs/socket.md")
	if err != nil {
		t.Fatal(err)
	}
	_, table, ok := strings.Cut(string(doc), "| warning | ")
	if !ok {
		t.Fatal("docs/socket.md has no table of warnings")
	}
	table, _, _ = strings.Cut(table, "\n\n")
	documented := map[string]bool{}
	for _, m := range regexp.MustCompile("`([a-z_]+)`").FindAllStringSubmatch(firstCells(table), -1) {
		documented[m[1]] = true
		if !codes[m[1]] {
			t.Errorf("docs/socket.md has the warning %s, and no agent gives it", m[1])
		}
	}
	for code := range codes {
		if !documented[code] {
			t.Errorf("docs/socket.md does not have the warning %s", code)
		}
	}
}

// The want of a leader is not put down to others that are missing where they are
// heard.
func TestNoLeader(t *testing.T) {
	for heard, want := range map[int]string{1: "of 3 voters 2 must be reachable, 1 were heard", 2: "though 2 of 3 voters are heard", 3: "though 3 of 3"} {
		if w := noLeader(3, 2, heard); !strings.Contains(w.Message, want) || !urgent([]api.Warning{w}) {
			t.Errorf("%d are heard: %+v", heard, w)
		}
	}
}

// firstCells are the first cells of a table's rows.
func firstCells(table string) (cells string) {
	for line := range strings.Lines(table) {
		if row := strings.SplitN(line, "|", 3); len(row) == 3 {
			cells += row[1] + "\n"
		}
	}
	return cells
}

// warningCodes are the codes of all warnings that the source of this package
// makes: as api.Warning, by add(code, next, ...) or by w.Code, w.Next = ...
func warningCodes(t *testing.T) map[string]bool {
	t.Helper()
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	codes, set := map[string]bool{}, token.NewFileSet()
	for _, f := range files {
		if name := f.Name(); !strings.HasSuffix(name, ".go") || strings.HasSuffix(name, "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(set, f.Name(), nil, 0)
		if err != nil {
			t.Fatal(err)
		}
		ast.Inspect(parsed, func(n ast.Node) bool {
			code, next := warning(n)
			text, isText := literal(code)
			if !isText {
				return true
			}
			if what, isText := literal(next); next == nil || isText && what == "" {
				t.Errorf("%v: the warning %s does not say what to type next", set.Position(n.Pos()), text)
			}
			codes[text] = true
			return true
		})
	}
	return codes
}

// warning is what a piece of source says of a warning: its code and what to do.
func warning(n ast.Node) (code, next ast.Expr) {
	switch n := n.(type) {
	case *ast.CompositeLit:
		if elided := n.Type == nil; !elided && !isNamed(n.Type, "Warning") {
			return nil, nil
		}
		for _, e := range n.Elts {
			kv, ok := e.(*ast.KeyValueExpr)
			switch {
			case ok && isNamed(kv.Key, "Code"):
				code = kv.Value
			case ok && isNamed(kv.Key, "Next"):
				next = kv.Value
			}
		}
	case *ast.CallExpr:
		if isNamed(n.Fun, "add") && len(n.Args) >= 3 {
			return n.Args[0], n.Args[1]
		}
	case *ast.AssignStmt:
		if len(n.Lhs) == 2 && len(n.Rhs) == 2 && isNamed(n.Lhs[0], "Code") && isNamed(n.Lhs[1], "Next") {
			return n.Rhs[0], n.Rhs[1]
		}
	}
	return code, next
}

// isNamed reports whether an expression is a name, or ends in it.
func isNamed(e ast.Expr, name string) bool {
	switch e := e.(type) {
	case *ast.Ident:
		return e.Name == name
	case *ast.SelectorExpr:
		return e.Sel.Name == name
	}
	return false
}

func literal(e ast.Expr) (string, bool) {
	l, ok := e.(*ast.BasicLit)
	if !ok || l.Kind != token.STRING {
		return "", false
	}
	text, err := strconv.Unquote(l.Value)
	return text, err == nil
}
