package rafttest

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
)

// root is where the module begins, seen from this package.
const root = "../.."

// bug is a row of the table of planted bugs: how to break the source on purpose.
type bug struct {
	name  string
	what  string
	hunks []hunk
	// seeds is within how many seeds the simulator must catch it.
	seeds uint64
	// scene and in are the test that catches it, and its package, where the
	// simulator does not.
	scene, in string
	// foundings: it is in foundings that the simulator must catch it.
	foundings bool
	// rescues: in recoveries, likewise.
	rescues bool
}

// hunk replaces lines of one file.
type hunk struct {
	file     string
	old, new string
}

// defaultCap is within how many seeds a bug must be caught, if its row says
// nothing else.
const defaultCap = 400

// readBugs reads the whole table. planted/README says what a row looks like.
func readBugs(t *testing.T) []bug {
	t.Helper()
	files, err := filepath.Glob("planted/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("find the table of planted bugs: %v, %v", files, err)
	}
	var bugs []bug
	for _, f := range files {
		text, err := os.ReadFile(f)
		if err != nil {
			t.Fatal(err)
		}
		read, err := parseBugs(string(text))
		if err != nil {
			t.Fatalf("%s: %v", f, err)
		}
		bugs = append(bugs, read...)
	}
	return bugs
}

func parseBugs(text string) ([]bug, error) {
	var bugs []bug
	for i, line := range strings.Split(text, "\n") {
		key, rest, _ := strings.Cut(line, " ")
		if key == "bug" {
			bugs = append(bugs, bug{name: rest, seeds: defaultCap})
			continue
		}
		if line == "" || key == "#" {
			continue
		}
		if len(bugs) == 0 {
			return nil, fmt.Errorf("line %d: %q stands before the first bug", i+1, line)
		}
		if err := bugs[len(bugs)-1].read(line); err != nil {
			return nil, fmt.Errorf("line %d: %w", i+1, err)
		}
	}
	for i := range bugs {
		if err := bugs[i].check(bugs[:i]); err != nil {
			return nil, fmt.Errorf("bug %s: %w", bugs[i].name, err)
		}
	}
	return bugs, nil
}

// read takes one line of a row.
func (b *bug) read(line string) (err error) {
	key, rest, _ := strings.Cut(line, " ")
	switch {
	case key == "file":
		b.hunks = append(b.hunks, hunk{file: rest})
		return nil
	case key == "seeds":
		b.seeds, err = strconv.ParseUint(rest, 10, 32)
		return err
	case key == "foundings":
		b.foundings = true
		b.seeds, err = strconv.ParseUint(rest, 10, 32)
		return err
	case key == "rescues":
		b.rescues = true
		b.seeds, err = strconv.ParseUint(rest, 10, 32)
		return err
	case key == "scene":
		b.in, b.scene, _ = strings.Cut(rest, " ")
		return nil
	case len(b.hunks) == 0:
		b.what = strings.TrimSpace(b.what + " " + strings.TrimSpace(line))
		return nil
	}
	h := &b.hunks[len(b.hunks)-1]
	text := line[1:] + "\n"
	switch line[0] {
	case ' ':
		h.old, h.new = h.old+text, h.new+text
	case '-':
		h.old += text
	case '+':
		h.new += text
	default:
		return fmt.Errorf("%q is neither a word of the table nor a line of a change", line)
	}
	return nil
}

func (b *bug) check(before []bug) error {
	switched := false
	for _, h := range b.hunks {
		switched = switched || strings.Contains(h.new, "planted("+strconv.Quote(b.name)+")")
	}
	for _, o := range before {
		if o.name == b.name {
			return fmt.Errorf("the name is used twice")
		}
	}
	if b.what == "" || !switched {
		return fmt.Errorf("it needs words on what it is, and a change that asks planted(%q)", b.name)
	}
	return nil
}

// patch returns the sources with all bugs in them, each behind its switch, by
// their paths from the root. A row that does not fit the source is an error.
func patch(bugs []bug) (map[string][]byte, error) {
	sources := map[string][]byte{}
	var misfits []error
	for _, b := range bugs {
		for _, h := range b.hunks {
			text, ok := sources[h.file]
			if !ok {
				read, err := os.ReadFile(filepath.Join(root, h.file))
				if err != nil {
					return nil, err
				}
				text = read
			}
			old := []byte("\n" + h.old)
			if n := bytes.Count(text, old); n != 1 {
				misfits = append(misfits, fmt.Errorf("the planted bug %s no longer fits %s: the text it replaces occurs %d times there; adjust its row to the source:\n%s", b.name, h.file, n, h.old))
				continue
			}
			sources[h.file] = bytes.Replace(text, old, []byte("\n"+h.new), 1)
		}
	}
	return sources, errors.Join(misfits...)
}

// TestPlantedBugsFit holds the table to the source, so that it cannot rot.
func TestPlantedBugsFit(t *testing.T) {
	if _, err := patch(readBugs(t)); err != nil {
		t.Fatal(err)
	}
}
