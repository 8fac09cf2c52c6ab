package main

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/edgeraft/edgeraft/app/backup"
)

// openedBackup is a backup that was read to its end and found whole.
type openedBackup struct {
	header backup.Header
	body   io.Reader // from the start
	size   int64
	close  func()
}

// openBackup opens a file and checks all of it, or standard input, which is kept
// in memory for that.
func (inv *invocation) openBackup(path string) (*openedBackup, error) {
	if path == "-" {
		const most = backup.MaxDataBytes + backup.MaxHeaderBytes + 1<<10
		data, err := io.ReadAll(io.LimitReader(inv.stdin, most+1))
		if err != nil {
			return nil, fmt.Errorf("read standard input: %w", err)
		}
		h, err := checkBackup(bytes.NewReader(data))
		if err != nil {
			return nil, fmt.Errorf("standard input: %w", err)
		}
		return &openedBackup{header: h, body: bytes.NewReader(data), size: int64(len(data)), close: func() {}}, nil
	}
	f, err := os.Open(path)
	if err != nil {
		return nil, fmt.Errorf("read the backup: %w", err)
	}
	h, err := checkBackup(f)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: %w", path, err), f.Close())
	}
	end, err := f.Seek(0, io.SeekEnd)
	if err == nil {
		_, err = f.Seek(0, io.SeekStart)
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("read %s a second time: %w", path, err), f.Close())
	}
	return &openedBackup{header: h, body: f, size: end, close: func() { f.Close() }}, nil
}

func checkBackup(from io.Reader) (backup.Header, error) {
	r, err := backup.NewReader(from)
	if err != nil {
		return backup.Header{}, err
	}
	_, err = io.Copy(io.Discard, r)
	return r.Header, err
}
