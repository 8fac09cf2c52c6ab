package main

import (
	"os"
	"strings"
	"unicode/utf8"

	"golang.org/x/sys/unix"
)

// labelWidth is how far what a status says is indented, behind its label.
const labelWidth = 9

// minWidth is how narrow a terminal may be for lines to be broken for it.
const minWidth = 40

// terminalWidth is how many characters a line of the terminal has; 0 where the
// output is none, or has too few.
func terminalWidth(w any) int {
	if !isTerminal(w) {
		return 0
	}
	if checked, ok := w.(*checkedWriter); ok {
		w = checked.w
	}
	f, ok := w.(*os.File)
	if !ok {
		return 0
	}
	size, err := unix.IoctlGetWinsize(int(f.Fd()), unix.TIOCGWINSZ)
	if err != nil || size.Col < minWidth {
		return 0
	}
	return int(size.Col)
}

// wrapFields breaks lines that begin with a label at spaces, so that what
// follows is indented behind the label. Other lines, as those of a table, stay.
func wrapFields(text string, width int) string {
	var out strings.Builder
	for line := range strings.Lines(text) {
		line = strings.TrimSuffix(line, "\n")
		for utf8.RuneCountInString(line) > width && isField(line) {
			at := breakAt(line, width)
			if at < 0 {
				break
			}
			out.WriteString(line[:at] + "\n")
			line = strings.Repeat(" ", labelWidth) + strings.TrimLeft(line[at:], " ")
		}
		out.WriteString(line + "\n")
	}
	return out.String()
}

// isField reports whether a line has its text behind a label, or the space of one.
func isField(line string) bool {
	return len(line) > labelWidth && line[labelWidth-2:labelWidth] == "  " && line[labelWidth] != ' ' &&
		!strings.Contains(line[labelWidth:], "  ")
}

// breakAt is the last space within the width, -1 if there is none behind the label.
func breakAt(line string, width int) int {
	end, runes := len(line), 0
	for i := range line {
		if runes == width {
			end = i
			break
		}
		runes++
	}
	at := strings.LastIndexByte(line[:end], ' ')
	if at <= labelWidth {
		return -1
	}
	return at
}
