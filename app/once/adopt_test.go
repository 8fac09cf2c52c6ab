package once

import (
	"errors"
	"fmt"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// adopting is an inner App that can take over a state.
type adopting struct{ list }

func (a *adopting) Adopt(data []byte, _ raft.Time, _ bool, e raft.Entry) error {
	if err := a.Restore(data); err != nil {
		return err
	}
	a.Last = e.Index
	return nil
}

func withKeys(t *testing.T, prefix string, n int, limits Limits) *App {
	t.Helper()
	app := NewLimited(&adopting{list{Last: 1}}, limits)
	for i := 1; i <= n; i++ {
		c, err := Command(fmt.Sprint(prefix, i), 1, []byte("x"))
		if err != nil {
			t.Fatal(err)
		}
		app.Apply(raft.Entry{Index: raft.Index(i + 1), Term: 1, Time: 1, Kind: raft.EntryCommand, Data: c})
	}
	return app
}

// The keys of another cluster come in as far as there is room; those of this one
// stay.
func TestAdoptedKeysKeepTheLimits(t *testing.T) {
	limits := Limits{Keys: 5}
	from := withKeys(t, "theirs ", 4, limits)
	for _, foreign := range []bool{true, false} {
		app := withKeys(t, "ours ", 3, limits)
		if err := app.Adopt(from.Snapshot(), 1, foreign, raft.Entry{Index: 9, Term: 2, Time: 5}); err != nil {
			t.Fatal(err)
		}
		known := ""
		for _, key := range []string{"ours 1", "ours 3", "theirs 1", "theirs 2", "theirs 3", "theirs 4"} {
			if app.table.find(digestOf([]byte(key))) != nil {
				known += key + ", "
			}
		}
		want := "ours 1, ours 3, theirs 3, theirs 4, "
		if !foreign {
			want = "ours 1, ours 3, "
		}
		if known != want {
			t.Errorf("foreign %v: known are %s, want %s", foreign, known, want)
		}
		if err := NewLimited(&adopting{}, limits).Restore(app.Snapshot()); err != nil {
			t.Errorf("foreign %v: its snapshot: %v", foreign, err)
		}
	}
}

func TestAnAppThatCannotAdopt(t *testing.T) {
	app := New(&list{})
	if err := app.Adopt(app.Snapshot(), 1, true, raft.Entry{Index: 9}); !errors.Is(err, ErrCannotAdopt) {
		t.Error(err)
	}
}
