package kv

import (
	"reflect"
	"testing"
)

func TestDescribe(t *testing.T) {
	made := func(b []byte, err error) []byte {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	for _, c := range []struct {
		command []byte
		want    Description
		ok      bool
	}{
		{Command([]byte("open")), Description{Op: "command", Value: []byte("open")}, true},
		{Command(nil), Description{Op: "command", Value: []byte{}}, true},
		{made(PutTTL("k", []byte("v"), 5, nil)), Description{Op: "put", Key: "k", Value: []byte("v")}, true},
		{made(Delete("k", nil)), Description{Op: "delete", Key: "k"}, true},
		{expire, Description{Op: "expire"}, true},
		{made(Txn(Transaction{Compare: []Compare{{Key: "k"}}, Then: []Operation{{Kind: OpDelete, Key: "k"}}})),
			Description{Op: "txn", Text: "1 compares, then 1 operations, else 0"}, true},
		{nil, Description{}, false},
		{[]byte{formatOperation, 0xff}, Description{}, false},
		{[]byte("text"), Description{}, false},
	} {
		if got, ok := Describe(c.command); ok != c.ok || !reflect.DeepEqual(got, c.want) {
			t.Errorf("%q: %+v, %v; want %+v", c.command, got, ok, c.want)
		}
	}
}
