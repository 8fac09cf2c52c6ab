package main

import (
	"flag"
	"fmt"
	"io"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/edgeraft/edgeraft/internal/config"
)

// findCommand finds the command that the arguments begin with, and returns
// the arguments after its name. It returns no command when help is wanted:
// then the rest says about what.
func findCommand(args []string) (*command, []string, error) {
	if len(args) == 0 {
		return nil, nil, usageError{"what should it do?"}
	}
	switch args[0] {
	case "help", "-h", "-help", "--help":
		return findHelp(args[1:])
	case "-version", "--version":
		args = append([]string{"version"}, args[1:]...)
	}
	if len(args) > 1 {
		if c := commandNamed(args[0] + " " + args[1]); c != nil {
			return c, args[2:], nil
		}
	}
	if c := commandNamed(args[0]); c != nil {
		return c, args[1:], nil
	}
	if isCommandGroup(args[0]) {
		if len(args) > 1 && (args[1] == "--help" || args[1] == "-h" || args[1] == "-help") {
			return nil, args[:1], nil
		}
		if len(args) > 1 {
			return nil, nil, unknownCommand(args[0] + " " + args[1])
		}
		return nil, nil, usageError{fmt.Sprintf("%s what? See `edgeraft help %s`", args[0], args[0])}
	}
	return nil, nil, unknownCommand(args[0])
}

// findHelp finds what `edgeraft help WORD...` is about.
func findHelp(about []string) (*command, []string, error) {
	name := strings.Join(about, " ")
	if c := commandNamed(name); c != nil {
		return c, []string{"--help"}, nil
	}
	if name == "" || isCommandGroup(name) {
		return nil, about, nil
	}
	return nil, nil, unknownCommand(name)
}

func commandNamed(name string) *command {
	for i := range commands {
		if c := &commands[i]; c.name == name {
			return c
		}
	}
	return nil
}

// isCommandGroup reports whether commands of two words start with this one.
func isCommandGroup(word string) bool {
	for _, c := range commands {
		if strings.HasPrefix(c.name, word+" ") {
			return true
		}
	}
	return false
}

// comingCommands are described in the product's plan and not there yet.
var comingCommands []string

func unknownCommand(name string) error {
	if slices.Contains(comingCommands, name) {
		return usageError{fmt.Sprintf("this version has no command %q yet", name)}
	}
	var names []string
	for _, c := range commands {
		names = append(names, c.name)
	}
	if near := config.Nearest(name, names); near != "" {
		return usageError{fmt.Sprintf("there is no command %q; did you mean %q?", name, near)}
	}
	return usageError{fmt.Sprintf("there is no command %q", name)}
}

// listCommands lists all commands, or those of one group.
func listCommands(out io.Writer, group []string) {
	prefix := ""
	if len(group) > 0 {
		prefix = group[0] + " "
	} else {
		fmt.Fprintf(out, "edgeraft makes a handful of small devices agree on shared state.\n\n")
	}
	fmt.Fprintf(out, "Usage: edgeraft %s<command> [flags]\n\nCommands:\n", prefix)
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	for _, c := range commands {
		if strings.HasPrefix(c.name, prefix) {
			fmt.Fprintf(table, "  %s\t%s\n", c.name, c.summary)
		}
	}
	table.Flush()
	fmt.Fprintf(out, "\n`edgeraft <command> --help` tells more and gives an example. New here? Try `edgeraft demo`.\n")
	fmt.Fprintf(out, "Exit codes: 0 done, 1 the answer is no, 2 wrong usage, 3 the agent can't be reached.\n")
}

// commandHelp prints the help of one command, with its flags and the defaults
// they have on this host.
func commandHelp(out io.Writer, c *command, fs *flag.FlagSet, h config.Host) {
	line := "Usage: edgeraft " + c.name
	if c.args != "" {
		line += " " + c.args
	}
	fmt.Fprintf(out, "%s [flags]\n\n%s.\n", line, capitalised(c.summary))
	if c.details != "" {
		fmt.Fprintf(out, "\n%s\n", c.details)
	}
	fmt.Fprintf(out, "\nExample:\n")
	for example := range strings.SplitSeq(c.example, "\n") {
		fmt.Fprintf(out, "  %s\n", example)
	}
	bySetting := make(map[string]config.Setting)
	for _, s := range config.Settings {
		bySetting[s.FlagName()] = s
	}
	defaults := config.Default(h)
	fmt.Fprintf(out, "\nFlags:\n")
	table := tabwriter.NewWriter(out, 0, 0, 2, ' ', 0)
	fs.VisitAll(func(f *flag.Flag) {
		value, usage := flag.UnquoteUsage(f)
		text := f.DefValue
		if s, ok := bySetting[f.Name]; ok {
			value, text = s.Kind(), s.Text(&defaults)
		}
		if text != "" && text != "false" && text != "0" {
			usage += fmt.Sprintf(" (default %s)", text)
		}
		fmt.Fprintf(table, "  %s\t%s\n", strings.TrimSpace("--"+f.Name+" "+strings.ToUpper(value)), usage)
	})
	fmt.Fprintf(table, "  --help\tshow this\n")
	table.Flush()
	if c.scope.settings() {
		fmt.Fprintf(out, "\nThe settings can also be in the configuration file (%s; udp.listen is listen in\n"+
			"the table [udp]) or in the environment (--udp-listen is EDGERAFT_UDP_LISTEN). Flags win over\n"+
			"the environment, and that over the file.\n", h.ConfigFile())
	}
}

func capitalised(text string) string { return strings.ToUpper(text[:1]) + text[1:] }
