package kv

import (
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgeraft/edgeraft/raft/wire"
)

// Limits of the format: the same on every device, for ever. What exceeds one
// is refused by the constructors and has no effect if it is committed all the
// same.
const (
	MaxKeyBytes   = 512
	MaxValueBytes = 1 << 20
	// MaxSteps is the most elements of each list of a transaction.
	MaxSteps = 128
	// MaxTTL is ten years.
	MaxTTL = TTL(10 * 365 * 24 * 3600 * 1000)
	// MaxOverhead is the most bytes by which an encoded put or opaque command
	// exceeds its value: the key, and the framing.
	MaxOverhead = MaxKeyBytes + 64
)

// The formats of a stored command, its first byte.
const (
	formatOpaque    = 1
	formatOperation = 2
	formatExpire    = 3
)

// Errors of the constructors: the caller's input breaks the format.
var (
	ErrBadKey   = errors.New("a key must have 1 to 512 bytes of UTF-8 text without NUL")
	ErrTooLarge = errors.New("the value is too large")
	ErrBadTxn   = errors.New("the transaction makes no sense")
	ErrBadTTL   = errors.New("a key can live 1 ms to ten years")
)

// errMalformed: a committed command cannot be read.
var errMalformed = errors.New("the command breaks the format")

// OpKind says what an Operation does. The numbers are stored: never reuse one.
type OpKind uint8

// The kinds of operation.
const (
	OpPut    OpKind = 1
	OpDelete OpKind = 2
	opTxn    OpKind = 3 // of a record only
	opExpire OpKind = 4 // never stored: it is a format of its own
)

// TTL is how long a key lives after it was put, in milliseconds of cluster time
// (raft.Time); 0 means until it is removed.
type TTL uint64

// TTLOf makes a TTL of a duration, rounded up so that nothing expires too
// early. One that is not positive or beyond MaxTTL is ErrBadTTL.
func TTLOf(d time.Duration) (TTL, error) {
	if d <= 0 || d > time.Duration(MaxTTL)*time.Millisecond {
		return 0, fmt.Errorf("%w, not %v", ErrBadTTL, d)
	}
	return TTL((d + time.Millisecond - 1) / time.Millisecond), nil
}

// Operation is one step of a transaction.
type Operation struct {
	Kind  OpKind `cbor:"1,keyasint"`
	Key   string `cbor:"2,keyasint"`
	Value []byte `cbor:"3,keyasint,omitempty"` // OpPut only
	TTL   TTL    `cbor:"4,keyasint,omitempty"` // OpPut only
}

// Compare is a condition: the index at which the key last changed, 0 meaning
// that it is absent.
type Compare struct {
	Key   string `cbor:"1,keyasint"`
	Index uint64 `cbor:"2,keyasint"`
}

// Transaction is applied whole or not at all: if every compare holds, Then,
// else Else, in order. All of it happens at one index.
type Transaction struct {
	Compare []Compare
	Then    []Operation
	Else    []Operation
}

// record is what is stored of an operation. IfIndex belongs to puts and
// deletes, the lists to transactions, Key, Value and TTL as in Operation.
type record struct {
	Kind    OpKind      `cbor:"1,keyasint"`
	Key     string      `cbor:"2,keyasint,omitempty"`
	Value   []byte      `cbor:"3,keyasint,omitempty"`
	IfIndex *uint64     `cbor:"4,keyasint,omitempty"`
	Compare []Compare   `cbor:"5,keyasint,omitempty"`
	Then    []Operation `cbor:"6,keyasint,omitempty"`
	Else    []Operation `cbor:"7,keyasint,omitempty"`
	TTL     TTL         `cbor:"8,keyasint,omitempty"`
}

// Command encodes an opaque command. It copies b.
func Command(b []byte) []byte {
	return append([]byte{formatOpaque}, b...)
}

// Put encodes the setting of one key; with ifIndex only if the key last
// changed at that index (0: only if it is absent). The key lives until it is
// removed, also if it had a TTL.
func Put(key string, value []byte, ifIndex *uint64) ([]byte, error) {
	return PutTTL(key, value, 0, ifIndex)
}

// PutTTL is Put of a key that expires, counted from when the leader takes the
// command.
func PutTTL(key string, value []byte, ttl TTL, ifIndex *uint64) ([]byte, error) {
	return encode(&record{Kind: OpPut, Key: key, Value: value, IfIndex: ifIndex, TTL: ttl})
}

// Delete encodes the removal of one key, with ifIndex as in Put.
func Delete(key string, ifIndex *uint64) ([]byte, error) {
	return encode(&record{Kind: OpDelete, Key: key, IfIndex: ifIndex})
}

// Txn encodes a transaction.
func Txn(t Transaction) ([]byte, error) {
	return encode(&record{Kind: opTxn, Compare: t.Compare, Then: t.Then, Else: t.Else})
}

// CheckKey returns an error that wraps ErrBadKey if key cannot be one.
func CheckKey(key string) error {
	switch {
	case key == "":
		return fmt.Errorf("%w; this one is empty", ErrBadKey)
	case len(key) > MaxKeyBytes:
		return fmt.Errorf("%w; this one has %d bytes", ErrBadKey, len(key))
	case !utf8.ValidString(key):
		return fmt.Errorf("%w; this one is not UTF-8", ErrBadKey)
	case strings.IndexByte(key, 0) >= 0:
		return fmt.Errorf("%w; this one has a NUL", ErrBadKey)
	}
	return nil
}

func encode(r *record) ([]byte, error) {
	if err := r.check(); err != nil {
		return nil, err
	}
	b, err := wire.Marshal(r)
	if errors.Is(err, wire.ErrTooLarge) {
		return nil, fmt.Errorf("%w: %w", ErrTooLarge, err)
	}
	if err != nil {
		return nil, fmt.Errorf("encoding an operation on keys: %w", err)
	}
	return append([]byte{formatOperation}, b...), nil
}

// expire is the command that removes what has expired, and does nothing else.
// Every entry does so before anything else: it is for when none comes.
var expire = []byte{formatExpire}

// decode reads what encode and Command wrote, and expire; opaque is not nil for
// an opaque command, which shares b's memory. Anything else is an error.
func decode(b []byte) (opaque []byte, r record, err error) {
	if len(b) == 0 {
		return nil, r, errMalformed
	}
	switch b[0] {
	case formatOpaque:
		return b[1:], r, nil
	case formatOperation:
		if err := wire.Unmarshal(b[1:], &r); err != nil {
			return nil, r, fmt.Errorf("%w: %w", errMalformed, err)
		}
		if err := r.check(); err != nil {
			return nil, r, fmt.Errorf("%w: %w", errMalformed, err)
		}
		return nil, r, nil
	case formatExpire:
		if len(b) == 1 {
			return nil, record{Kind: opExpire}, nil
		}
	}
	return nil, r, errMalformed
}

// check holds the rules of a record, for encoding and decoding alike.
func (r *record) check() error {
	switch r.Kind {
	case OpPut, OpDelete:
		if r.Compare != nil || r.Then != nil || r.Else != nil {
			return fmt.Errorf("%w: lists without a transaction", ErrBadTxn)
		}
		return (&Operation{Kind: r.Kind, Key: r.Key, Value: r.Value, TTL: r.TTL}).check()
	case opTxn:
		return r.checkTxn()
	}
	return fmt.Errorf("%w: unknown kind of operation %d", ErrBadTxn, r.Kind)
}

func (r *record) checkTxn() error {
	if r.Key != "" || r.Value != nil || r.IfIndex != nil || r.TTL != 0 {
		return fmt.Errorf("%w: a key outside its lists", ErrBadTxn)
	}
	if len(r.Compare)+len(r.Then)+len(r.Else) == 0 {
		return fmt.Errorf("%w: it is empty", ErrBadTxn)
	}
	if n := max(len(r.Compare), len(r.Then), len(r.Else)); n > MaxSteps {
		return fmt.Errorf("%w: %d steps in one list, the limit is %d", ErrBadTxn, n, MaxSteps)
	}
	for i := range r.Compare {
		if err := CheckKey(r.Compare[i].Key); err != nil {
			return err
		}
	}
	for _, steps := range [][]Operation{r.Then, r.Else} {
		for i := range steps {
			if err := steps[i].check(); err != nil {
				return err
			}
		}
	}
	return nil
}

func (o *Operation) check() error {
	switch {
	case o.Kind != OpPut && o.Kind != OpDelete:
		return fmt.Errorf("%w: unknown kind of operation %d", ErrBadTxn, o.Kind)
	case o.Kind == OpDelete && o.Value != nil:
		return fmt.Errorf("%w: a delete with a value", ErrBadTxn)
	case o.Kind == OpDelete && o.TTL != 0:
		return fmt.Errorf("%w: a delete with a TTL", ErrBadTxn)
	case o.TTL > MaxTTL:
		return fmt.Errorf("%w, not %d ms", ErrBadTTL, o.TTL)
	case len(o.Value) > MaxValueBytes:
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(o.Value), MaxValueBytes)
	}
	return CheckKey(o.Key)
}
