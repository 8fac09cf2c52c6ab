package wire

import (
	"errors"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// TestEveryFlippedBitIsFound flips each bit of what is stored.
func TestEveryFlippedBitIsFound(t *testing.T) {
	entry, err := AppendEntry(nil, entrySamples()[3])
	if err != nil {
		t.Fatal(err)
	}
	state, err := AppendHardState(nil, stateSamples()[1])
	if err != nil {
		t.Fatal(err)
	}
	for bit := range 8 * len(entry) {
		entry[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodeEntry(entry); !errors.Is(err, ErrChecksum) {
			t.Errorf("entry, bit %d: error %v", bit, err)
		}
		entry[bit/8] ^= 1 << (bit % 8)
	}
	for bit := range 8 * len(state) {
		state[bit/8] ^= 1 << (bit % 8)
		if _, err := DecodeHardState(state); !errors.Is(err, ErrChecksum) {
			t.Errorf("state, bit %d: error %v", bit, err)
		}
		state[bit/8] ^= 1 << (bit % 8)
	}
}

func TestDecodeStoredRefuses(t *testing.T) {
	stored := func(version byte, v any) []byte {
		b, err := AppendStored(nil, version, v)
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		name  string
		entry []byte
		want  error
	}{
		{"nothing", nil, ErrMalformed},
		{"4 bytes", []byte{1, 2, 3, 4}, ErrMalformed},
		{"a newer version", stored(3, []any{1}), ErrVersion},
		{"6 fields", stored(2, []any{1, 1, 1, 0, []byte{}, []any{}}), ErrMalformed},
		{"5 fields of version 1", stored(1, []any{1, 1, 1, 0, []byte{}}), ErrMalformed},
		{"a map", stored(1, fields{}), ErrMalformed},
		{"no checksum", stored(1, []any{1, 1, 1, 0, []byte{}, []any{}})[:9], ErrChecksum},
		{"index 0", stored(1, []any{0, 1, 1, 0, []byte{}, []any{}}), ErrMalformed},
	} {
		if _, err := DecodeEntry(c.entry); !errors.Is(err, c.want) {
			t.Errorf("entry, %s: error %v, want %v", c.name, err, c.want)
		}
	}
	for _, c := range []struct {
		name  string
		state []byte
		want  error
	}{
		{"nothing", nil, ErrMalformed},
		{"a newer version", stored(2, []any{1}), ErrVersion},
		{"a vote that is no ID", stored(1, []any{[]byte{}, 1, "x", 1}), ErrMalformed},
		{"a cluster of 1 byte", stored(1, []any{[]byte{1}, 1, "", 1}), ErrMalformed},
	} {
		if _, err := DecodeHardState(c.state); !errors.Is(err, c.want) {
			t.Errorf("state, %s: error %v, want %v", c.name, err, c.want)
		}
	}
}

type record struct {
	Name string            `cbor:"1,keyasint"`
	Size uint64            `cbor:"2,keyasint,omitempty"`
	List []byte            `cbor:"3,keyasint"`
	Map  map[string]uint64 `cbor:"4,keyasint"`
}

func TestMarshalRoundTrip(t *testing.T) {
	b, err := Marshal(record{Name: "x"})
	if err != nil {
		t.Fatal(err)
	}
	got := record{Name: "old", Size: 9, List: []byte{1}}
	if err := Unmarshal(b, &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "x" || got.Size != 0 || len(got.List) != 0 {
		t.Errorf("got %+v: the target was not cleared", got)
	}
}

func TestUnmarshalRefuses(t *testing.T) {
	unknown, _ := Marshal(fields{1: "x", 9: 1})
	null, _ := Marshal(nil)
	good, _ := Marshal(record{Name: "x"})
	for name, b := range map[string][]byte{
		"nothing":        nil,
		"null":           null,
		"undefined":      {0xf7},
		"unknown field":  unknown,
		"trailing bytes": append(good, 0),
	} {
		got := record{Name: "old"}
		if err := Unmarshal(b, &got); !errors.Is(err, ErrMalformed) {
			t.Errorf("%s: got %+v, error %v", name, got, err)
		}
	}
	if err := Unmarshal(make([]byte, MaxMessage+1), &record{}); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large: error %v", err)
	}
	for _, v := range []any{nil, record{}, (*record)(nil)} {
		if err := Unmarshal(good, v); !errors.Is(err, ErrMalformed) {
			t.Errorf("into %T: error %v", v, err)
		}
	}
	if _, err := Marshal(func() {}); !errors.Is(err, ErrMalformed) {
		t.Errorf("a function: error %v", err)
	}
	if _, err := Marshal(make([]byte, MaxMessage+1)); !errors.Is(err, ErrTooLarge) {
		t.Errorf("large: error %v", err)
	}
}

// TestDecodedSharesNothing holds that a caller may reuse its buffer at once.
func TestDecodedSharesNothing(t *testing.T) {
	b, err := AppendEntry(nil, entrySamples()[1])
	if err != nil {
		t.Fatal(err)
	}
	m, err := AppendMessage(nil, sixteen())
	if err != nil {
		t.Fatal(err)
	}
	e, err := DecodeEntry(b)
	if err != nil {
		t.Fatal(err)
	}
	got, err := DecodeMessage(m)
	if err != nil {
		t.Fatal(err)
	}
	clear(b)
	clear(m)
	if string(e.Data) != "hello" {
		t.Errorf("the entry's data became %q", e.Data)
	}
	if d := got.Body.(raft.AppendRequest).Entries[5].Data; d[0] != 5 || d[63] != 5 {
		t.Errorf("the message's data became %x", d)
	}
}
