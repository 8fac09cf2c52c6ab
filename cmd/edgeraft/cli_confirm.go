package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"time"

	"github.com/edgeraft/edgeraft/internal/show"
)

// maxTyped bounds what is read of an answer that is typed.
const maxTyped = 1 << 10

// errUnconfirmed: somebody was asked, and did not agree.
var errUnconfirmed = errors.New("nothing was changed, as you wished")

// confirm has somebody type a text, and Enter, before something that cannot be
// undone. The error says how a script does without.
func (inv *invocation) confirm(ctx context.Context, text, withoutAsking string) error {
	if !isTerminal(inv.stdin) {
		return usageError{"this asks first, and standard input is no terminal, so nothing was changed; " + withoutAsking + " does without"}
	}
	fmt.Fprintf(inv.stderr, "Type %q to go on, anything else to leave all as it is: ", text)
	type answer struct {
		line string
		err  error
	}
	answered := make(chan answer, 1)
	// A read of a terminal cannot be ended; after Ctrl-C the process does that.
	go func() {
		line, err := bufio.NewReader(io.LimitReader(inv.stdin, maxTyped)).ReadString('\n')
		answered <- answer{line, err}
	}()
	select {
	case <-ctx.Done():
		fmt.Fprintln(inv.stderr)
		return fmt.Errorf("nothing was changed: %w", context.Cause(ctx))
	case a := <-answered:
		switch {
		case errors.Is(a.err, io.EOF): // also of one who typed it, and thought better of it
			fmt.Fprintln(inv.stderr)
			return errUnconfirmed
		case a.err != nil:
			return fmt.Errorf("read the answer, and nothing was changed: %w", a.err)
		case strings.TrimSpace(a.line) != text:
			return errUnconfirmed
		}
	}
	return nil
}

// patience ends a context when nothing went on for a while: --timeout of
// commands that take as long as they take.
type patience struct {
	timer *time.Timer
	limit time.Duration
}

// errImpatient is why such a context ended.
var errImpatient = errors.New("nothing went on for too long (--timeout allows more)")

func (inv *invocation) patiently(ctx context.Context) (context.Context, *patience) {
	ctx, cancel := context.WithCancelCause(ctx)
	p := &patience{limit: inv.timeout}
	p.timer = time.AfterFunc(inv.timeout, func() { cancel(errImpatient) })
	return ctx, p
}

func (p *patience) progress() { p.timer.Reset(p.limit) }
func (p *patience) end()      { p.timer.Stop() }

// why is the error of a call whose context may have ended for want of progress.
func (p *patience) why(ctx context.Context, err error) error {
	if err != nil && errors.Is(context.Cause(ctx), errImpatient) {
		return fmt.Errorf("%w: %w", errImpatient, err)
	}
	return err
}

// progressEvery is how often a terminal is told how far something is.
const progressEvery = 200 * time.Millisecond

// meter is a reader that tells how far it is: a terminal, and who is patient.
type meter struct {
	from    io.Reader
	out     io.Writer // nil: nobody wants to know
	doing   string
	total   int64
	done    int64
	said    time.Time
	patient *patience
}

func (inv *invocation) meter(from io.Reader, doing string, total int64, p *patience) *meter {
	m := &meter{from: from, doing: doing, total: total, patient: p}
	if isTerminal(inv.stderr) && !inv.json {
		m.out = inv.stderr
	}
	return m
}

// Read implements io.Reader.
func (m *meter) Read(b []byte) (int, error) {
	n, err := m.from.Read(b)
	if n > 0 {
		m.patient.progress()
		m.done += int64(n)
	}
	if now := time.Now(); m.out != nil && (now.Sub(m.said) >= progressEvery || err != nil) {
		m.said = now
		fmt.Fprintf(m.out, "\r%s %s of %s (%d %%) ", m.doing, show.Size(uint64(m.done)), show.Size(uint64(m.total)), 100*m.done/max(m.total, 1))
	}
	return n, err
}

// end ends the line of progress.
func (m *meter) end() {
	if m.out != nil && !m.said.IsZero() {
		fmt.Fprintln(m.out)
	}
}
