package api

import (
	"bytes"
	"encoding/json"
	"testing"
)

func TestBytesInJSON(t *testing.T) {
	for _, c := range []struct{ data, json string }{
		{"", `{"key":"k","value":"","index":1}`},
		{"é\x00", `{"key":"k","value":"é\u0000","index":1}`},
		{"\xff", `{"key":"k","value_base64":"/w==","index":1}`},
	} {
		b, err := json.Marshal(KeyValue{Key: "k", Bytes: BytesOf([]byte(c.data)), Index: 1})
		if err != nil || string(b) != c.json {
			t.Errorf("%q: %s, %v", c.data, b, err)
		}
		var back KeyValue
		if err := json.Unmarshal([]byte(c.json), &back); err != nil {
			t.Fatal(err)
		}
		if data, err := back.Data(); err != nil || !bytes.Equal(data, []byte(c.data)) {
			t.Errorf("%s: %q, %v", c.json, data, err)
		}
	}
}
