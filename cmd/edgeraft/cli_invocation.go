package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"unicode/utf16"

	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
)

// config loads the configuration that the command runs under.
func (inv *invocation) config() (Config, error) {
	c, _, err := inv.configOrigins()
	return c, err
}

func (inv *invocation) configOrigins() (Config, map[string]string, error) {
	c, origins, err := loadConfigOrigins(inv.from)
	if err != nil {
		return Config{}, nil, configError{err}
	}
	return c, origins, nil
}

// agent returns a client of the agent that the command talks to. The caller
// closes it.
func (inv *invocation) agent() (*client.Client, error) {
	c, origins, err := inv.configOrigins()
	if err != nil {
		return nil, err
	}
	return client.New(agentSocket(c.Socket, origins["socket"] != "", systemSocket)), nil
}

// agentSocket chooses the socket to talk to: what was set; else the default;
// except that an ordinary user who runs no agent of their own means the
// packaged one of the system.
func agentSocket(socket string, wasSet bool, system string) string {
	if wasSet {
		return socket
	}
	if _, err := os.Stat(socket); errors.Is(err, os.ErrNotExist) {
		if _, err := os.Stat(system); err == nil {
			return system
		}
	}
	return socket
}

// call does one thing with the agent, within --timeout.
func (inv *invocation) call(ctx context.Context, do func(context.Context, *client.Client) error) error {
	agent, err := inv.agent()
	if err != nil {
		return err
	}
	defer agent.Close()
	ctx, cancel := context.WithTimeout(ctx, inv.timeout)
	defer cancel()
	return do(ctx, agent)
}

// say prints a line for people. Texts from elsewhere must be made printable
// before.
func (inv *invocation) say(format string, args ...any) {
	fmt.Fprintf(inv.stdout, format+"\n", args...)
}

// sayJSON prints a value as one line of JSON.
func (inv *invocation) sayJSON(value any) error {
	b, err := marshalJSON(value)
	if err != nil {
		return err
	}
	inv.sayJSONLine(b)
	return nil
}

// sayJSONLine prints what is JSON already.
func (inv *invocation) sayJSONLine(line []byte) { fmt.Fprintf(inv.stdout, "%s\n", safeJSON(line)) }

// marshalJSON is json.Marshal without the escapes meant for web pages.
func marshalJSON(value any) ([]byte, error) {
	var b strings.Builder
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(value); err != nil {
		return nil, fmt.Errorf("encode the output: %w", err)
	}
	return []byte(strings.TrimSuffix(b.String(), "\n")), nil
}

// safeJSON escapes the characters that JSON lets through but a terminal may
// obey: the C1 controls and those that hide or reorder text. In JSON they
// appear in strings only, where \u escapes mean the same.
func safeJSON(line []byte) string {
	text := string(line)
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !hidden(r), r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}

// shown is the form of bytes for people.
func shown(b api.Bytes) string {
	data, err := b.Data()
	if err != nil {
		return "" // an event without a value, such as a delete
	}
	return printable(string(data))
}

// maxInput bounds what is read from standard input: no agent takes a larger
// command or value.
const maxInput = maxCommandBytes

// input reads standard input to its end.
func (inv *invocation) input() ([]byte, error) {
	data, err := io.ReadAll(io.LimitReader(inv.stdin, maxInput+1))
	if err != nil {
		return nil, fmt.Errorf("read standard input: %w", err)
	}
	if len(data) > maxInput {
		return nil, fmt.Errorf("standard input has more than %d bytes, the most that any agent takes", maxInput)
	}
	return data, nil
}

// argOrInput is positional argument i, or standard input when that is "-" or
// absent.
func (inv *invocation) argOrInput(i int) ([]byte, error) {
	if i < len(inv.args) && inv.args[i] != "-" {
		return []byte(inv.args[i]), nil
	}
	return inv.input()
}

// isTerminal reports whether what is written to w is seen by a person, and
// interpreted by a terminal.
func isTerminal(w any) bool {
	if checked, ok := w.(*checkedWriter); ok {
		w = checked.w
	}
	f, ok := w.(*os.File)
	if !ok {
		return false
	}
	conn, err := f.SyscallConn()
	if err != nil {
		return false
	}
	is := false // /dev/null is a character device too, and no terminal
	err = conn.Control(func(fd uintptr) {
		_, err := unix.IoctlGetTermios(int(fd), unix.TCGETS)
		is = err == nil
	})
	return err == nil && is
}
