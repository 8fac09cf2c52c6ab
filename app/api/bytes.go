package api

import (
	"encoding/base64"
	"errors"
	"fmt"
	"unicode/utf8"
)

// BytesOf puts b into the form that JSON carries: as text when it is UTF-8, as
// base64 (RFC 4648 §4, padded) when not.
func BytesOf(b []byte) Bytes {
	if utf8.Valid(b) {
		s := string(b)
		return Bytes{Value: &s}
	}
	s := base64.StdEncoding.EncodeToString(b)
	return Bytes{ValueBase64: &s}
}

// Data returns the bytes. Exactly one of the two fields must be there.
func (b Bytes) Data() ([]byte, error) {
	switch {
	case b.Value != nil && b.ValueBase64 != nil:
		return nil, errors.New(`both "value" and "value_base64" are given; give one of them`)
	case b.Value != nil:
		return []byte(*b.Value), nil
	case b.ValueBase64 != nil:
		data, err := base64.StdEncoding.DecodeString(*b.ValueBase64)
		if err != nil {
			return nil, fmt.Errorf(`"value_base64" is not standard base64 with padding: %w`, err)
		}
		return data, nil
	}
	return nil, errors.New(`neither "value" nor "value_base64" is given`)
}
