package wire

import (
	"encoding/binary"
	"fmt"
	"hash/crc32"

	"github.com/fxamacker/cbor/v2"
)

// checksumLen is the length of the CRC32C behind what is stored.
const checksumLen = 4

var castagnoli = crc32.MakeTable(crc32.Castagnoli)

// AppendStored appends the caller's version, the encoding of v, and a CRC32C of
// both. Entries and the hard state are stored so, and other packages' records.
func AppendStored(dst []byte, version byte, v any) ([]byte, error) {
	out, err := appendCBOR(append(dst, version), v)
	if err != nil {
		return dst, err
	}
	sum := crc32.Checksum(out[len(dst):], castagnoli)
	return binary.BigEndian.AppendUint32(out, sum), nil
}

// DecodeStored undoes AppendStored, as strict as Unmarshal. The checksum is
// looked at first, so that damage (ErrChecksum) is never mistaken for a newer
// version (ErrVersion).
func DecodeStored(b []byte, version byte, v any) error {
	if len(b) < 1+checksumLen {
		return fmt.Errorf("%w: %d bytes are too few", ErrMalformed, len(b))
	}
	body, sum := b[:len(b)-checksumLen], binary.BigEndian.Uint32(b[len(b)-checksumLen:])
	if got := crc32.Checksum(body, castagnoli); got != sum {
		return fmt.Errorf("%w: %08x is stored, the content has %08x", ErrChecksum, sum, got)
	}
	content, err := unversion(body, version)
	if err != nil {
		return err
	}
	return Unmarshal(content, v)
}

// unversion checks the version byte in front of b and returns what follows.
func unversion(b []byte, version byte) ([]byte, error) {
	if len(b) == 0 {
		return nil, fmt.Errorf("%w: no bytes", ErrMalformed)
	}
	if b[0] != version {
		return nil, fmt.Errorf("%w: %d, this build reads %d", ErrVersion, b[0], version)
	}
	return b[1:], nil
}

// decodeLenient decodes a message's part into a new W.
func decodeLenient[W any](b cbor.RawMessage) (W, error) {
	var w W
	err := decode(lenient, b, &w)
	return w, err
}
