package show

import "testing"

func TestPrintable(t *testing.T) {
	tests := map[string]string{
		"plain äöü 日本":   "plain äöü 日本",
		"\x1b[31mred":    `\x1b[31mred`,
		"a\nb\tc\rd\x00": `a\nb\tc\rd\x00`,
		"\u202egnp":      `\u202egnp`,
		"\u009b2J":       `\u009b2J`,
		"bad \xff byte":  `bad \xff byte`,
		"real \ufffd":    "real \ufffd",
		`back\slash`:     `back\slash`,
	}
	for text, want := range tests {
		if got := Printable(text); got != want {
			t.Errorf("Printable(%q) = %q, want %q", text, got, want)
		}
	}
	if got := Lines("a\tb\n\x1bc\n"); got != "a\tb\n\\x1bc\n" {
		t.Errorf("Lines: %q", got)
	}
	if got := JSON([]byte(`{"k":"` + "\u009b\u202e\U000e0001é" + `"}`)); got != `{"k":"\u009b\u202e\udb40\udc01é"}` {
		t.Errorf("JSON: %s", got)
	}
}
