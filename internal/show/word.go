package show

import (
	"fmt"
	"strings"
)

// Quoted is text as one word of a shell, in single quotes. Each shell ends them and
// begins them again in the same way.
func Quoted(text string) string { return "'" + strings.ReplaceAll(text, "'", `'\''`) + "'" }

// Word is text as one word of a shell, in quotes where it needs them.
func Word(text string) string {
	const plain = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_@%+=:,./-"
	if text == "" || strings.Trim(text, plain) != "" {
		return Quoted(text)
	}
	return text
}

// Command is a command to be typed: each text among args is one word of it.
func Command(format string, args ...any) string {
	words := make([]any, len(args))
	for i, a := range args {
		words[i] = a
		if text, ok := a.(string); ok {
			words[i] = Word(text)
		}
	}
	return fmt.Sprintf(format, words...)
}
