package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/internal/config"
)

// Exit codes, as the product's contract has them.
const (
	exitDone        = 0
	exitNo          = 1 // the answer is no, or it failed
	exitUsage       = 2 // wrong usage or configuration
	exitUnreachable = 3 // the agent can't be reached
	// exitConfig, EX_CONFIG of sysexits(3), tells a service manager that the
	// configuration can't be used. exitUsage would not do: Go ends a panic so.
	exitConfig = 78
)

// command is one row of the table of commands.
type command struct {
	name    string // as typed: "get", "members list"
	args    string // its positional arguments, for help: "KEY VALUE|-"
	summary string // one line, for the list of commands
	details string // more, for its own help; may be empty
	example string // lines that can be typed as they are
	min     int    // positional arguments at least
	max     int    // and at most
	scope   scope
	json    bool // whether it has --json
	// define adds the command's own flags and returns what it does. Its error
	// decides the exit code: see exitCode.
	define func(*flag.FlagSet) action
}

// action is what a command does, after its command line was understood.
type action func(context.Context, *invocation) error

// scope says which of the common flags a command has.
type scope int

const (
	scopeNone  scope = iota // neither configuration nor agent
	scopeAgent              // talks to an agent: --socket, --config, --timeout
	scopeLocal              // needs the whole configuration: all settings, --config
	scopeSetup              // both
)

func (s scope) agent() bool    { return s == scopeAgent || s == scopeSetup }
func (s scope) settings() bool { return s == scopeLocal || s == scopeSetup }

// defaultTimeout is how long a command waits for its agent. It is longer than
// the agent's own patience, so that the agent's explanation arrives first.
const defaultTimeout = 30 * time.Second

// invocation is one run of a command: what the command line said, and where
// input and output are.
type invocation struct {
	command *command
	args    []string // positional
	json    bool
	timeout time.Duration
	from    config.Source
	stdin   io.Reader
	stdout  *checkedWriter
	stderr  io.Writer
}

// run is the program: it executes one command line and returns the exit code.
// It touches nothing global, so tests run it in their own process.
func run(ctx context.Context, args []string, stdin io.Reader, stdout, stderr io.Writer, env []string) int {
	c, rest, err := findCommand(args)
	if err != nil {
		return fail(stderr, nil, err)
	}
	if c == nil {
		out := &checkedWriter{w: stdout}
		listCommands(out, rest)
		return fail(stderr, nil, out.err)
	}
	inv := &invocation{
		command: c,
		timeout: defaultTimeout,
		from:    config.Source{Host: config.ThisHost(env), Flags: make(map[string]string)},
		stdin:   stdin,
		stdout:  &checkedWriter{w: stdout},
		stderr:  stderr,
	}
	fs := flag.NewFlagSet(c.name, flag.ContinueOnError)
	fs.SetOutput(io.Discard)
	act := inv.defineFlags(fs)
	inv.args, err = parseFlags(fs, rest)
	if errors.Is(err, flag.ErrHelp) {
		commandHelp(inv.stdout, c, fs, inv.from.Host)
		return fail(stderr, c, inv.stdout.err)
	}
	if err == nil {
		err = inv.checkArgs()
	}
	if err == nil {
		err = act(ctx, inv)
	}
	if err == nil && inv.stdout.err != nil {
		err = fmt.Errorf("write the output: %w", inv.stdout.err)
	}
	return fail(stderr, c, err)
}

// defineFlags adds the common flags and the command's own.
func (inv *invocation) defineFlags(fs *flag.FlagSet) action {
	c := inv.command
	if c.json {
		fs.BoolVar(&inv.json, "json", false, "print JSON")
	}
	if c.scope.agent() {
		fs.DurationVar(&inv.timeout, "timeout", defaultTimeout, "how long to wait for the agent")
	}
	if c.scope != scopeNone {
		fs.StringVar(&inv.from.File, "config", "", "the configuration `FILE`")
	}
	for _, s := range config.Settings {
		if c.scope.settings() || c.scope.agent() && s.Key == "socket" {
			fs.Func(s.FlagName(), s.Help, inv.settingFlag(s))
		}
	}
	return c.define(fs)
}

// settingFlag takes the value of a setting's flag. A flag that is repeated
// adds to a list, and replaces any other value.
func (inv *invocation) settingFlag(s config.Setting) func(string) error {
	return func(text string) error {
		before, repeated := inv.from.Flags[s.Key]
		if _, isList := s.Field(new(config.Config)).(*[]string); isList && repeated {
			text = before + "," + text
		}
		inv.from.Flags[s.Key] = text
		return nil
	}
}

// parseFlags parses flags that stand before, between or after the positional
// arguments, which it returns. After "--" everything is positional.
func parseFlags(fs *flag.FlagSet, args []string) ([]string, error) {
	var positional []string
	for {
		if err := fs.Parse(args); err != nil {
			if errors.Is(err, flag.ErrHelp) {
				return nil, err
			}
			return nil, usageError{flagProblem(err.Error())}
		}
		rest := fs.Args()
		if len(rest) == 0 {
			return positional, nil
		}
		if parsed := len(args) - len(rest); parsed > 0 && args[parsed-1] == "--" {
			return append(positional, rest...), nil
		}
		positional, args = append(positional, rest[0]), rest[1:]
	}
}

// flagProblem adds what to do to a message of package flag.
func flagProblem(message string) string {
	if strings.HasPrefix(message, "flag provided but not defined: ") {
		return "there is no flag " + strings.TrimPrefix(message, "flag provided but not defined: ") +
			" (put -- before arguments that start with a dash)"
	}
	return message
}

func (inv *invocation) checkArgs() error {
	c, n := inv.command, len(inv.args)
	switch {
	case n < c.min:
		return usageError{"an argument is missing: edgeraft " + c.name + " " + c.args}
	case n > c.max && c.max == 0:
		return usageError{fmt.Sprintf("takes no arguments, but got %q", inv.args[0])}
	case n > c.max:
		return usageError{fmt.Sprintf("does not know what to do with %q (quote a value that has spaces)", inv.args[c.max])}
	case inv.timeout <= 0:
		return usageError{"--timeout must be more than 0"}
	}
	return nil
}
