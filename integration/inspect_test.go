package integration

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeraft/edgeraft/app/api"
)

// dumped is what `log dump --json` printed.
type dumped struct {
	commit, snapshot, last uint64
	values                 map[uint64]string // of commands, by index
}

// dumpLine is one line of it.
type dumpLine struct {
	Device *struct {
		ID string `json:"id"`
	} `json:"device"`
	State *struct {
		Commit uint64 `json:"commit"`
	} `json:"state"`
	Snapshot *struct {
		Index uint64 `json:"index"`
	} `json:"snapshot"`
	Entry *struct {
		Index uint64  `json:"index"`
		Op    string  `json:"op"`
		Value *string `json:"value"`
	} `json:"entry"`
}

// parseDump reads a dump, and holds that it is whole and contiguous.
func parseDump(out string) (dumped, error) {
	d := dumped{values: make(map[uint64]string)}
	for line := range strings.Lines(out) {
		var l dumpLine
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return d, fmt.Errorf("%q: %w", line, err)
		}
		switch {
		case l.State != nil:
			d.commit = l.State.Commit
		case l.Snapshot != nil:
			d.snapshot = l.Snapshot.Index
		case l.Entry != nil:
			if first := d.last == 0; !first && l.Entry.Index != d.last+1 || first && l.Entry.Index > d.snapshot+1 {
				return d, fmt.Errorf("entry %d after entry %d and a snapshot at %d", l.Entry.Index, d.last, d.snapshot)
			}
			if d.last = l.Entry.Index; l.Entry.Op == "command" && l.Entry.Value != nil {
				d.values[d.last] = *l.Entry.Value
			}
		case l.Device == nil:
			return d, fmt.Errorf("%q is nothing of these", line)
		}
	}
	if d.last = max(d.last, d.snapshot); d.commit > d.last {
		return d, fmt.Errorf("%d are committed, and %d are there", d.commit, d.last)
	}
	return d, nil
}

// busy reports whether a command said that it had no chance: the one error that
// is honest on a sound device.
func busy(err error) bool {
	return err != nil && strings.Contains(err.Error(), "the agent writes faster than its database can be read")
}

// acknowledged proposals by index, while they are made.
type acks struct {
	mu     sync.Mutex
	values map[uint64]string
	last   uint64
}

func (a *acks) add(index uint64, value string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.values[index], a.last = value, max(a.last, index)
}

// check holds that a dump has what was acknowledged before it was begun, and
// nothing else in its place.
func (a *acks) check(d dumped, before uint64) error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if d.last < before {
		return fmt.Errorf("entry %d was acknowledged before, and it ends with %d", before, d.last)
	}
	for index, value := range d.values {
		if want, ok := a.values[index]; ok && want != value {
			return fmt.Errorf("entry %d is %.40q, and %.40q was acknowledged", index, value, want)
		}
	}
	for index := range a.values {
		if _, ok := d.values[index]; !ok && index > d.snapshot && index <= before {
			return fmt.Errorf("entry %d was acknowledged, and is not there", index)
		}
	}
	return nil
}

// TestLogOfARunningAgent looks at the database of an agent again and again while
// it saves as fast as it can, seals its ring and takes snapshots; then at what a
// kill leaves.
func TestLogOfARunningAgent(t *testing.T) {
	t.Parallel()
	a := newLoneAgent(t, "EDGERAFT_LIMITS_LOG_BYTES=1048576")
	a.must("init")
	a.startAlone()
	a.must("put", "large", strings.Repeat("v", 20<<10)) // it leads; and a checkpoint has pages of its own

	ctx, stop := context.WithCancel(t.Context())
	var done sync.WaitGroup
	defer done.Wait()
	defer stop()
	acked := &acks{values: make(map[uint64]string)}
	for worker := range 4 {
		done.Go(func() {
			for i := 0; ctx.Err() == nil; i++ {
				value := fmt.Sprintf("load %d %d %s", worker, i, strings.Repeat("x", i*37%900))
				if applied, err := a.client.Propose(ctx, []byte(value)); err == nil {
					acked.add(applied.Index, value)
				}
			}
		})
	}
	dumps, refused := 0, 0
	var st api.Status
	deadline := time.Now().Add(2 * time.Minute * slowness)
	for dumps < 40 || st.Storage.Snapshot == 0 {
		if time.Now().After(deadline) {
			t.Fatalf("%d dumps in two minutes, %d refused; %+v", dumps, refused, st.Storage)
		}
		acked.mu.Lock()
		before := acked.last
		acked.mu.Unlock()
		out, err := a.cli("", "log", "dump", "--json")
		if busy(err) {
			refused++
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		d, err := parseDump(out)
		if err == nil {
			err = acked.check(d, before)
		}
		if err != nil {
			t.Fatalf("dump %d: %v", dumps, err)
		}
		if dumps++; dumps%3 == 0 {
			if out, err := a.cli("", "log", "verify"); !busy(err) && (err != nil || !strings.HasSuffix(out, "Sound.\n")) {
				t.Fatalf("verify: %v\n%s", err, out)
			}
			if st, err = a.status(); err != nil {
				t.Fatal(err)
			}
		}
	}
	t.Logf("%d dumps, %d refused, beside %d saves", dumps, refused, st.Storage.Saves)
	checkWritten(t, st.Storage)

	a.proc.Kill()
	stop()
	done.Wait()
	d, err := parseDump(a.must("log", "dump", "--json"))
	if err == nil {
		err = acked.check(d, acked.last)
	}
	if err != nil {
		t.Errorf("after the kill: %v", err)
	}
	b, err := os.ReadFile(a.path("data/log.db"))
	if err != nil {
		t.Fatal(err)
	}
	value := []byte(d.values[d.last])
	at := bytes.LastIndex(b, value)
	if len(value) == 0 || at < 0 {
		t.Fatalf("the last value %q is not in the file", value)
	}
	a.startAlone() // it counts on from before
	after, err := a.status()
	if err != nil {
		t.Fatal(err)
	}
	const missed = 64 << 10 // pages of the last transaction that were not foreseen
	if ever := after.Storage.Written.Ever; ever.Bytes()+missed < st.Storage.Written.Ever.Bytes() || ever.Syncs+1 < st.Storage.Written.Ever.Syncs {
		t.Errorf("ever %+v after %+v", ever, st.Storage.Written.Ever)
	}
	a.proc.Kill()
	change(func(b []byte) []byte { return bytes.ReplaceAll(b, value, bytes.ToUpper(value)) })(t, a.path("data/log.db"), "")
	a.fails([]string{"log", "verify"}, exitNo, "damaged")
	a.fails([]string{"log", "dump"}, exitNo, "damaged")
}

// checkWritten holds what must be true of the counts of an agent under load.
func checkWritten(t *testing.T, s api.Storage) {
	t.Helper()
	w := s.Written
	if w == nil || w.Today == nil {
		t.Fatalf("nothing is said of what was written: %+v", s)
	}
	start := w.SinceStart
	if start.Syncs < s.Saves || start.LogBytes < s.Saves*4096 || start.CheckpointBytes == 0 || start.OtherBytes == 0 {
		t.Errorf("%d saves, and since the start %+v", s.Saves, start)
	}
	if w.Ever.Bytes() <= start.Bytes() || w.Ever.OtherBytes < 16<<20 || w.Ever != *w.Today {
		t.Errorf("since the start %+v, today %+v, ever %+v", start, *w.Today, w.Ever)
	}
	if s.Card == nil || s.Card.FileSystemBytes == 0 || s.Card.FreeBytes > s.Card.FileSystemBytes {
		t.Errorf("the card is %+v", s.Card)
	}
	if s.Forecast != nil {
		t.Errorf("a forecast after some seconds: %+v", *s.Forecast)
	}
}
