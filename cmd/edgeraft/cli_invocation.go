package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/edgeraft/edgeraft/app/api"
	"github.com/edgeraft/edgeraft/app/client"
	"github.com/edgeraft/edgeraft/internal/config"
	"github.com/edgeraft/edgeraft/internal/show"
)

// config loads the configuration that the command runs under.
func (inv *invocation) config() (config.Config, error) {
	c, _, err := inv.configOrigins()
	return c, err
}

func (inv *invocation) configOrigins() (config.Config, map[string]string, error) {
	c, origins, err := config.Load(inv.from)
	if err != nil {
		return config.Config{}, nil, configError{err}
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
	return client.New(agentSocket(c.Socket, origins["socket"] != "", config.SystemSocket)), nil
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

// say prints a line for people. Texts from elsewhere must be made Printable
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
func (inv *invocation) sayJSONLine(line []byte) { fmt.Fprintf(inv.stdout, "%s\n", show.JSON(line)) }

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

// shown is the form of bytes for people.
func shown(b api.Bytes) string {
	data, err := b.Data()
	if err != nil {
		return "" // an event without a value, such as a delete
	}
	return show.Printable(string(data))
}

// maxInput bounds what is read from standard input: no agent takes a larger
// command or value.
const maxInput = config.MaxCommandBytes

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
