package kv

import "fmt"

// Description is what a stored command does, for people who look at a log.
type Description struct {
	Op    string // command, put, delete, expire, txn
	Key   string // of a put or delete
	Value []byte // of a put or an opaque command; it shares the command's memory
	Text  string // of a transaction: how much there is of what
}

// Describe tells what a stored command does, and reports false for one that
// breaks the format, and so does nothing.
func Describe(command []byte) (Description, bool) {
	opaque, r, err := decode(command)
	switch {
	case err != nil:
		return Description{}, false
	case opaque != nil:
		return Description{Op: "command", Value: opaque}, true
	}
	switch r.Kind {
	case OpPut:
		return Description{Op: "put", Key: r.Key, Value: r.Value}, true
	case OpDelete:
		return Description{Op: "delete", Key: r.Key}, true
	case opExpire:
		return Description{Op: "expire"}, true
	}
	text := fmt.Sprintf("%d compares, then %d operations, else %d", len(r.Compare), len(r.Then), len(r.Else))
	return Description{Op: "txn", Text: text}, true
}
