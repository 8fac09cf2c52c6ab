package once

import "testing"

func TestUnwrap(t *testing.T) {
	with, err := Command("a key", 7, []byte("inner"))
	if err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct{ stored, inner, key string }{
		{string(with), "inner", "a key"},
		{"inner", "inner", ""},
		{"", "", ""},
		{"\xff\x05ab", "\xff\x05ab", ""},
	} {
		if inner, key := Unwrap([]byte(c.stored)); string(inner) != c.inner || string(key) != c.key {
			t.Errorf("%q: %q with key %q", c.stored, inner, key)
		}
	}
}
