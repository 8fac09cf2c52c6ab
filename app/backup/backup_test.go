package backup

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"testing"
	"testing/iotest"
)

var sample = Header{
	Edgeraft: "v1.2.3", Cluster: "default", ClusterID: "f6c4f1a2-0d3b-4b5a-8f0e-0123456789ab", Device: "attic",
	Index: 17, Term: 3, TimeMS: 90061000, Taken: "2026-11-01T12:00:00Z", Keys: 2, Stale: true, LeaderContactMS: 1500,
}

const sampleData = "\x02whatever the state is\n\x00"

func file(t testing.TB, h Header, data string) []byte {
	t.Helper()
	before, after, size, err := Encode(h, []byte(data))
	all := append(append(before, data...), after...)
	if err != nil || len(all) != size {
		t.Fatalf("%d bytes, said %d: %v", len(all), size, err)
	}
	return all
}

func read(all []byte) (Header, string, error) {
	r, err := NewReader(bytes.NewReader(all))
	if err != nil {
		return Header{}, "", err
	}
	data, err := io.ReadAll(r)
	return r.Header, string(data), err
}

// People have such files. If this fails, do not change testdata: old files must
// be readable for ever.
func TestFormat(t *testing.T) {
	golden, err := os.ReadFile("testdata/format1.golden")
	if err != nil {
		t.Fatal(err)
	}
	if got := file(t, sample, sampleData); !bytes.Equal(got, golden) {
		t.Errorf("a backup is now\n%q, was\n%q", got, golden)
	}
	want := sample
	want.Size = uint64(len(sampleData))
	if h, data, err := read(golden); h != want || data != sampleData || err != nil {
		t.Errorf("%+v, %q, %v", h, data, err)
	}
}

func TestEveryFlipAndEveryCutIsSeen(t *testing.T) {
	good := file(t, sample, sampleData)
	for i := range good {
		if _, _, err := read(good[:i]); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoBackup) {
			t.Errorf("cut at %d: %v", i, err)
		}
		for bit := range 8 {
			bad := bytes.Clone(good)
			bad[i] ^= 1 << bit
			if _, _, err := read(bad); !errors.Is(err, ErrDamaged) && !errors.Is(err, ErrNoBackup) && !errors.Is(err, ErrVersion) {
				t.Errorf("byte %d with bit %d flipped: %v", i, bit, err)
			}
		}
	}
	if _, _, err := read(append(bytes.Clone(good), 'x')); !errors.Is(err, ErrDamaged) {
		t.Errorf("something behind its end: %v", err)
	}
}

func TestWhatIsNoBackup(t *testing.T) {
	big := sample
	big.Device = strings.Repeat("x", MaxHeaderBytes)
	if _, _, _, err := Encode(big, nil); err == nil {
		t.Error("a header that no reader takes")
	}
	for name, c := range map[string]struct {
		text string
		want error
	}{
		"empty":          {"", ErrNoBackup},
		"something else": {"#!/bin/sh\n", ErrNoBackup},
		"one long line":  {strings.Repeat("edgeraft backup ", 1000), ErrNoBackup},
		"no number":      {"edgeraft backup x\n", ErrNoBackup},
		"a later format": {"edgeraft backup 2\n{}\n", ErrVersion},
		"no header":      {"edgeraft backup 1\n", ErrDamaged},
		"not JSON":       {"edgeraft backup 1\nsize 5\n", ErrDamaged},
		"a huge size":    {"edgeraft backup 1\n" + `{"cluster_id":"x","index":1,"term":1,"size":9000000000000000000}` + "\n", ErrDamaged},
		"of nothing":     {"edgeraft backup 1\n" + `{"size":0}` + "\n", ErrDamaged},
	} {
		if _, _, err := read([]byte(c.text)); !errors.Is(err, c.want) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

func TestErrorsOfTheSourceComeThrough(t *testing.T) {
	broken := errors.New("the stick was pulled out")
	good := file(t, sample, sampleData)
	for n := range len(good) {
		r, err := NewReader(io.MultiReader(bytes.NewReader(good[:n]), iotest.ErrReader(broken)))
		if err == nil {
			_, err = io.ReadAll(r)
		}
		if !errors.Is(err, broken) {
			t.Errorf("after %d bytes: %v", n, err)
		}
	}
	if r, err := NewReader(iotest.OneByteReader(bytes.NewReader(good))); err != nil {
		t.Error(err)
	} else if data, err := io.ReadAll(r); string(data) != sampleData || err != nil {
		t.Errorf("byte by byte: %q, %v", data, err)
	}
}

func FuzzReader(f *testing.F) {
	f.Add(file(f, sample, sampleData))
	f.Add([]byte("edgeraft backup 1\n{}\n"))
	f.Fuzz(func(t *testing.T, data []byte) {
		h, content, err := read(data)
		if err != nil {
			return
		}
		if again := file(t, h, content); len(again) == 0 {
			t.Error(fmt.Sprint(h))
		}
	})
}
