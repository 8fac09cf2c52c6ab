package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"strings"

	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/agent"
	"github.com/edgeraft/edgeraft/internal/show"
)

// usageError is a command line or a configuration that can't be followed.
type usageError struct{ text string }

func (e usageError) Error() string { return e.text }

// configError is a configuration that can't be used.
type configError struct{ err error }

func (e configError) Error() string { return e.err.Error() }
func (e configError) Unwrap() error { return e.err }

// errSilentNo ends a command with exitNo after it has said all there is.
var errSilentNo = errors.New("the answer is no")

// exitStatus ends a command with this code after it has said all there is.
type exitStatus int

func (e exitStatus) Error() string { return fmt.Sprintf("exit status %d", int(e)) }

// exitCode tells the exit code of what a command returned.
func exitCode(err error) int {
	var status exitStatus
	var usage usageError
	var config configError
	switch {
	case err == nil:
		return exitDone
	case errors.As(err, &status):
		return int(status)
	case errors.As(err, &usage), errors.As(err, &config):
		return exitUsage
	case isUnreachable(err):
		return exitUnreachable
	}
	return exitNo
}

// isUnreachable reports whether there was no agent to answer: none listened,
// or it went away in the middle of its answer. An end that the caller asked
// for, by Ctrl-C or --timeout, is none.
func isUnreachable(err error) bool {
	if errors.Is(err, client.ErrUnreachable) {
		return true
	}
	if errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return false
	}
	var broken *net.OpError
	isBroken := errors.As(err, &broken) && broken.Op != "listen" // that is an agent which cannot start
	return errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, client.ErrInterrupted) || isBroken
}

// fail prints what ended a command, if anything did, and returns the exit
// code. c is nil when there is no command.
func fail(stderr io.Writer, c *command, err error) int {
	code := exitCode(err)
	var status exitStatus
	if code == exitDone || errors.Is(err, errSilentNo) || errors.As(err, &status) {
		return code
	}
	prefix, help := "edgeraft", "edgeraft help"
	if c != nil {
		prefix += " " + c.name
		help = prefix + " --help"
	}
	text := err.Error()
	switch {
	case errors.Is(err, context.Canceled):
		text = "interrupted: " + text
	case errors.Is(err, context.DeadlineExceeded):
		text = "no answer in time (--timeout allows more): " + text
	}
	complain(stderr, prefix, text)
	var usage usageError
	if errors.As(err, &usage) {
		fmt.Fprintf(stderr, "See: %s\n", help)
	}
	return code
}

// complain prints a message, each of its lines safe for a terminal.
func complain(stderr io.Writer, prefix, text string) {
	if agent.ToJournal(stderr) {
		prefix = agent.ErrorLine + prefix
	}
	for line := range strings.SplitSeq(text, "\n") {
		fmt.Fprintf(stderr, "%s: %s\n", prefix, show.Printable(line))
	}
}

// checkedWriter remembers the first error of writing, so that a full disk or
// a closed pipe is not taken for success, and commands need not ask each time.
type checkedWriter struct {
	w   io.Writer
	err error
}

// Write implements io.Writer. After an error it writes no more.
func (c *checkedWriter) Write(b []byte) (int, error) {
	if c.err != nil {
		return 0, c.err
	}
	n, err := c.w.Write(b)
	c.err = err
	return n, err
}
