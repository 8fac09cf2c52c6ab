package storage

import (
	"bytes"
	"flag"
	"fmt"
	"os"
	"testing"
	"time"
)

var (
	mounts = flag.String("mounts", "", "where three file systems are mounted, each alone on its device; separated by commas")
	gap    = flag.Duration("gap", 10*time.Millisecond, "from one save to the next; without any, the file system's clock stands still between them")
)

// TestStores holds that what is measured is really done: what was saved is
// there when the log is opened again, but for what was dropped.
func TestStores(t *testing.T) {
	for _, k := range kinds {
		for _, c := range []struct{ batch, saves int }{{1, 30}, {64, 63}} {
			t.Run(fmt.Sprintf("%s/%d", k.name, c.batch), func(t *testing.T) {
				dir := t.TempDir()
				s, err := k.open(dir)
				if err != nil {
					t.Fatal(err)
				}
				w := newWork(64, c.batch).start(s)
				if err := w.do(c.saves, func() {}); err != nil {
					t.Fatal(err)
				}
				if err := s.close(); err != nil {
					t.Fatal(err)
				}
				first, entries, err := k.read(dir)
				if err != nil {
					t.Fatal(err)
				}
				if last := first + uint64(len(entries)) - 1; first != w.first || last != w.last {
					t.Fatalf("entries %d to %d are stored, want %d to %d", first, last, w.first, w.last)
				}
				for i, e := range entries {
					if index := first + uint64(i); !bytes.Equal(e, w.entry(index)) {
						t.Fatalf("entry %d is %x, want %x", index, e, w.entry(index))
					}
				}
			})
		}
	}
}

// warmUp is how many entries come before those that are counted: by then all
// that is made in advance is used, and files have stopped growing.
const warmUp = 6000

var batches = []struct{ batch, saves int }{{1, 2000}, {4, 1000}, {16, 500}, {64, 250}}

// TestMeasureStores prints what each store writes.
func TestMeasureStores(t *testing.T) {
	d := devices(t, 1)[0]
	for _, size := range []int{64, 256} {
		fmt.Printf("\nentries of %d bytes: bytes and flushes that the device got for each, one save every %v\n%-13s", size, *gap, "batch")
		for _, b := range batches {
			fmt.Printf("%16d", b.batch)
		}
		fmt.Println()
		for _, k := range kinds {
			fmt.Printf("%-13s", k.name)
			for _, b := range batches {
				got, err := measure(d, k, newWork(size, b.batch), b.saves)
				if err != nil {
					t.Fatalf("%s: %v", k.name, err)
				}
				n := float64(b.batch * b.saves)
				fmt.Printf("%16s", fmt.Sprintf("%.0f / %.3f", float64(got.bytes)/n, float64(got.flushes)/n))
			}
			fmt.Println()
		}
	}
}

// measure counts what the last saves of a log write.
func measure(d device, k kind, what *work, saves int) (written, error) {
	dir, err := os.MkdirTemp(d.mount, "log")
	if err != nil {
		return written{}, err
	}
	s, err := k.open(dir)
	if err != nil {
		return written{}, err
	}
	w := what.start(s)
	if err := w.do((warmUp+what.batch-1)/what.batch, func() {}); err != nil {
		return written{}, err
	}
	before, err := d.begin()
	if err != nil {
		return written{}, err
	}
	tick := time.NewTicker(*gap)
	defer tick.Stop()
	if err := w.do(saves, func() { <-tick.C }); err != nil {
		return written{}, err
	}
	got, err := d.end(before)
	if err != nil {
		return written{}, err
	}
	if err := s.close(); err != nil {
		return written{}, err
	}
	return got, os.RemoveAll(dir)
}
