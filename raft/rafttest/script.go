package rafttest

import (
	"errors"
	"fmt"
	"strings"
)

// A script is a text that can be played on a Cluster, command by command. Lines that begin with "#", and empty
// ones, are prose; one that begins with ">" is a command, and the lines below
// it that are indented by two spaces are what it must print. What the commands
// are is in script_commands.go and raft/testdata/README.md.

// maxFaults is how many faults are told at most; after some, most only follow
// from those before.
const maxFaults = 10

// Fault is something in a script that is not as it says.
type Fault struct {
	File string
	Line int // of the command
	What string
}

// Error is the fault as compilers print theirs.
func (f Fault) Error() string { return fmt.Sprintf("%s:%d: %s", f.File, f.Line, f.What) }

// step is a command of a script and what it is to print; or, without a
// command, a line of prose.
type step struct {
	line    int
	text    string // as it stands in the file
	command []string
	want    []string
	got     []string
}

// Play plays a script. It returns the script with what its commands did print,
// and what was wrong: other output than the text says, expectations that do not
// hold whatever the output is, and invariants of the Cluster that were broken.
// It goes on after a fault, but not after a command that makes no sense.
func Play(file, text string) (played string, faults []Fault) {
	steps, fault := parseScript(file, text)
	if fault != nil {
		return text, []Fault{*fault}
	}
	tell := func(s *step, format string, args ...any) {
		if len(faults) < maxFaults {
			faults = append(faults, Fault{file, s.line, fmt.Sprintf(format, args...)})
		}
	}
	w := &world{}
	violated, stopped := false, false
	for i := range steps {
		s := &steps[i]
		if s.command == nil {
			continue
		}
		if stopped {
			s.got = s.want
			continue
		}
		err := w.do(s.command)
		s.got, w.out = w.out, nil
		if err != nil {
			tell(s, "%s: %v", strings.Join(s.command, " "), err)
			var claim expectation
			stopped = !errors.As(err, &claim)
		}
		if w.Cluster != nil && w.failed != nil && !violated {
			violated = true
			tell(s, "invariant %q: %s", w.failed.Invariant, w.failed.What)
		}
		if d := diff(s.want, s.got); d != "" {
			tell(s, "%s prints (+) other than the script says (-):\n%s", strings.Join(s.command, " "), d)
		}
	}
	return render(steps), faults
}

// parseScript splits a script into steps.
func parseScript(file, text string) ([]step, *Fault) {
	var steps []step
	last := -1 // the command that the next output belongs to
	for i, line := range strings.Split(strings.TrimSuffix(text, "\n"), "\n") {
		switch {
		case line == "" || strings.HasPrefix(line, "#"):
			steps, last = append(steps, step{line: i + 1, text: line}), -1
		case strings.HasPrefix(line, "> ") && strings.TrimSpace(line[2:]) != "":
			last = len(steps)
			steps = append(steps, step{line: i + 1, text: line, command: strings.Fields(line[2:])})
		case strings.HasPrefix(line, "  ") && last >= 0:
			steps[last].want = append(steps[last].want, line[2:])
		default:
			return nil, &Fault{file, i + 1, fmt.Sprintf("%q is no prose (#), no command (>), and no output below one (two spaces)", line)}
		}
	}
	return steps, nil
}

func render(steps []step) string {
	var b strings.Builder
	for _, s := range steps {
		b.WriteString(s.text + "\n")
		for _, line := range s.got {
			b.WriteString("  " + line + "\n")
		}
	}
	return b.String()
}

// diff shows what must go (-) and come (+) to make got of want, "" if nothing.
func diff(want, got []string) string {
	// common[i][j] is how many lines want[i:] and got[j:] can share.
	common := make([][]int, len(want)+1)
	for i := range common {
		common[i] = make([]int, len(got)+1)
	}
	for i := len(want) - 1; i >= 0; i-- {
		for j := len(got) - 1; j >= 0; j-- {
			common[i][j] = max(common[i+1][j], common[i][j+1])
			if want[i] == got[j] {
				common[i][j] = common[i+1][j+1] + 1
			}
		}
	}
	var b strings.Builder
	i, j, same := 0, 0, true
	for i < len(want) || j < len(got) {
		switch {
		case i < len(want) && j < len(got) && want[i] == got[j]:
			b.WriteString("    " + want[i] + "\n")
			i, j = i+1, j+1
		case j == len(got) || i < len(want) && common[i+1][j] >= common[i][j+1]:
			b.WriteString("  - " + want[i] + "\n")
			i, same = i+1, false
		default:
			b.WriteString("  + " + got[j] + "\n")
			j, same = j+1, false
		}
	}
	if same {
		return ""
	}
	return b.String()
}
