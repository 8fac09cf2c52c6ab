package wire

import (
	"encoding/binary"
	"hash/crc32"
)

// resealed wraps decode so that the last 4 bytes are made the right checksum.
func resealed[V any](decode func([]byte) (V, error)) func([]byte) (V, error) {
	return func(b []byte) (V, error) {
		if len(b) >= checksumLen {
			body := b[:len(b)-checksumLen]
			b = binary.BigEndian.AppendUint32(append([]byte(nil), body...), crc32.Checksum(body, castagnoli))
		}
		return decode(b)
	}
}
