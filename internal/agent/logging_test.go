package agent

import (
	"bytes"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

func TestJournal(t *testing.T) {
	f, err := os.Create(filepath.Join(t.TempDir(), "journal"))
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		t.Fatal(err)
	}
	stat := info.Sys().(*syscall.Stat_t)
	stream := map[string]string{"JOURNAL_STREAM": fmt.Sprintf("%d:%d", stat.Dev, stat.Ino)}
	level := new(slog.LevelVar)
	log := newLogger(level, f, stream)
	log.Debug("unseen")
	log.Info("one\ntwo", "level", 7)
	log.With("a", 1).WithGroup("g").Warn("three", "time", "now")
	setLevel(level, "debug")
	log.Error("four")
	log.Debug("five")
	text, err := os.ReadFile(f.Name())
	want := "<6>msg=\"one\\ntwo\" level=7\n<4>msg=three a=1 g.time=now\n<3>msg=four\n<7>msg=five\n"
	if got := string(text); err != nil || got != want {
		t.Errorf("the journal got %q, want %q (%v)", got, want, err)
	}
}

// Elsewhere a reader needs the time and the level.
func TestNoJournal(t *testing.T) {
	for name, env := range map[string]map[string]string{"no variable": {}, "of another stream": {"JOURNAL_STREAM": "1:2"}} {
		var out bytes.Buffer
		newLogger(new(slog.LevelVar), &out, env).Info("one")
		if !strings.HasPrefix(out.String(), "time=") || !strings.Contains(out.String(), "level=INFO msg=one") {
			t.Errorf("%s: %q", name, out.String())
		}
	}
}
