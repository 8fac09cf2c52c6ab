package show

import (
	"fmt"
	"strconv"
	"strings"
	"unicode"
	"unicode/utf16"
	"unicode/utf8"
)

// Printable makes text from elsewhere (names, keys, values, messages) safe to
// show on a terminal: control characters, characters that reorder or hide
// text, and bytes that are not UTF-8 appear as Go escapes. A backslash stays
// one: what is shown is for people, and --json is exact.
func Printable(text string) string {
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for i := 0; i < len(text); {
		r, size := utf8.DecodeRuneInString(text[i:])
		if r == utf8.RuneError && size == 1 || hidden(r) {
			quoted := strconv.Quote(text[i : i+size])
			b.WriteString(quoted[1 : len(quoted)-1])
		} else {
			b.WriteString(text[i : i+size])
		}
		i += size
	}
	return b.String()
}

// hidden reports what must not reach a terminal as it is. Invalid UTF-8
// arrives as the replacement character, whose turn decides by its size.
func hidden(r rune) bool { return r == utf8.RuneError || r != ' ' && !unicode.IsPrint(r) }

// Lines is Printable for text of several lines.
func Lines(text string) string {
	lines := strings.Split(text, "\n")
	for i, line := range lines {
		cells := strings.Split(line, "\t")
		for j := range cells {
			cells[j] = Printable(cells[j])
		}
		lines[i] = strings.Join(cells, "\t")
	}
	return strings.Join(lines, "\n")
}

// JSON escapes the characters that JSON lets through but a terminal may
// obey: the C1 controls and those that hide or reorder text. In JSON they
// appear in strings only, where \u escapes mean the same.
func JSON(line []byte) string {
	text := string(line)
	if !strings.ContainsFunc(text, hidden) {
		return text
	}
	var b strings.Builder
	for _, r := range text {
		switch {
		case !hidden(r), r < 0x80:
			b.WriteRune(r)
		case r > 0xffff:
			high, low := utf16.EncodeRune(r)
			fmt.Fprintf(&b, `\u%04x\u%04x`, high, low)
		default:
			fmt.Fprintf(&b, `\u%04x`, r)
		}
	}
	return b.String()
}
