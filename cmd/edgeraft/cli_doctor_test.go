package main

import (
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/internal/doctor"
)

// What is printed fits the terminal, but for commands, which are to be copied.
func TestPrintFindings(t *testing.T) {
	long := strings.Repeat("many wörds ", 40)
	command := "sudo " + strings.Repeat("long ", 30)
	var out strings.Builder
	printFindings(&out, []doctor.Finding{
		{Group: "files", Check: "key file", Level: doctor.OK, Text: "is well"},
		{Group: "files", Check: "socket", Level: doctor.Error, Text: long, Remedy: long, Command: command},
		{Group: "network", Check: "multicast", Level: doctor.Warning, Text: "a name with \x1b[31m in it"},
	}, plainWidth)
	text := out.String()
	for line := range strings.Lines(text) {
		if n := utf8.RuneCountInString(strings.TrimSuffix(line, "\n")); n > plainWidth && !strings.Contains(line, "$ ") {
			t.Errorf("%d characters: %s", n, line)
		}
	}
	for _, want := range []string{"Files\n  ok       key file: is well\n  error    socket: many wörds", "\n        -> many", "\n         $ " + command + "\n",
		"\nNetwork\n  warning  multicast: ", `\x1b[31m`, "\n1 error, 1 warning, 0 notes; well: 1 of 3 checks.\n"} {
		if !strings.Contains(text, want) {
			t.Errorf("no %q in\n%s", want, text)
		}
	}
	if strings.Contains(text, "\x1b") || strings.Count(text, "Files") != 1 {
		t.Errorf("%q", text)
	}
}
