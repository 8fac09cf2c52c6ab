package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"

	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/show"
)

// shells are those that `edgeraft completion` knows, and what writes the script
// for each.
var shells = map[string]func(io.Writer, []completed){
	"bash": completeBash,
	"zsh":  completeZsh,
	"fish": completeFish,
}

func init() {
	// Not in the table itself: this command reads the table.
	commands = append(commands, completionCommand)
}

var completionCommand = command{
	name: "completion", args: "SHELL", min: 1, max: 1, scope: scopeNone,
	summary: "print the script that completes command lines, for bash, zsh or fish",
	details: "The package installs all three.",
	example: "edgeraft completion bash > ~/.local/share/bash-completion/completions/edgeraft\n" +
		"edgeraft completion zsh > /usr/local/share/zsh/site-functions/_edgeraft\n" +
		"edgeraft completion fish > ~/.config/fish/completions/edgeraft.fish",
	define: func(*flag.FlagSet) action {
		return func(_ context.Context, inv *invocation) error {
			write, ok := shells[inv.args[0]]
			if !ok {
				return usageError{fmt.Sprintf("there is no completion for %q, only for %s",
					inv.args[0], shellNames)}
			}
			write(inv.stdout, completions())
			return nil
		}
	},
}

const shellNames = "bash fish zsh"

// completed is what can be completed of one command.
type completed struct {
	words   []string // of its name, one or two
	summary string
	flags   []completedFlag
}

type completedFlag struct {
	name, usage string
	value       bool // whether it takes one
}

// completions is all that can be completed, in the order of help.
func completions() []completed {
	var out []completed
	for i := range commands {
		c := &commands[i]
		one := completed{words: strings.Fields(c.name), summary: c.summary}
		for _, f := range flagsOf(c) {
			boolean, ok := f.Value.(interface{ IsBoolFlag() bool })
			_, usage := flag.UnquoteUsage(f)
			one.flags = append(one.flags, completedFlag{f.Name, usage, !ok || !boolean.IsBoolFlag()})
		}
		one.flags = append(one.flags, completedFlag{name: "help", usage: "show help"})
		out = append(out, one)
	}
	return out
}

// flagsOf lists all flags of a command, sorted by name.
func flagsOf(c *command) []*flag.Flag {
	inv := &invocation{command: c, from: config.Source{Flags: map[string]string{}}}
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	inv.defineFlags(fs)
	var flags []*flag.Flag
	fs.VisitAll(func(f *flag.Flag) { flags = append(flags, f) })
	return flags
}

// firstWords lists the first word of every command once, with a summary.
func firstWords(all []completed) (words, summaries []string) {
	for _, c := range all {
		if slices.Contains(words, c.words[0]) {
			continue
		}
		summary := c.summary
		if len(c.words) > 1 {
			summary = strings.Join(secondWords(all, c.words[0]), ", ")
		}
		words, summaries = append(words, c.words[0]), append(summaries, summary)
	}
	return append(words, "help"), append(summaries, "show what there is")
}

// secondWords lists the second words of a group of commands.
func secondWords(all []completed, first string) []string {
	var out []string
	for _, c := range all {
		if len(c.words) > 1 && c.words[0] == first {
			out = append(out, c.words[1])
		}
	}
	return out
}

// groups lists the first words of commands of two.
func groups(all []completed) []string {
	var out []string
	for _, c := range all {
		if len(c.words) > 1 && !slices.Contains(out, c.words[0]) {
			out = append(out, c.words[0])
		}
	}
	return out
}

func completeBash(out io.Writer, all []completed) {
	words, _ := firstWords(all)
	fmt.Fprintf(out, "# bash completion for edgeraft\n_edgeraft() {\n"+
		"\tlocal cur=${COMP_WORDS[COMP_CWORD]} command=${COMP_WORDS[1]} words=\n\tCOMPREPLY=()\n\tcase $command in\n")
	for _, g := range groups(all) {
		fmt.Fprintf(out, "\t%s)\n\t\tif [ \"$COMP_CWORD\" = 2 ]; then\n\t\t\tCOMPREPLY=($(compgen -W %s -- \"$cur\"))\n\t\t\treturn\n\t\tfi\n"+
			"\t\tcommand+=\" ${COMP_WORDS[2]}\" ;;\n", g, show.Quoted(strings.Join(secondWords(all, g), " ")))
	}
	fmt.Fprintf(out, "\tesac\n\tif [ \"$COMP_CWORD\" = 1 ]; then\n\t\tCOMPREPLY=($(compgen -W %s -- \"$cur\"))\n\t\treturn\n\tfi\n\tcase $command in\n",
		show.Quoted(strings.Join(words, " ")))
	for _, c := range all {
		fmt.Fprintf(out, "\t%s) words=%s ;;\n", show.Quoted(strings.Join(c.words, " ")), show.Quoted(flagWords(c)))
	}
	fmt.Fprintf(out, "\tesac\n\tif [[ $command == completion && $cur != -* ]]; then\n\t\tCOMPREPLY=($(compgen -W %s -- \"$cur\"))\n"+
		"\t\treturn\n\tfi\n", show.Quoted(shellNames))
	fmt.Fprintf(out, "\t[[ $cur == -* ]] && COMPREPLY=($(compgen -W \"$words\" -- \"$cur\"))\n}\ncomplete -o default -F _edgeraft edgeraft\n")
}

func flagWords(c completed) string {
	var words []string
	for _, f := range c.flags {
		words = append(words, "--"+f.name)
	}
	return strings.Join(words, " ")
}

func completeZsh(out io.Writer, all []completed) {
	describe := func(indent, option string, words, summaries []string) {
		fmt.Fprintf(out, "%swords_=(", indent)
		for i, w := range words {
			fmt.Fprintf(out, "\n%s  %s", indent, show.Quoted(w+":"+summaries[i]))
		}
		fmt.Fprintf(out, ")\n%s_describe %s edgeraft words_\n", indent, option)
	}
	fmt.Fprintf(out, "#compdef edgeraft\n_edgeraft() {\n  local -a words_\n  local command=$words[2]\n  if (( CURRENT == 2 )); then\n")
	words, summaries := firstWords(all)
	describe("    ", "-t commands", words, summaries)
	fmt.Fprintf(out, "    return\n  fi\n  case $command in\n")
	for _, g := range groups(all) {
		fmt.Fprintf(out, "  %s)\n    if (( CURRENT == 3 )); then\n", g)
		var seconds, what []string
		for _, c := range all {
			if c.words[0] == g {
				seconds, what = append(seconds, c.words[1]), append(what, c.summary)
			}
		}
		describe("      ", "-t commands", seconds, what)
		fmt.Fprintf(out, "      return\n    fi\n    command+=\" $words[3]\" ;;\n")
	}
	fmt.Fprintf(out, "  esac\n  if [[ $words[CURRENT] != -* ]]; then\n"+
		"    if [[ $command == completion ]]; then\n      compadd %s\n      return\n    fi\n    _files\n    return\n  fi\n  case $command in\n", shellNames)
	for _, c := range all {
		fmt.Fprintf(out, "  %s)\n", show.Quoted(strings.Join(c.words, " ")))
		var flags, what []string
		for _, f := range c.flags {
			flags, what = append(flags, "--"+f.name), append(what, f.usage)
		}
		describe("    ", "-o", flags, what)
		fmt.Fprintf(out, "    ;;\n")
	}
	fmt.Fprintf(out, "  esac\n}\nif [ \"$funcstack[1]\" = _edgeraft ]; then\n  _edgeraft \"$@\"\nelse\n  compdef _edgeraft edgeraft\nfi\n")
}

func completeFish(out io.Writer, all []completed) {
	words, summaries := firstWords(all)
	fmt.Fprintf(out, "# fish completion for edgeraft\n")
	for i, w := range words {
		fmt.Fprintf(out, "complete -c edgeraft -f -n __fish_use_subcommand -a %s -d %s\n", w, show.Quoted(summaries[i]))
	}
	for _, c := range all {
		when := "__fish_seen_subcommand_from " + c.words[0]
		if len(c.words) > 1 {
			fmt.Fprintf(out, "complete -c edgeraft -f -n %s -a %s -d %s\n",
				show.Quoted(when+"; and not __fish_seen_subcommand_from "+strings.Join(secondWords(all, c.words[0]), " ")), c.words[1], show.Quoted(c.summary))
			when += "; and __fish_seen_subcommand_from " + c.words[1]
		}
		for _, f := range c.flags {
			value := ""
			if f.value {
				value = " -r"
			}
			fmt.Fprintf(out, "complete -c edgeraft -n %s -l %s%s -d %s\n", show.Quoted(when), f.name, value, show.Quoted(f.usage))
		}
	}
	fmt.Fprintf(out, "complete -c edgeraft -f -n '__fish_seen_subcommand_from completion' -a %s\n", show.Quoted(shellNames))
}
