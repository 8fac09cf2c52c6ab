package wire

import (
	"bytes"
	"encoding/hex"
	"fmt"
	"os"
	"reflect"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// golden reads testdata/v1.txt: a name and bytes in hexadecimal on each line.
func golden(t testing.TB) map[string][]byte {
	t.Helper()
	text, err := os.ReadFile("testdata/v1.txt")
	if err != nil {
		t.Fatal(err)
	}
	out := make(map[string][]byte)
	for line := range strings.Lines(string(text)) {
		name, digits, ok := strings.Cut(strings.TrimSpace(line), " ")
		if !ok || strings.HasPrefix(name, "#") {
			continue
		}
		if out[name], err = hex.DecodeString(strings.TrimSpace(digits)); err != nil {
			t.Fatalf("testdata/v1.txt, %s: %v", name, err)
		}
	}
	return out
}

// sample is one value with its encoder and decoder. Without an encoder it is of
// a version that is read and not written any more.
type sample struct {
	name   string
	value  any
	encode func() ([]byte, error)
	decode func([]byte) (any, error)
}

func samples() []sample {
	var out []sample
	for _, s := range messageSamples() {
		out = append(out, sample{"message/" + s.name, s.m,
			func() ([]byte, error) { return AppendMessage(nil, s.m) },
			func(b []byte) (any, error) { return DecodeMessage(b) }})
	}
	for i, e := range entrySamples() {
		out = append(out, sample{fmt.Sprintf("entry/%d", i), e, nil,
			func(b []byte) (any, error) { return DecodeEntry(b) }})
	}
	for i, e := range stamped(entrySamples()) {
		out = append(out, sample{fmt.Sprintf("entry-2/%d", i), e,
			func() ([]byte, error) { return AppendEntry(nil, e) },
			func(b []byte) (any, error) { return DecodeEntry(b) }})
	}
	for i, s := range stateSamples() {
		out = append(out, sample{fmt.Sprintf("state/%d", i), s,
			func() ([]byte, error) { return AppendHardState(nil, s) },
			func(b []byte) (any, error) { return DecodeHardState(b) }})
	}
	for i, f := range foundingSamples() {
		out = append(out, sample{fmt.Sprintf("founding/%d", i), f,
			func() ([]byte, error) { return AppendFounding(nil, f) },
			func(b []byte) (any, error) { return DecodeFounding(b) }})
	}
	head := raft.Snapshot{
		Index: 300, Term: 6, ConfigIndex: 10, Sum: 0xdeadbeef,
		Config: &raft.Configuration{Members: []raft.Member{{ID: "cccccccccccccc67", Name: "küche", Role: raft.Voter}}},
	}
	type sized struct {
		s    raft.Snapshot
		size uint64
	}
	head2 := head
	head2.Time = 1 << 41
	out = append(out, sample{"snapshot-head", sized{head, 3}, nil,
		func(b []byte) (any, error) {
			s, size, err := DecodeSnapshotHead(b)
			return sized{s, size}, err
		}})
	return append(out, sample{"snapshot-head-2", sized{head2, 3},
		func() ([]byte, error) {
			s := head2
			s.Data = []byte("abc")
			return AppendSnapshotHead(nil, s)
		},
		func(b []byte) (any, error) {
			s, size, err := DecodeSnapshotHead(b)
			return sized{s, size}, err
		}})
}

func TestFormatIsTheOneOfTheGoldenFile(t *testing.T) {
	want := golden(t)
	for _, s := range samples() {
		t.Run(s.name, func(t *testing.T) {
			old, ok := want[s.name]
			got := old
			if s.encode != nil {
				var err error
				if got, err = s.encode(); err != nil {
					t.Fatal(err)
				}
			}
			if !ok {
				t.Fatalf("testdata/v1.txt lacks this line:\n%s %x", s.name, got)
			}
			if !bytes.Equal(got, old) {
				t.Errorf("encoded\n%x, the golden file has\n%x: a changed format needs a new version", got, old)
			}
			back, err := s.decode(old)
			if err != nil {
				t.Fatalf("old bytes do not decode: %v", err)
			}
			if !reflect.DeepEqual(back, s.value) {
				t.Errorf("decoded\n%+v, want\n%+v", back, s.value)
			}
		})
		delete(want, s.name)
	}
	for name := range want {
		t.Errorf("%s is in testdata/v1.txt and is tested no more", name)
	}
}

// TestEveryBodyHasASample keeps the golden file complete.
func TestEveryBodyHasASample(t *testing.T) {
	seen := make(map[kind]bool)
	for _, s := range messageSamples() {
		k, _, err := fromBody(s.m.Body)
		if err != nil {
			t.Fatal(err)
		}
		seen[k] = true
	}
	for k := kindPreVoteRequest; k <= kindFounded; k++ {
		if !seen[k] {
			t.Errorf("no sample of kind %d", k)
		}
	}
}

func TestAppendKeepsWhatIsThere(t *testing.T) {
	prefix := []byte("before")
	for _, s := range []func([]byte) ([]byte, error){
		func(b []byte) ([]byte, error) { return AppendMessage(b, sixteen()) },
		func(b []byte) ([]byte, error) { return AppendEntry(b, entrySamples()[1]) },
		func(b []byte) ([]byte, error) { return AppendHardState(b, stateSamples()[1]) },
	} {
		alone, err := s(nil)
		if err != nil {
			t.Fatal(err)
		}
		both, err := s(bytes.Clone(prefix))
		if err != nil {
			t.Fatal(err)
		}
		if want := append(bytes.Clone(prefix), alone...); !bytes.Equal(both, want) {
			t.Errorf("got %x, want %x", both, want)
		}
	}
	got, err := AppendMessage(prefix, raft.Message{})
	if err == nil || !bytes.Equal(got, prefix) {
		t.Errorf("after an error: %q, %v", got, err)
	}
}
