package wire

import "testing"

func BenchmarkAppendMessage16x64(b *testing.B) {
	m := sixteen()
	buf, err := AppendMessage(nil, m)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = AppendMessage(buf[:0], m); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(len(buf)), "bytes/message")
}

func BenchmarkDecodeMessage16x64(b *testing.B) {
	buf, err := AppendMessage(nil, sixteen())
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := DecodeMessage(buf); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkAppendEntry64(b *testing.B) {
	entry := entrySamples()[1]
	entry.Data = make([]byte, 64)
	buf, err := AppendEntry(nil, entry)
	if err != nil {
		b.Fatal(err)
	}
	b.ReportAllocs()
	for b.Loop() {
		if buf, err = AppendEntry(buf[:0], entry); err != nil {
			b.Fatal(err)
		}
	}
}
