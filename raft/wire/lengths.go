package wire

import (
	"encoding/binary"
	"fmt"
)

// checkLengths refuses every length that the bytes at hand cannot hold. The
// CBOR module does the same, but where an int has 32 bits it cuts a length of
// 64 bits down first: an array of 2^32 elements is an empty one there, and
// devices of different kinds would read the same bytes differently.
//
// It goes from head to head (RFC 8949 §3); whether they nest properly is for
// the module to say.
func checkLengths(b []byte) error {
	const byteString, textString, array, mapping = 2, 3, 4, 5
	for len(b) > 0 {
		major, info := b[0]>>5, b[0]&0x1f
		b = b[1:]
		value := uint64(info)
		if info >= 24 {
			size := 1 << (info - 24)
			if info > 27 || size > len(b) {
				return fmt.Errorf("%w: no head of an item", ErrMalformed)
			}
			var wide [8]byte
			copy(wide[8-size:], b[:size])
			value, b = binary.BigEndian.Uint64(wide[:]), b[size:]
		}
		switch major {
		case byteString, textString:
			if value > uint64(len(b)) {
				return fmt.Errorf("%w: %d bytes of a string in %d", ErrMalformed, value, len(b))
			}
			b = b[value:]
		case array, mapping:
			if value > uint64(len(b)) { // an element has a byte at least
				return fmt.Errorf("%w: %d elements in %d bytes", ErrMalformed, value, len(b))
			}
		}
	}
	return nil
}
