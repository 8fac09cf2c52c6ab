package wire

import (
	"reflect"
	"strings"
	"testing"

	"github.com/edgeraft/edgeraft/raft"
)

// fuzzRoundTrip feeds decode with everything golden under prefix, and holds
// that whatever decodes is encoded to something that decodes to the same.
func fuzzRoundTrip[V any](f *testing.F, prefix string, decode func([]byte) (V, error), encode func([]byte, V) ([]byte, error)) {
	f.Add([]byte{})
	for name, b := range golden(f) {
		if strings.HasPrefix(name, prefix) {
			f.Add(b)
			f.Add(b[:len(b)/2])
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		v, err := decode(b)
		if err != nil {
			return
		}
		again, err := encode(nil, v)
		if err != nil {
			t.Fatalf("%+v decodes and does not encode: %v", v, err)
		}
		back, err := decode(again)
		if err != nil {
			t.Fatalf("%+v was encoded to what does not decode: %v", v, err)
		}
		if !reflect.DeepEqual(v, back) {
			t.Fatalf("%+v became %+v", v, back)
		}
	})
}

func FuzzDecodeMessage(f *testing.F) {
	fuzzRoundTrip(f, "message/", DecodeMessage, AppendMessage)
}

// FuzzDecodeEntry and FuzzDecodeHardState put the right checksum behind each
// input, or nothing would get past it.
func FuzzDecodeEntry(f *testing.F) {
	fuzzRoundTrip(f, "entry", resealed(DecodeEntry), AppendEntry)
}

func FuzzDecodeHardState(f *testing.F) {
	fuzzRoundTrip(f, "state/", resealed(DecodeHardState), AppendHardState)
}

// FuzzDecodeSnapshotHead keeps the sizes small: the head alone is encoded anew,
// and stands for data of that size.
func FuzzDecodeSnapshotHead(f *testing.F) {
	fuzzRoundTrip(f, "snapshot-head", resealed(func(b []byte) (raft.Snapshot, error) {
		s, size, err := DecodeSnapshotHead(b)
		if err == nil && size > 1<<16 {
			err = ErrTooLarge
		}
		if err == nil {
			s.Data = make([]byte, size)
		}
		return s, err
	}), AppendSnapshotHead)
}

func FuzzUnmarshal(f *testing.F) {
	fuzzRoundTrip(f, "", func(b []byte) (record, error) {
		r := record{}
		err := Unmarshal(b, &r)
		// Absent and empty are the same to the encoder.
		if len(r.List) == 0 {
			r.List = nil
		}
		if len(r.Map) == 0 {
			r.Map = nil
		}
		return r, err
	}, func(_ []byte, r record) ([]byte, error) { return Marshal(r) })
}
