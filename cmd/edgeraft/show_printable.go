package main

import (
	"strconv"
	"strings"
	"unicode"
	"unicode/utf8"
)

// printable makes text from elsewhere (names, keys, values, messages) safe to
// show on a terminal: control characters, characters that reorder or hide
// text, and bytes that are not UTF-8 appear as Go escapes. A backslash stays
// one: what is shown is for people, and --json is exact.
func printable(text string) string {
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
