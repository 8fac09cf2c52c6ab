package kv

import (
	"bytes"
	"encoding/hex"
	"errors"
	"flag"
	"math"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"
)

var update = flag.Bool("update", false, "write the golden file of the stored commands anew")

func index(n uint64) *uint64 { return &n }

// stored is one of each command; testdata/commands.golden has their bytes.
// Lines may be added. One that changes means that devices with old logs cannot
// read them: make a new format instead.
var stored = []struct {
	name   string
	make   func() ([]byte, error)
	opaque []byte
	record record
}{
	{"opaque", func() ([]byte, error) { return Command([]byte("hi\x00")), nil }, []byte("hi\x00"), record{}},
	{"opaque empty", func() ([]byte, error) { return Command(nil), nil }, []byte{}, record{}},
	{"put", func() ([]byte, error) { return Put("k", []byte("v"), nil) }, nil,
		record{Kind: OpPut, Key: "k", Value: []byte("v")}},
	{"put empty", func() ([]byte, error) { return Put("k", nil, nil) }, nil,
		record{Kind: OpPut, Key: "k"}},
	{"put if", func() ([]byte, error) { return Put("k/é", []byte{0xff}, index(7)) }, nil,
		record{Kind: OpPut, Key: "k/é", Value: []byte{0xff}, IfIndex: index(7)}},
	{"put if absent", func() ([]byte, error) { return Put("k", []byte("v"), index(0)) }, nil,
		record{Kind: OpPut, Key: "k", Value: []byte("v"), IfIndex: index(0)}},
	{"delete", func() ([]byte, error) { return Delete("k", nil) }, nil,
		record{Kind: OpDelete, Key: "k"}},
	{"delete if", func() ([]byte, error) { return Delete("k", index(1<<40)) }, nil,
		record{Kind: OpDelete, Key: "k", IfIndex: index(1 << 40)}},
	{"txn", func() ([]byte, error) {
		return Txn(Transaction{
			Compare: []Compare{{Key: "a", Index: 0}, {Key: "b", Index: 9}},
			Then:    []Operation{{Kind: OpPut, Key: "a", Value: []byte("1")}},
			Else:    []Operation{{Kind: OpDelete, Key: "b"}},
		})
	}, nil, record{
		Kind:    opTxn,
		Compare: []Compare{{Key: "a", Index: 0}, {Key: "b", Index: 9}},
		Then:    []Operation{{Kind: OpPut, Key: "a", Value: []byte("1")}},
		Else:    []Operation{{Kind: OpDelete, Key: "b"}},
	}},
	{"expire", func() ([]byte, error) { return expire, nil }, nil, record{Kind: opExpire}},
	{"put ttl", func() ([]byte, error) { return PutTTL("k", []byte("v"), 30_000, nil) }, nil,
		record{Kind: OpPut, Key: "k", Value: []byte("v"), TTL: 30_000}},
	{"put ttl if", func() ([]byte, error) { return PutTTL("k", nil, MaxTTL, index(3)) }, nil,
		record{Kind: OpPut, Key: "k", TTL: MaxTTL, IfIndex: index(3)}},
	{"txn ttl", func() ([]byte, error) {
		return Txn(Transaction{Then: []Operation{{Kind: OpPut, Key: "a", Value: []byte("1"), TTL: 1}}})
	}, nil, record{Kind: opTxn, Then: []Operation{{Kind: OpPut, Key: "a", Value: []byte("1"), TTL: 1}}}},
}

func TestStoredCommandsKeepTheirBytes(t *testing.T) {
	const golden = "testdata/commands.golden"
	var got strings.Builder
	for _, c := range stored {
		b, err := c.make()
		if err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		got.WriteString(c.name + ": " + hex.EncodeToString(b) + "\n")
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the stored format changed:\n%s\nit was:\n%s", got.String(), want)
	}
}

func TestOldBytesStillDecode(t *testing.T) {
	file, err := os.ReadFile("testdata/commands.golden")
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(strings.TrimSpace(string(file)), "\n")
	if len(lines) != len(stored) {
		t.Fatalf("%d lines, %d commands", len(lines), len(stored))
	}
	for i, c := range stored {
		_, digits, _ := strings.Cut(lines[i], ": ")
		b, err := hex.DecodeString(digits)
		if err != nil {
			t.Fatal(err)
		}
		opaque, r, err := decode(b)
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
			continue
		}
		if !bytes.Equal(opaque, c.opaque) || (opaque == nil) != (c.opaque == nil) || !reflect.DeepEqual(r, c.record) {
			t.Errorf("%s: decoded to %q, %+v", c.name, opaque, r)
		}
	}
}

func TestConstructorsRefuseWhatBreaksTheFormat(t *testing.T) {
	big := make([]byte, MaxValueBytes+1)
	many := make([]Operation, MaxSteps+1)
	for i := range many {
		many[i] = Operation{Kind: OpDelete, Key: "k"}
	}
	cases := []struct {
		name string
		make func() ([]byte, error)
		want error
	}{
		{"empty key", func() ([]byte, error) { return Put("", nil, nil) }, ErrBadKey},
		{"long key", func() ([]byte, error) { return Put(strings.Repeat("k", 513), nil, nil) }, ErrBadKey},
		{"NUL", func() ([]byte, error) { return Delete("a\x00b", nil) }, ErrBadKey},
		{"not UTF-8", func() ([]byte, error) { return Delete("\xff", nil) }, ErrBadKey},
		{"large value", func() ([]byte, error) { return Put("k", big, nil) }, ErrTooLarge},
		{"empty transaction", func() ([]byte, error) { return Txn(Transaction{}) }, ErrBadTxn},
		{"many steps", func() ([]byte, error) { return Txn(Transaction{Then: many}) }, ErrBadTxn},
		{"unknown step", func() ([]byte, error) { return Txn(Transaction{Then: []Operation{{Kind: 9, Key: "k"}}}) }, ErrBadTxn},
		{"nested transaction", func() ([]byte, error) { return Txn(Transaction{Else: []Operation{{Kind: opTxn, Key: "k"}}}) }, ErrBadTxn},
		{"bad compare", func() ([]byte, error) { return Txn(Transaction{Compare: []Compare{{}}}) }, ErrBadKey},
		{"delete with a value", func() ([]byte, error) {
			return Txn(Transaction{Then: []Operation{{Kind: OpDelete, Key: "k", Value: []byte("v")}}})
		}, ErrBadTxn},
		{"delete with a TTL", func() ([]byte, error) {
			return Txn(Transaction{Else: []Operation{{Kind: OpDelete, Key: "k", TTL: 1}}})
		}, ErrBadTxn},
		{"long TTL", func() ([]byte, error) { return PutTTL("k", nil, MaxTTL+1, nil) }, ErrBadTTL},
		{"long TTL in a transaction", func() ([]byte, error) {
			return Txn(Transaction{Then: []Operation{{Kind: OpPut, Key: "k", TTL: MaxTTL + 1}}})
		}, ErrBadTTL},
		{"large transaction", func() ([]byte, error) {
			half := big[:MaxValueBytes]
			return Txn(Transaction{Then: []Operation{{Kind: OpPut, Key: "a", Value: half}, {Kind: OpPut, Key: "b", Value: half}}})
		}, ErrTooLarge},
	}
	for _, c := range cases {
		if _, err := c.make(); !errors.Is(err, c.want) {
			t.Errorf("%s: %v, want %v", c.name, err, c.want)
		}
	}
}

func TestTTLOf(t *testing.T) {
	cases := []struct {
		d    time.Duration
		want TTL // 0: refused
	}{
		{-time.Second, 0}, {0, 0}, {1, 1}, {time.Millisecond, 1}, {time.Millisecond + 1, 2}, {30 * time.Second, 30_000},
		{87600 * time.Hour, MaxTTL}, {87600*time.Hour + 1, 0}, {math.MaxInt64, 0},
	}
	for _, c := range cases {
		if got, err := TTLOf(c.d); got != c.want || (err == nil) != (c.want != 0) || err != nil && !errors.Is(err, ErrBadTTL) {
			t.Errorf("%v: %d, %v", c.d, got, err)
		}
	}
}

func TestOverheadIsBounded(t *testing.T) {
	for _, n := range []int{0, 1, 64 << 10, MaxValueBytes} {
		b, err := PutTTL(strings.Repeat("k", MaxKeyBytes), make([]byte, n), MaxTTL, index(1<<63))
		if err != nil {
			t.Fatal(err)
		}
		if len(b) > n+MaxOverhead {
			t.Errorf("a value of %d bytes makes a command of %d: more than MaxOverhead", n, len(b))
		}
	}
}
