package main

import (
	"bytes"
	"context"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/internal/need"
)

// script is what `edgeraft completion SHELL` prints, in a file.
func script(t *testing.T, shell string) string {
	t.Helper()
	var out, errs bytes.Buffer
	if code := run(context.Background(), []string{"completion", shell}, nil, &out, &errs, nil); code != exitDone {
		t.Fatalf("exit code %d: %s", code, errs.String())
	}
	file := filepath.Join(t.TempDir(), "_edgeraft")
	if err := os.WriteFile(file, out.Bytes(), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

// complete asks a shell what may come at the end of a command line. In a line of
// %, the script is the file %s; in %q the words stand quoted.
func complete(t *testing.T, shell, file, line string) []string {
	t.Helper()
	words := strings.Split(line, " ")
	var command string
	switch shell {
	case "bash":
		command = `source "$0"; COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); _edgeraft; printf '%s\n' "${COMPREPLY[@]}"`
	case "zsh":
		// The functions of the completion system, as far as the script needs them.
		command = `compdef() { }; _describe() { print -l -- ${(P)argv[-1]} }; _files() { }; compadd() { print -l -- "$@" }
			source "$0"; words=("$@"); CURRENT=$#; _edgeraft`
	case "fish":
		command = `source $argv[1]; complete -C "$argv[2]"`
		words = []string{line}
	}
	args := []string{"-c", command, file}
	if shell == "fish" {
		args = []string{"--no-config", "-c", command, "--", file}
	}
	out, err := exec.Command(shell, append(args, words...)...).CombinedOutput()
	if err != nil {
		t.Fatalf("%s completes %q: %v\n%s", shell, line, err, out)
	}
	last := words[len(words)-1]
	if shell == "fish" {
		last = line[strings.LastIndex(line, " ")+1:]
	}
	var found []string
	for text := range strings.Lines(string(out)) {
		word, _, _ := strings.Cut(strings.TrimSpace(text), "\t") // fish: a description follows
		word, _, _ = strings.Cut(word, ":")                      // zsh: likewise
		if word != "" && strings.HasPrefix(word, last) {
			found = append(found, word)
		}
	}
	slices.Sort(found)
	return found
}

func TestCompletion(t *testing.T) {
	for shell := range shells {
		t.Run(shell, func(t *testing.T) {
			need.Command(t, shell, shell)
			file := script(t, shell)
			for _, c := range []struct{ line, want string }{
				{"edgeraft sta", "status"},
				{"edgeraft mem", "members"},
				{"edgeraft members pro", "promote"},
				{"edgeraft members ", "add demote list promote remove transfer"},
				{"edgeraft members list --js", "--json"},
				{"edgeraft status --w", "--watch"},
				{"edgeraft completion ", "bash fish zsh"},
				{"edgeraft run --udp-l", "--udp-listen"},
				{"edgeraft keygen --w", ""},
			} {
				if got := strings.Join(complete(t, shell, file, c.line), " "); got != c.want {
					t.Errorf("%q: %q, want %q", c.line, got, c.want)
				}
			}
		})
	}
}
