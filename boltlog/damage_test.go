package boltlog

import (
	"bytes"
	"errors"
	"math/rand/v2"
	"os"
	"path/filepath"
	"reflect"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// filled makes a database with a tree of several pages and a value of several
// pages, and returns its directory and what it holds.
func filled(t testing.TB) (string, raft.Stored) {
	t.Helper()
	dir := t.TempDir()
	l, _ := open(t, dir)
	entries := commands(4, 1, 200)
	entries[99].Data = bytes.Repeat([]byte("large"), 2000)
	s := raft.Save{State: raft.HardState{Term: 4, Commit: 200}, Entries: entries}
	save(t, l, s)
	mustClose(t, l)
	_, opened := open(t, copyDir(t, dir))
	return dir, opened.Stored
}

// harmed copies dir and changes the copy's database.
func harmed(t *testing.T, dir string, change func([]byte) []byte) string {
	t.Helper()
	to := copyDir(t, dir)
	path := filepath.Join(to, databaseName)
	b, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, change(b), 0o600); err != nil {
		t.Fatal(err)
	}
	return to
}

// TestTruncatedFile cuts the file anywhere, also where only free pages are lost.
func TestTruncatedFile(t *testing.T) {
	dir, _ := filled(t)
	l, _ := open(t, dir)
	save(t, l, raft.Save{State: raft.HardState{Term: 4}, Entries: commands(4, 2, 3)})
	m, err := newestMeta(l.file)
	if err != nil {
		t.Fatal(err)
	}
	mustClose(t, l)
	if m.pages < 10 {
		t.Fatalf("the file has only %d pages", m.pages)
	}
	for size := 0; size < int(m.pages)*pageSize; size += pageSize / 2 {
		to := harmed(t, dir, func(b []byte) []byte { return b[:size] })
		want := ErrDamaged
		if size == 0 {
			want = ErrLostDatabase
		}
		refuses(t, to, home, want)
	}
}

// TestShortenedFile: the file has all its bytes from the start. One that lost
// its end did not lose it by our hand, even where nothing was in it.
func TestShortenedFile(t *testing.T) {
	dir := t.TempDir()
	l, _, _ := watched(t, dir, sized(8))
	mustClose(t, l)
	refuses(t, harmed(t, dir, func(b []byte) []byte { return b[:len(b)-pageSize] }), home, ErrDamaged)
}

func TestForeignFile(t *testing.T) {
	dir, _ := filled(t)
	refuses(t, harmed(t, dir, func([]byte) []byte { return bytes.Repeat([]byte("text\n"), 10000) }), home, ErrDamaged)
}

func TestMetaPages(t *testing.T) {
	dir, want := filled(t)
	zero := func(pages ...int) func([]byte) []byte {
		return func(b []byte) []byte {
			for _, p := range pages {
				clear(b[p*pageSize : (p+1)*pageSize])
			}
			return b
		}
	}
	refuses(t, harmed(t, dir, zero(0, 1)), home, ErrDamaged)

	// One alone may be torn by a power cut. Open writes two transactions and
	// nothing was saved after it, so both pages lead to the same.
	l, first := open(t, dir)
	mustClose(t, l)
	for page := range 2 {
		_, got := open(t, harmed(t, dir, zero(page)))
		if !reflect.DeepEqual(got.Stored, want) || got.Identity.Boot != first.Identity.Boot+1 {
			t.Errorf("without meta page %d: boot %d; %s", page, got.Identity.Boot, difference(got.Stored, want))
		}
	}
}

func TestFlippedBitInAnEntry(t *testing.T) {
	dir, _ := filled(t)
	to := harmed(t, dir, func(b []byte) []byte {
		needle := []byte("command 42 of term 4")
		if !bytes.Contains(b, needle) {
			t.Fatal("the entry is not in the file")
		}
		return bytes.ReplaceAll(b, needle, []byte("command 43 of term 4"))
	})
	refuses(t, to, home, ErrDamaged)
}

// TestFlippedBits flips one bit at many places, mostly where bbolt keeps its
// structure. Open either finds it or it was in free space: it never returns
// anything but what was saved, and never takes the process down.
func TestFlippedBits(t *testing.T) {
	dir, want := filled(t)
	l, first := open(t, dir) // so that both meta pages lead to the same
	mustClose(t, l)
	whole, err := os.ReadFile(filepath.Join(dir, databaseName))
	if err != nil {
		t.Fatal(err)
	}
	r := rand.New(rand.NewPCG(1, 2))
	found := 0
	const flips = 1500
	for range flips {
		at := r.IntN(len(whole))
		if r.IntN(3) > 0 { // the start of a page: header and elements
			at = at/pageSize*pageSize + r.IntN(200)
		}
		bit := byte(1) << r.IntN(8)
		to := harmed(t, dir, func(b []byte) []byte { b[at] ^= bit; return b })
		l, got, err := Open(to, home)
		if err != nil {
			if !errors.Is(err, ErrDamaged) {
				t.Errorf("byte %d, bit %08b: error %v", at, bit, err)
			}
			found++
			continue
		}
		if !reflect.DeepEqual(got.Stored, want) || got.Identity.ID != first.Identity.ID || got.Identity.Boot != first.Identity.Boot+1 {
			t.Errorf("byte %d, bit %08b: opened as %+v; %s", at, bit, got.Identity, difference(got.Stored, want))
		}
		mustClose(t, l)
	}
	if found < flips/20 {
		t.Errorf("only %d of %d flips were found: does the test still hit anything?", found, flips)
	}
}

// TestRandomPages overwrites whole pages with noise.
func TestRandomPages(t *testing.T) {
	dir, want := filled(t)
	r := rand.New(rand.NewPCG(3, 4))
	for range 200 {
		to := harmed(t, dir, func(b []byte) []byte {
			page := 2 + r.IntN(len(b)/pageSize-2)
			keepHeader := r.IntN(2) * headerLen
			for i := page*pageSize + keepHeader; i < (page+1)*pageSize; i++ {
				b[i] = byte(r.Uint32())
			}
			return b
		})
		l, got, err := Open(to, home)
		switch {
		case err == nil && !reflect.DeepEqual(got.Stored, want):
			t.Error(difference(got.Stored, want))
		case err != nil && !errors.Is(err, ErrDamaged):
			t.Errorf("error %v", err)
		}
		if err == nil {
			mustClose(t, l)
		}
	}
}
