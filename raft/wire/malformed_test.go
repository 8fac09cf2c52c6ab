package wire

import (
	"bytes"
	"errors"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/fxamacker/cbor/v2"

	"github.com/edgeraft/edgeraft/raft"
)

// raw encodes without any check, to make what AppendMessage refuses.
func raw(t testing.TB, version byte, v any) []byte {
	t.Helper()
	b, err := cbor.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return append([]byte{version}, b...)
}

// rawMessage is a message of kind k with any body, even one that is no CBOR.
func rawMessage(t testing.TB, k kind, body any) []byte {
	t.Helper()
	if broken, ok := body.(cbor.RawMessage); ok {
		whole := rawMessage(t, k, 0) // the body is last, and 0 is one byte
		return append(whole[:len(whole)-1], broken...)
	}
	return raw(t, messageVersion, envelope[any]{Kind: k, Cluster: cluster[:], From: alice, To: bob, Term: 8, Body: body})
}

type fields = map[int]any

func TestDecodeMessageRefuses(t *testing.T) {
	config := func(members ...any) any {
		return fields{3: []any{[]any{1, 8, raft.EntryConfig, 0, []byte{}, members}}}
	}
	entries := func(e ...any) any { return fields{1: 6, 2: 6, 3: e} }
	noop := func(index, term uint64) any { return []any{index, term, 1, 0, []byte{}, []any{}} }
	big := bytes.Repeat([]byte{1}, MaxData+1)
	whole, err := AppendMessage(nil, sixteen())
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name string
		b    []byte
		want error
	}{
		{"nothing", nil, ErrMalformed},
		{"only a version", []byte{messageVersion}, ErrMalformed},
		{"another version", raw(t, 2, fields{}), ErrVersion},
		{"unknown kind", rawMessage(t, 99, fields{}), ErrVersion},
		{"kind 0", rawMessage(t, 0, fields{}), ErrVersion},
		{"a wall clock beyond all years", raw(t, messageVersion, envelope[any]{Kind: kindVoteRequest, Cluster: cluster[:], From: alice, To: bob, Term: 8, Body: fields{1: 6, 2: 6}, Wall: raft.MaxWall + 1}), ErrMalformed},
		{"too many bytes", make([]byte, MaxMessage+1), ErrTooLarge},
		{"cut off", whole[:len(whole)-1], ErrMalformed},
		{"trailing byte", append(slices.Clone(whole), 0), ErrMalformed},
		{"an array as envelope", raw(t, messageVersion, []any{}), ErrMalformed},
		{"null as envelope", raw(t, messageVersion, nil), ErrMalformed},
		{"no body", raw(t, messageVersion, fields{1: 1, 3: alice, 4: bob}), ErrMalformed},
		{"null as body", rawMessage(t, kindVoteRequest, nil), ErrMalformed},
		{"array as body", rawMessage(t, kindVoteRequest, []any{1, 2}), ErrMalformed},
		{"text as number", rawMessage(t, kindVoteRequest, fields{1: "1"}), ErrMalformed},
		{"float as number", rawMessage(t, kindVoteRequest, fields{1: 1.0}), ErrMalformed},
		{"negative number", rawMessage(t, kindVoteRequest, fields{1: -1}), ErrMalformed},
		{"null as number", rawMessage(t, kindVoteRequest, fields{1: nil}), ErrMalformed},
		{"bytes as text", rawMessage(t, kindJoin, fields{1: []byte("pi")}), ErrMalformed},
		{"tag", rawMessage(t, kindVoteRequest, cbor.Tag{Number: 99, Content: fields{}}), ErrMalformed},
		{"duplicate key", rawMessage(t, kindVoteRequest, cbor.RawMessage{0xa2, 1, 1, 1, 2}), ErrMalformed},
		{"indefinite length", rawMessage(t, kindVoteRequest, cbor.RawMessage{0xbf, 1, 1, 0xff}), ErrMalformed},
		{"array of 2^32", rawMessage(t, kindAppendRequest, cbor.RawMessage{0xa1, 3, 0x9b, 0, 0, 0, 1, 0, 0, 0, 0}), ErrMalformed},
		{"array of 2^32+1", rawMessage(t, kindAppendRequest, cbor.RawMessage{0xa1, 3, 0x9b, 0, 0, 0, 1, 0, 0, 0, 1, 0x86, 1, 1, 1, 0, 0x40, 0x80}), ErrMalformed},
		{"map of 2^32", rawMessage(t, kindVoteRequest, cbor.RawMessage{0xbb, 0, 0, 0, 1, 0, 0, 0, 0}), ErrMalformed},
		{"text of 2^32", rawMessage(t, kindJoin, cbor.RawMessage{0xa1, 1, 0x7b, 0, 0, 0, 1, 0, 0, 0, 0}), ErrMalformed},
		{"array of 2^31", rawMessage(t, kindAppendRequest, cbor.RawMessage{0xa1, 3, 0x9a, 0x80, 0, 0, 0}), ErrMalformed},
		{"times of 2 entries, and 1 there", rawMessage(t, kindAppendRequest, fields{1: 6, 2: 6, 3: []any{noop(7, 7)}, 6: 9, 7: []any{1, 1}}), ErrMalformed},
		{"an entry from before all time", rawMessage(t, kindAppendRequest, fields{1: 6, 2: 6, 3: []any{noop(7, 7)}, 6: 9, 7: []any{10}}), ErrMalformed},
		{"times that decrease", rawMessage(t, kindAppendRequest, fields{1: 6, 2: 6, 3: []any{noop(7, 7), noop(8, 7)}, 6: 9, 7: []any{1, 2}}), ErrMalformed},
		{"reserved head", rawMessage(t, kindVoteRequest, cbor.RawMessage{0xa1, 1, 0x1c}), ErrMalformed},
		{"half a head", rawMessage(t, kindVoteRequest, cbor.RawMessage{0xa1, 1, 0x19, 1}), ErrMalformed},
		{"bytes of 2^32", rawMessage(t, kindAppendRequest, cbor.RawMessage{0xa1, 3, 0x5b, 0, 0, 0, 1, 0, 0, 0, 0}), ErrMalformed},
		{"nested too deep", rawMessage(t, kindVoteRequest, fields{9: nested(12)}), ErrMalformed},
		{"invalid UTF-8", rawMessage(t, kindJoin, cbor.RawMessage{0xa1, 1, 0x61, 0xff}), ErrMalformed},
		{"cluster of 3 bytes", raw(t, messageVersion, fields{1: 3, 2: []byte{1, 2, 3}, 3: alice, 4: bob, 6: fields{}}), ErrMalformed},
		{"no sender", raw(t, messageVersion, fields{1: 3, 4: bob, 6: fields{}}), ErrMalformed},
		{"sender is no ID", raw(t, messageVersion, fields{1: 3, 3: "AAAAAAAAAAAAAAAA", 4: bob, 6: fields{}}), ErrMalformed},
		{"no addressee", raw(t, messageVersion, fields{1: 3, 3: alice, 6: fields{}}), ErrMalformed},
		{"long name", rawMessage(t, kindJoin, fields{1: strings.Repeat("x", raft.MaxNameLen+1)}), ErrTooLarge},
		{"long reason", rawMessage(t, kindJoinAnswer, fields{2: strings.Repeat("x", raft.MaxReasonLen+1)}), ErrTooLarge},
		{"leader is no ID", rawMessage(t, kindJoinAnswer, fields{1: "x"}), ErrMalformed},
		{"unknown refusal", rawMessage(t, kindForwardRefused, fields{1: 1, 2: 1, 3: 9}), ErrMalformed},
		{"large proposal", rawMessage(t, kindForward, fields{2: []any{[]any{1, 1, big}}}), ErrTooLarge},
		{"proposal of 2 fields", rawMessage(t, kindForward, fields{2: []any{[]any{1, 1}}}), ErrMalformed},
		{"too many proposals", rawMessage(t, kindForward, fields{2: make([]int, MaxItems+1)}), ErrMalformed},
		{"entry index 0", rawMessage(t, kindAppendRequest, fields{3: []any{noop(0, 1)}}), ErrMalformed},
		{"gap after the previous", rawMessage(t, kindAppendRequest, entries(noop(8, 8))), ErrMalformed},
		{"gap between entries", rawMessage(t, kindAppendRequest, entries(noop(7, 8), noop(9, 8))), ErrMalformed},
		{"term below the previous", rawMessage(t, kindAppendRequest, entries(noop(7, 5))), ErrMalformed},
		{"term falls", rawMessage(t, kindAppendRequest, entries(noop(7, 8), noop(8, 7))), ErrMalformed},
		{"term above the sender's", rawMessage(t, kindAppendRequest, entries(noop(7, 9))), ErrMalformed},
		{"previous term above the sender's", rawMessage(t, kindAppendRequest, fields{1: 6, 2: 9}), ErrMalformed},
		{"entry of 7 fields", rawMessage(t, kindAppendRequest, entries([]any{7, 7, 1, 0, []byte{}, []any{}, 1})), ErrMalformed},
		{"null as entry", rawMessage(t, kindAppendRequest, entries(nil)), ErrMalformed},
		{"unknown entry kind", rawMessage(t, kindAppendRequest, entries([]any{7, 7, 9, 0, []byte{}, []any{}})), ErrMalformed},
		{"no-op with data", rawMessage(t, kindAppendRequest, entries([]any{7, 7, 1, 0, []byte{1}, []any{}})), ErrMalformed},
		{"large command", rawMessage(t, kindAppendRequest, entries([]any{7, 7, 2, 0, big, []any{}})), ErrTooLarge},
		{"command with members", rawMessage(t, kindAppendRequest, entries([]any{7, 7, 2, 0, []byte{}, []any{[]any{alice, "", 2}}})), ErrMalformed},
		{"configuration with data", rawMessage(t, kindAppendRequest, entries([]any{7, 7, 3, 0, []byte{1}, []any{}})), ErrMalformed},
		{"member is no ID", rawMessage(t, kindAppendRequest, config([]any{"x", "", 2})), ErrMalformed},
		{"unknown role", rawMessage(t, kindAppendRequest, config([]any{alice, "", 4})), ErrMalformed},
		{"role 258", rawMessage(t, kindAppendRequest, config([]any{alice, "", 258})), ErrMalformed},
		{"members not sorted", rawMessage(t, kindAppendRequest, config([]any{bob, "", 2}, []any{alice, "", 2})), ErrMalformed},
		{"member twice", rawMessage(t, kindAppendRequest, config([]any{bob, "", 2}, []any{bob, "", 2})), ErrMalformed},
		{"too many members", rawMessage(t, kindAppendRequest, config(tooManyMembers()...)), ErrMalformed},
		{"long name of a member", rawMessage(t, kindAppendRequest, config([]any{bob, strings.Repeat("x", 65), 2})), ErrTooLarge},
	} {
		t.Run(c.name, func(t *testing.T) {
			m, err := DecodeMessage(c.b)
			if !errors.Is(err, c.want) {
				t.Errorf("got %+v, error %v, want %v", m, err, c.want)
			}
			if err != nil && len(err.Error()) > 400 {
				t.Errorf("the error has %d bytes", len(err.Error()))
			}
		})
	}
}

func nested(depth int) any {
	if depth == 0 {
		return 1
	}
	return []any{nested(depth - 1)}
}

func tooManyMembers() []any {
	var out []any
	for i := range byte(raft.MaxMembers + 1) {
		out = append(out, []any{raft.NodeIDFrom([10]byte{i}), "", 2})
	}
	return out
}

// TestNewerPeersMayAddFields is the promise of the keyed maps.
func TestNewerPeersMayAddFields(t *testing.T) {
	b := raw(t, messageVersion, fields{1: 3, 2: cluster[:], 3: alice, 4: bob, 5: 8, 77: "new",
		6: fields{1: 300, 2: 6, 99: []any{"new", fields{1: true}}}})
	got, err := DecodeMessage(b)
	if err != nil {
		t.Fatal(err)
	}
	want := raft.Message{Cluster: cluster, From: alice, To: bob, Term: 8, Body: raft.VoteRequest{LastIndex: 300, LastTerm: 6}}
	if !reflect.DeepEqual(got, want) {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// TestEncodingRefusesWhatDecodingWould keeps the unreadable off stable storage.
func TestEncodingRefusesWhatDecodingWould(t *testing.T) {
	big := make([]byte, MaxData+1)
	to := func(b raft.Body) raft.Message { return raft.Message{From: alice, To: bob, Term: 8, Body: b} }
	many := make([]raft.Entry, 3)
	for i := range many {
		many[i] = raft.Entry{Index: raft.Index(i + 1), Term: 1, Kind: raft.EntryCommand, Data: make([]byte, MaxData/2)}
	}
	for _, c := range []struct {
		name string
		m    raft.Message
		want error
	}{
		{"no body", to(nil), ErrMalformed},
		{"no sender", raft.Message{To: bob, Body: raft.VoteRequest{}}, ErrMalformed},
		{"no addressee", raft.Message{From: alice, Body: raft.VoteRequest{}}, ErrMalformed},
		{"a name that is not UTF-8", to(raft.Join{Name: "\xff"}), ErrMalformed},
		{"a large proposal", to(raft.Forward{Proposals: []raft.ForwardedProposal{{Data: big}}}), ErrTooLarge},
		{"too many proposals", to(raft.Forward{Proposals: make([]raft.ForwardedProposal, MaxItems+1)}), ErrMalformed},
		{"a batch above the limit", to(raft.AppendRequest{Entries: many}), ErrTooLarge},
		{"a gap", to(raft.AppendRequest{Entries: many[1:]}), ErrMalformed},
	} {
		if _, err := AppendMessage(nil, c.m); !errors.Is(err, c.want) {
			t.Errorf("%s: error %v, want %v", c.name, err, c.want)
		}
	}
	for name, e := range map[string]raft.Entry{
		"index 0":                         {Term: 1, Kind: raft.EntryNoOp},
		"kind 0":                          {Index: 1, Term: 1},
		"a configuration without members": {Index: 1, Term: 1, Kind: raft.EntryConfig},
		"a name that is not UTF-8": {Index: 1, Kind: raft.EntryConfig, Config: &raft.Configuration{
			Members: []raft.Member{{ID: alice, Name: "\xff", Role: raft.Voter}}}},
	} {
		if _, err := AppendEntry(nil, e); !errors.Is(err, ErrMalformed) {
			t.Errorf("entry with %s: error %v", name, err)
		}
	}
	if _, err := AppendHardState(nil, raft.HardState{Vote: "x"}); !errors.Is(err, ErrMalformed) {
		t.Errorf("vote that is no ID: error %v", err)
	}
}

func TestLargestCommandFits(t *testing.T) {
	e := raft.Entry{Index: 1<<64 - 1, Term: 1<<64 - 1, Kind: raft.EntryCommand, ID: 1<<64 - 1, Data: make([]byte, MaxData)}
	b, err := AppendEntry(nil, e)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeEntry(b); err != nil {
		t.Error(err)
	}
	m := raft.Message{From: alice, To: bob, Term: e.Term, Body: raft.AppendRequest{PrevIndex: e.Index - 1, Entries: []raft.Entry{e}}}
	if b, err = AppendMessage(nil, m); err != nil {
		t.Fatal(err)
	}
	if _, err := DecodeMessage(b); err != nil {
		t.Error(err)
	}
}
