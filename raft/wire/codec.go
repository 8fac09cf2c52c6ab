package wire

import (
	"bytes"
	"errors"
	"fmt"
	"reflect"

	"github.com/fxamacker/cbor/v2"
)

// Limits on what is encoded and decoded. More is ErrTooLarge where it is a
// length in bytes, and ErrMalformed where it is a count.
const (
	// MaxData is the most bytes of one command: the product's upper limit for
	// a value, and room for its key and framing.
	MaxData = 1<<20 + 1<<10
	// MaxMessage is the most bytes of an encoded message, and of anything else
	// here: room for one command of MaxData together with an ordinary batch.
	MaxMessage = MaxData + 256<<10
	// MaxItems is the most elements of one array: entries or proposals of one
	// message.
	MaxItems = 4096

	maxMapPairs = 64 // fields of one record, those of newer peers included
	maxNesting  = 8  // a member of a configuration in a message is 6 deep
)

// The ways in which decoding and encoding fail. Returned errors wrap one of
// them with what was being done and what is wrong.
var (
	// ErrVersion: the version byte, or the kind of a message, is one that this
	// build does not know; a newer edgeraft made it.
	ErrVersion = errors.New("unknown version (update edgeraft on this device)")
	// ErrMalformed: the bytes, or the value to encode, break the format.
	ErrMalformed = errors.New("malformed")
	// ErrTooLarge: a limit in bytes is exceeded.
	ErrTooLarge = errors.New("too large")
	// ErrChecksum: stored bytes are not those that were written.
	ErrChecksum = errors.New("the checksum does not match (the storage is damaged)")
)

var (
	encoder = newEncoder()
	// lenient ignores unknown fields: for messages, to which newer peers add.
	lenient = newDecoder(cbor.ExtraDecErrorNone)
	// strict refuses them: for what is stored.
	strict = newDecoder(cbor.ExtraDecErrorUnknownField)
)

func newEncoder() cbor.UserBufferEncMode {
	opts := cbor.CoreDetEncOptions()
	opts.NilContainers = cbor.NilContainerAsEmpty // decoding refuses null
	opts.IndefLength = cbor.IndefLengthForbidden
	opts.TagsMd = cbor.TagsForbidden
	mode, err := opts.UserBufferEncMode()
	if err != nil {
		panic("wire: the options of the encoder contradict each other: " + err.Error())
	}
	return mode
}

func newDecoder(extra cbor.ExtraDecErrorCond) cbor.DecMode {
	mode, err := cbor.DecOptions{
		DupMapKey:          cbor.DupMapKeyEnforcedAPF,
		IndefLength:        cbor.IndefLengthForbidden,
		TagsMd:             cbor.TagsForbidden,
		MaxNestedLevels:    maxNesting,
		MaxArrayElements:   MaxItems,
		MaxMapPairs:        maxMapPairs,
		UTF8:               cbor.UTF8RejectInvalid,
		ByteStringToString: cbor.ByteStringToStringForbidden,
		FieldNameMatching:  cbor.FieldNameMatchingCaseSensitive,
		NaN:                cbor.NaNDecodeForbidden,
		Inf:                cbor.InfDecodeForbidden,
		ExtraReturnErrors:  extra,
		SimpleValues:       onlyBooleans(),
	}.DecMode()
	if err != nil {
		panic("wire: the options of the decoder contradict each other: " + err.Error())
	}
	return mode
}

// onlyBooleans refuses null and undefined, which would otherwise decode into
// any struct or number and leave it zero, and the unassigned simple values.
func onlyBooleans() *cbor.SimpleValueRegistry {
	const isFalse, isTrue, reservedFrom, reservedTo = 20, 21, 24, 31
	var reject []func(*cbor.SimpleValueRegistry) error
	for v := range 256 {
		if v == isFalse || v == isTrue || v >= reservedFrom && v <= reservedTo {
			continue
		}
		reject = append(reject, cbor.WithRejectedSimpleValue(cbor.SimpleValue(v)))
	}
	values, err := cbor.NewSimpleValueRegistryFromDefaults(reject...)
	if err != nil {
		panic("wire: the simple values cannot be refused: " + err.Error())
	}
	return values
}

// Marshal encodes a small record of another package. Fields carry `cbor` tags.
// A pointer or interface field needs "omitempty", since Unmarshal refuses null;
// nil slices and maps are encoded as empty ones.
func Marshal(v any) ([]byte, error) {
	b, err := appendCBOR(nil, v)
	if err != nil {
		return nil, fmt.Errorf("encode %T: %w", v, err)
	}
	return b, nil
}

// Unmarshal decodes b, which must hold exactly one item, into v, a pointer.
// *v is set to its zero value first. Unknown fields, duplicate and indefinite
// items, tags, null, and anything beyond the limits above (64 fields of a map)
// are ErrMalformed; more than MaxMessage bytes are ErrTooLarge. The caller must
// put its own version in front and check it.
func Unmarshal(b []byte, v any) error {
	target := reflect.ValueOf(v)
	if target.Kind() != reflect.Pointer || target.IsNil() {
		return fmt.Errorf("decode into %T: %w: the target must be a pointer that is not nil", v, ErrMalformed)
	}
	target.Elem().SetZero()
	if err := decode(strict, b, v); err != nil {
		return fmt.Errorf("decode %T: %w", v, err)
	}
	return nil
}

// appendCBOR appends the encoding of v to dst.
func appendCBOR(dst []byte, v any) ([]byte, error) {
	buf := bytes.NewBuffer(dst)
	if err := encoder.MarshalToBuffer(v, buf); err != nil {
		return dst, fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	if n := buf.Len() - len(dst); n > MaxMessage {
		return dst, fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, n, MaxMessage)
	}
	return buf.Bytes(), nil
}

// decode decodes b into v, which must be zero.
func decode(mode cbor.DecMode, b []byte, v any) error {
	if len(b) > MaxMessage {
		return fmt.Errorf("%w: %d bytes, the limit is %d", ErrTooLarge, len(b), MaxMessage)
	}
	if err := checkLengths(b); err != nil {
		return err
	}
	if err := mode.Unmarshal(b, v); err != nil {
		return fmt.Errorf("%w: %w", ErrMalformed, err)
	}
	return nil
}
