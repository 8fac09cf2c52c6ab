package house

import (
	"bytes"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strconv"
	"strings"
)

// module is the path of this module; root is where it lies, seen from here.
const (
	module = "github.com/edgeraft/edgeraft"
	root   = "../.."
)

// source is one Go file of the module.
type source struct {
	dir   string // of the package, below the module's root
	name  string
	test  bool
	lines int
	fset  *token.FileSet
	file  *ast.File
}

func newSource(dir, name string, text []byte) (source, error) {
	fset := token.NewFileSet()
	file, err := parser.ParseFile(fset, path.Join(dir, name), text, parser.ParseComments)
	if err != nil {
		return source{}, err
	}
	return source{
		dir: dir, name: name, test: strings.HasSuffix(name, "_test.go"),
		lines: bytes.Count(text, []byte("\n")), fset: fset, file: file,
	}, nil
}

// at is a complaint about node n.
func (s source) at(n ast.Node, format string, args ...any) string {
	return fmt.Sprintf("%s: %s", s.fset.Position(n.Pos()), fmt.Sprintf(format, args...))
}

// imported is one import of a file: below is the path inside this module, ""
// for what is from elsewhere.
type imported struct {
	spec        *ast.ImportSpec
	path, below string
	std         bool
}

func (s source) imports() []imported {
	var out []imported
	for _, spec := range s.file.Imports {
		p, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			continue // the parser took it, so this cannot be
		}
		first, _, _ := strings.Cut(p, "/")
		below, ours := strings.CutPrefix(p, module+"/")
		if !ours {
			below = ""
		}
		out = append(out, imported{spec: spec, path: p, below: below, std: !strings.Contains(first, ".")})
	}
	return out
}

// load parses every Go file below the module's root.
func load() ([]source, error) {
	var out []source
	err := filepath.WalkDir(root, func(p string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name := d.Name()
		if d.IsDir() {
			if p != root && (strings.HasPrefix(name, ".") || name == "testdata" || name == "dist") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(p)
		if err != nil {
			return err
		}
		dir, err := filepath.Rel(root, filepath.Dir(p))
		if err != nil {
			return err
		}
		s, err := newSource(filepath.ToSlash(dir), name, text)
		out = append(out, s)
		return err
	})
	return out, err
}
