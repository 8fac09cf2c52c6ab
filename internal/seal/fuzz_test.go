package seal

import (
	"bytes"
	"testing"
)

func FuzzOpen(f *testing.F) {
	k := countingKey()
	a := newSealer(f, k, "home", alice, 3)
	genuine := sealed(f, a, bob, "genuine")
	f.Add([]byte(nil))
	f.Add(genuine)
	f.Add(genuine[:Overhead])
	f.Add(sealed(f, a, "", ""))
	f.Fuzz(func(t *testing.T, packet []byte) {
		b := newSealer(t, k, "home", bob, 1)
		given := bytes.Clone(packet)
		from, plaintext, err := b.Open(packet)
		if err == nil && (from != alice || len(plaintext) != len(given)-Overhead) {
			t.Fatalf("opened as %q from %q", plaintext, from)
		}
		if err != nil && len(b.senders) != 0 {
			t.Fatal("a refused packet left something behind")
		}
		if err == nil {
			wantErr(t, b, given, ErrReplay)
		}
	})
}

func FuzzParseKey(f *testing.F) {
	f.Add(countingText)
	f.Add("er1-aaaa")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := ParseKey(text)
		if err != nil {
			return
		}
		if back, err := ParseKey(k.Text()); err != nil || !back.Equal(k) {
			t.Fatalf("the key's own text does not parse: %v", err)
		}
	})
}

func BenchmarkSealOpen200(b *testing.B) {
	k := countingKey()
	from, to := newSealer(b, k, "home", alice, 1), newSealer(b, k, "home", bob, 1)
	plaintext, packet := make([]byte, 200), make([]byte, 0, 1200)
	b.ReportAllocs()
	for b.Loop() {
		var err error
		if packet, err = from.Seal(packet[:0], bob, plaintext); err != nil {
			b.Fatal(err)
		}
		if _, _, err := to.Open(packet); err != nil {
			b.Fatal(err)
		}
	}
}
