package house

import (
	"fmt"
	"go/ast"
	"go/token"
	"regexp"
	"strings"
)

const (
	maxFileLines     = 400
	maxFunctionLines = 70
	coreDir          = "raft"
)

// maySleep are the files that may call time.Sleep: none. Waiting for something
// is done with a channel, a condition or a virtual clock.
var maySleep = map[string]bool{}

var later = regexp.MustCompile(`\b(TODO|FIXME)\b`)

// rule is one rule of the house: what it says about some files.
type rule struct {
	name  string
	check func([]source) []string
}

var rules = []rule{
	{"imports", checkImports},
	{"core is pure", checkCore},
	{"package comments", checkPackageComments},
	{"length", checkLength},
	{"no sleep", checkSleep},
	{"nothing left for later", checkLater},
}

// checkCore holds that package raft starts no goroutine and computes with
// integers only. What it may not import is in the table.
func checkCore(sources []source) []string {
	var out []string
	for _, s := range sources {
		if s.dir != coreDir || s.test {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			switch n := n.(type) {
			case *ast.GoStmt:
				out = append(out, s.at(n, "a goroutine in package raft"))
			case *ast.Ident:
				switch n.Name {
				case "float32", "float64", "complex64", "complex128":
					out = append(out, s.at(n, "floating point in package raft"))
				}
			case *ast.BasicLit:
				if n.Kind == token.FLOAT || n.Kind == token.IMAG {
					out = append(out, s.at(n, "floating point in package raft"))
				}
			}
			return true
		})
	}
	return out
}

// checkPackageComments holds that every package says what it is. A package
// that consists of tests says it there.
func checkPackageComments(sources []source) []string {
	names := make(map[string]string)
	documented := make(map[string]bool)
	var order []string
	for _, s := range sources {
		if _, seen := names[s.dir]; !seen {
			order = append(order, s.dir)
			names[s.dir] = strings.TrimSuffix(s.file.Name.Name, "_test")
		}
		text := s.file.Doc.Text()
		name := s.file.Name.Name
		if name == "main" && text != "" || strings.HasPrefix(text, "Package "+name+" ") {
			documented[s.dir] = true
		}
	}
	var out []string
	for _, dir := range order {
		if !documented[dir] {
			out = append(out, fmt.Sprintf("%s: no comment that begins with \"Package %s \"", dir, names[dir]))
		}
	}
	return out
}

func checkLength(sources []source) []string {
	var out []string
	for _, s := range sources {
		if s.test {
			continue
		}
		if s.lines > maxFileLines {
			out = append(out, s.at(s.file, "the file has %d lines, the limit is %d", s.lines, maxFileLines))
		}
		for _, d := range s.file.Decls {
			f, ok := d.(*ast.FuncDecl)
			if !ok {
				continue
			}
			if n := s.fset.Position(f.End()).Line - s.fset.Position(f.Pos()).Line + 1; n > maxFunctionLines {
				out = append(out, s.at(f, "function %s has %d lines, the limit is %d", f.Name.Name, n, maxFunctionLines))
			}
		}
	}
	return out
}

// checkSleep looks at tests too: a test that sleeps usually passes.
func checkSleep(sources []source) []string {
	var out []string
	for _, s := range sources {
		name := s.localName("time")
		if name == "" || maySleep[s.dir+"/"+s.name] {
			continue
		}
		ast.Inspect(s.file, func(n ast.Node) bool {
			sel, ok := n.(*ast.SelectorExpr)
			if !ok || sel.Sel.Name != "Sleep" {
				return true
			}
			if x, ok := sel.X.(*ast.Ident); ok && x.Name == name {
				out = append(out, s.at(n, "time.Sleep: wait for what is to happen instead"))
			}
			return true
		})
	}
	return out
}

// localName is what an imported path is called in the file; "" if it is not.
func (s source) localName(path string) string {
	for _, i := range s.imports() {
		switch {
		case i.path != path:
		case i.spec.Name != nil:
			return i.spec.Name.Name
		default:
			return path[strings.LastIndex(path, "/")+1:]
		}
	}
	return ""
}

func checkLater(sources []source) []string {
	var out []string
	for _, s := range sources {
		for _, g := range s.file.Comments {
			for _, c := range g.List {
				if word := later.FindString(c.Text); word != "" {
					out = append(out, s.at(c, "%s: do it, or open an issue", word))
				}
			}
		}
	}
	return out
}
