package agent

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"os"
	"sync"
	"syscall"
)

// newLogger logs to whatever reads stderr. The journal gets the level in the form
// that it understands (sd-daemon(3)) instead of in the text, and no time, which
// it notes itself.
func newLogger(level *slog.LevelVar, stderr io.Writer, env map[string]string) *slog.Logger {
	if !isJournal(stderr, env) {
		return slog.New(slog.NewTextHandler(stderr, &slog.HandlerOptions{Level: level}))
	}
	out := &prefixWriter{out: stderr}
	text := slog.NewTextHandler(out, &slog.HandlerOptions{Level: level, ReplaceAttr: withoutTimeAndLevel})
	return slog.New(journalHandler{text, out})
}

// ErrorLine begins a line that is an error to the journal.
const ErrorLine = "<3>"

// ToJournal reports whether what this process writes there goes to the journal.
func ToJournal(w io.Writer) bool {
	return isJournal(w, map[string]string{"JOURNAL_STREAM": os.Getenv("JOURNAL_STREAM")})
}

func setLevel(level *slog.LevelVar, text string) {
	var l slog.Level
	_ = l.UnmarshalText([]byte(text)) // the configuration was validated
	level.Set(l)
}

// isJournal reports whether a stream goes to the journal: systemd.exec(5),
// JOURNAL_STREAM. Another file in its place has another device or inode.
func isJournal(w io.Writer, env map[string]string) bool {
	f, ok := w.(*os.File)
	if !ok || env["JOURNAL_STREAM"] == "" {
		return false
	}
	info, err := f.Stat()
	if err != nil {
		return false
	}
	stat, ok := info.Sys().(*syscall.Stat_t)
	return ok && fmt.Sprintf("%d:%d", stat.Dev, stat.Ino) == env["JOURNAL_STREAM"]
}

// journalHandler puts the level before each line.
type journalHandler struct {
	slog.Handler
	out *prefixWriter
}

func (h journalHandler) Handle(ctx context.Context, r slog.Record) error {
	h.out.mu.Lock()
	defer h.out.mu.Unlock()
	h.out.prefix = fmt.Sprintf("<%d>", journalPriority(r.Level))
	return h.Handler.Handle(ctx, r)
}

func (h journalHandler) WithAttrs(attrs []slog.Attr) slog.Handler {
	return journalHandler{h.Handler.WithAttrs(attrs), h.out}
}

func (h journalHandler) WithGroup(name string) slog.Handler {
	return journalHandler{h.Handler.WithGroup(name), h.out}
}

// prefixWriter writes each line, which comes in one call, behind the prefix.
type prefixWriter struct {
	mu     sync.Mutex // held for a whole line
	prefix string
	out    io.Writer
}

func (w *prefixWriter) Write(line []byte) (int, error) {
	_, err := w.out.Write(append([]byte(w.prefix), line...))
	return len(line), err
}

// journalPriority is the level in syslog(3)'s numbers.
func journalPriority(l slog.Level) int {
	switch {
	case l >= slog.LevelError:
		return 3
	case l >= slog.LevelWarn:
		return 4
	case l >= slog.LevelInfo:
		return 6
	}
	return 7
}

func withoutTimeAndLevel(groups []string, a slog.Attr) slog.Attr {
	_, isLevel := a.Value.Any().(slog.Level)
	isTime := a.Value.Kind() == slog.KindTime
	if len(groups) == 0 && (a.Key == slog.TimeKey && isTime || a.Key == slog.LevelKey && isLevel) {
		return slog.Attr{}
	}
	return a
}
