package doctor

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestSpace(t *testing.T) {
	for free, want := range map[uint64]Level{0: Wrong, leastFree - 1: Wrong, leastFree: Advice, goodFree: OK} {
		if f := Space("/d", free); f.Level != want || f.Level != OK && f.Remedy == "" {
			t.Errorf("%d free: %+v", free, f)
		}
	}
}

func TestJudgeSpeed(t *testing.T) {
	times := func(each, worst time.Duration) []time.Duration {
		out := []time.Duration{worst}
		for range 19 {
			out = append(out, each)
		}
		return out
	}
	for name, c := range map[string]struct {
		took []time.Duration
		want Level
	}{
		"none came back": {nil, Wrong},
		"quick":          {times(5*time.Millisecond, 90*time.Millisecond), OK},
		"slow":           {times(300*time.Millisecond, 400*time.Millisecond), Advice},
		"one pause":      {times(5*time.Millisecond, 3*time.Second), Advice},
	} {
		if f := judgeSpeed(c.took); f.Level != c.want || f.Level != OK && f.Remedy == "" {
			t.Errorf("%s: %+v", name, f)
		}
	}
}

func TestSpeedLeavesNothing(t *testing.T) {
	dir := t.TempDir()
	if f := Speed(dir, time.Now().Add(time.Minute)); f.Check != "card speed" || f.Level == Wrong {
		t.Errorf("%+v", f)
	}
	if f := Speed(dir, time.Now().Add(-time.Second)); f.Level != Wrong {
		t.Errorf("no write in time: %+v", f)
	}
	if left, err := os.ReadDir(dir); err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

func TestPrivate(t *testing.T) {
	path := filepath.Join(t.TempDir(), "key")
	if f := Private("key file", path, false); f.Level != Advice {
		t.Errorf("absent: %+v", f)
	}
	for mode, want := range map[os.FileMode][2]Level{0o600: {OK, OK}, 0o660: {Wrong, OK}, 0o604: {Wrong, Wrong}, 0o644: {Wrong, Wrong}} {
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil {
			t.Fatal(err)
		}
		if f := Private("key file", path, false); f.Level != want[0] {
			t.Errorf("%o: %+v", mode, f)
		}
		if f := Private("socket", path, true); f.Level != want[1] {
			t.Errorf("%o, with a group: %+v", mode, f)
		}
	}
}

func TestFileSystems(t *testing.T) {
	if f := FileSystem("/dev/shm"); f.Level != Wrong || f.Remedy == "" {
		t.Errorf("memory: %+v", f)
	}
	if f := FileSystem(filepath.Join(t.TempDir(), "none")); f.Level != Wrong {
		t.Errorf("nothing: %+v", f)
	}
}

func TestClock(t *testing.T) {
	built := time.Date(2026, 11, 1, 0, 0, 0, 0, time.UTC)
	if f := Clock(time.Unix(0, 0), built); f.Level != Advice || f.Remedy == "" {
		t.Errorf("1970: %+v", f)
	}
	if f := Clock(built.AddDate(0, 1, 0), built); f.Level == Wrong {
		t.Errorf("%+v", f)
	}
}

func TestLeftovers(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "log.db.left"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if fs := Leftovers(dir, "log.db.left", "log.db.damaged"); len(fs) != 1 || fs[0].Level != Advice {
		t.Errorf("%+v", fs)
	}
}
