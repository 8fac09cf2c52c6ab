package backup

import (
	"bufio"
	"crypto/sha256"
	"errors"
	"fmt"
	"hash"
	"io"
)

// Encode returns the parts of a file that come before and after the data, and
// the size of all of it.
func Encode(h Header, data []byte) (before, after []byte, size int, err error) {
	h.Size = uint64(len(data))
	if before, err = h.encode(); err != nil {
		return nil, nil, 0, err
	}
	if len(data) > MaxDataBytes {
		return nil, nil, 0, fmt.Errorf("make a backup of %d bytes: the most is %d", len(data), MaxDataBytes)
	}
	sum := sha256.New()
	sum.Write(before)
	sum.Write(data)
	after = sum.Sum(nil)
	return before, after, len(before) + len(data) + len(after), nil
}

// Reader reads a file: first its Header, then its data. The data may be used
// only after Read has returned io.EOF, which it does when the whole file was as
// it was written; until then it may be anything. It buffers a few KiB.
type Reader struct {
	Header Header
	from   *bufio.Reader
	sum    hash.Hash
	left   uint64
	err    error
}

// NewReader reads the header. Errors are those of this package, or of from.
func NewReader(from io.Reader) (*Reader, error) {
	r := &Reader{from: bufio.NewReader(from), sum: sha256.New()}
	first, err := r.line(len(magic) + 12)
	if err != nil {
		if errors.Is(err, errNoLine) {
			err = ErrNoBackup
		}
		return nil, err
	}
	if err := checkFirstLine(string(first)); err != nil {
		return nil, err
	}
	line, err := r.line(MaxHeaderBytes)
	if err != nil {
		return nil, err
	}
	r.Header, err = parseHeader(line)
	r.left = r.Header.Size
	return r, err
}

var errNoLine = fmt.Errorf("%w: it is cut off, or its header is too long", ErrDamaged)

// line reads up to a newline, which is not returned.
func (r *Reader) line(most int) ([]byte, error) {
	var line []byte
	for len(line) <= most {
		c, err := r.from.ReadByte()
		if errors.Is(err, io.EOF) {
			return nil, errNoLine
		}
		if err != nil {
			return nil, err
		}
		if c == '\n' {
			r.sum.Write(line)
			r.sum.Write([]byte{c})
			return line, nil
		}
		line = append(line, c)
	}
	return nil, errNoLine
}

// Read implements io.Reader for the data.
func (r *Reader) Read(b []byte) (int, error) {
	if r.err != nil {
		return 0, r.err
	}
	if r.left == 0 {
		r.err = r.finish()
		return 0, r.err
	}
	n, err := r.from.Read(b[:min(uint64(len(b)), r.left)])
	r.sum.Write(b[:n])
	r.left -= uint64(n)
	if errors.Is(err, io.EOF) && r.left > 0 {
		err = fmt.Errorf("%w: it is cut off; %d bytes of data are missing", ErrDamaged, r.left)
	}
	if err != nil && !errors.Is(err, io.EOF) {
		r.err = err
		return n, err
	}
	return n, nil
}

// finish checks what follows the data: io.EOF if all is well.
func (r *Reader) finish() error {
	var want [sha256.Size]byte
	if _, err := io.ReadFull(r.from, want[:]); errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
		return fmt.Errorf("%w: it is cut off; its checksum is missing", ErrDamaged)
	} else if err != nil {
		return err
	}
	if [sha256.Size]byte(r.sum.Sum(nil)) != want {
		return fmt.Errorf("%w: its checksum does not hold", ErrDamaged)
	}
	switch _, err := r.from.ReadByte(); {
	case errors.Is(err, io.EOF):
		return io.EOF
	case err != nil:
		return err
	}
	return fmt.Errorf("%w: something follows its end", ErrDamaged)
}
